import pytest

from execution_engine.embedded.workspace.errors import WorkspaceError
from execution_engine.embedded.workspace.identifiers import (
    ObjectKey,
    WorkspaceKey,
    check_object_name_or_id,
    check_workspace_name,
    full_type,
    object_key,
    parse_reference,
)
from execution_engine.embedded.workspace.metadata import from_pairs, to_pairs
from execution_engine.embedded.workspace.times import choose_time, format_time, parse_time

ONE = WorkspaceKey(1, None)


@pytest.mark.parametrize("name", ["alice_ws", "alice:ws", "a.b-c", "x" * 100, "1a"])
def test_workspace_names(name: str) -> None:
    check_workspace_name(name, "alice")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        (None, "Workspace name cannot be null or whitespace only"),
        ("  ", "Workspace name cannot be null or whitespace only"),
        ("x" * 101, "Workspace name size greater than limit 100"),
        ("naïve", "Illegal character in workspace name naïve: ï"),
        ("a$b", r"Illegal character in workspace name a\$b: \$"),
        ("-42", "Workspace names cannot be integers: -42"),
        ("a:b:c", "Workspace name a:b:c may only contain one : delimiter"),
        ("alice:", "Workspace name missing from alice:"),
        (":ws", "User name missing from :ws"),
        ("bob:ws", "Workspace name bob:ws must only contain the user name alice prior to the : delimiter"),
    ],
)
def test_names_that_no_workspace_of_alice_can_have(name: str | None, said: str) -> None:
    with pytest.raises(WorkspaceError, match=f"^{said}$"):
        check_workspace_name(name, "alice")


@pytest.mark.parametrize(
    ("reference", "key"),
    [
        ("1/2", ObjectKey(ONE, 2, None, None)),
        ("1/2/3", ObjectKey(ONE, 2, None, 3)),
        ("1/obj", ObjectKey(ONE, None, "obj", None)),
        ("ws/obj/3", ObjectKey(WorkspaceKey(None, "ws"), None, "obj", 3)),
        (" 1/2/3/ ", ObjectKey(ONE, 2, None, 3)),
    ],
)
def test_references(reference: str, key: ObjectKey) -> None:
    assert parse_reference(reference) == key


@pytest.mark.parametrize(
    ("reference", "said"),
    [
        ("1", "Illegal number of separators '/' in object reference '1'"),
        ("1/2/3/4", "Illegal number of separators '/' in object reference '1/2/3/4'"),
        ("1/2/x", "Unable to parse version portion of object reference '1/2/x' to an integer"),
        ("0/2", "Workspace id must be > 0"),
        ("1/-1", "Object id must be > 0"),
        ("1/2/0", "Object version must be > 0"),
        ("1/2/2147483648", "Maximum object version is 2147483647"),
        ("1/a b", "Illegal character in object name a b:  "),
        (f"1/{'9' * 40}", f"Object names cannot be integers: {'9' * 40}"),
        ("1/2/3;4/5/6", "Reference paths are not supported by this Workspace, .*"),
    ],
)
def test_what_is_no_reference(reference: str, said: str) -> None:
    with pytest.raises(WorkspaceError, match=f"^{said}$"):
        parse_reference(reference)


def test_an_object_is_named_in_one_way() -> None:
    check_object_name_or_id("a|b.c-d_1", None)
    with pytest.raises(
        WorkspaceError, match=r"^Must provide one and only one of object name \(was: a\) or id \(was: 1\)$"
    ):
        object_key(ONE, "a", 1, None)
    with pytest.raises(WorkspaceError, match=r"object name \(was: null\) or id \(was: null\)"):
        object_key(ONE, None, None, None)


@pytest.mark.parametrize(
    ("given", "full"),
    [
        ("Mod.Type", "Mod.Type-1.0"),
        ("Mod.Type-3", "Mod.Type-3.0"),
        ("KBaseReport.Report-3.2", "KBaseReport.Report-3.2"),
    ],
)
def test_types_get_a_full_version(given: str, full: str) -> None:
    assert full_type(given) == full


@pytest.mark.parametrize(
    "given", [None, "", "Type", "Mod.Type-", "Mod.Type-1.2.3", "Mod.Type-x", "A.B.C", "Mod.Type\n"]
)
def test_what_does_not_look_like_a_type_is_refused(given: str | None) -> None:
    with pytest.raises(WorkspaceError, match=r"is not a type: expected Module\.Type or Module\.Type-1\.0"):
        full_type(given)


def test_metadata_keeps_keys_that_a_database_would_not() -> None:
    metadata = {"$set": "1", "a.b": "2", "": "3"}
    assert from_pairs(to_pairs(metadata)) == metadata
    assert to_pairs(None) == []


def test_too_much_metadata_is_refused() -> None:
    with pytest.raises(WorkspaceError, match=r"Total size of metadata key \+ value exceeds maximum of 900B for key k"):
        to_pairs({"k": "ü" * 450})
    with pytest.raises(WorkspaceError, match="Metadata exceeds maximum of 16000B"):
        to_pairs({str(number): "x" * 800 for number in range(20)})


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-22T17:54:05+0000",
        "2026-11-22T17:54:05Z",
        "2026-11-22T18:54:05+01:00",
        "2026-11-22T17:54:05.0Z",
        "2026-11-22T17:54:05.00-0000",
    ],
)
def test_times_are_read_with_any_zone(text: str) -> None:
    assert parse_time(text) == 1795370045000
    assert format_time(parse_time(text)) == "2026-11-22T17:54:05+0000"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("yesterday", "Unparseable date: Text 'yesterday' could not be parsed at index 0"),
        ("2026-11-22", "Unparseable date: Text '2026-11-22' could not be parsed at index 10"),
        ("2026-11-22T17:54:05 GMT", "Unparseable date: .* could not be parsed at index 19"),
        ("2026-13-22T17:54:05Z", "Unparseable date: .*: month must be in 1..12"),
        ("2026-11-22T17:54:05", "Date '2026-11-22T17:54:05' does not have time zone information"),
    ],
)
def test_what_is_no_time_is_refused(text: str, said: str) -> None:
    with pytest.raises(WorkspaceError, match=f"^{said}$"):
        parse_time(text)


def test_a_time_is_given_in_one_way() -> None:
    assert choose_time(None, None, "after parameter") is None
    assert choose_time(None, 5, "after parameter") == 5
    with pytest.raises(WorkspaceError, match=r"^Cannot specify both timestamp and epoch for after parameter$"):
        choose_time("2026-11-22T17:54:05Z", 5, "after parameter")
