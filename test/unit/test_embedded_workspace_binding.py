import json

import pytest

from execution_engine.embedded.workspace.binding import WrongType, bind
from execution_engine.embedded.workspace.errors import WorkspaceError
from execution_engine.embedded.workspace.parameters import (
    GetPermissionsMassParams,
    ListWorkspaceIDsParams,
    ObjectSaveData,
    WorkspaceIdentity,
)


def test_structures_are_bound_by_their_names_on_the_wire() -> None:
    assert bind(ListWorkspaceIDsParams, {"perm": "w", "excludeGlobal": 0}) == ListWorkspaceIDsParams(
        perm="w", exclude_global=0
    )


def test_structures_in_lists_are_bound_too() -> None:
    bound = bind(GetPermissionsMassParams, {"workspaces": [{"id": 1}, {"workspace": "mine"}]})
    assert bound.workspaces == [WorkspaceIdentity(id=1), WorkspaceIdentity(workspace="mine")]


@pytest.mark.parametrize(("given", "bound"), [(7, 7), ("7", 7), (" -7 ", -7), (7.9, 7), (None, None), (2**63 - 1,) * 2])
def test_an_integer_may_come_as_text_or_with_a_fraction(given: object, bound: int | None) -> None:
    assert bind(WorkspaceIdentity, {"id": given}) == WorkspaceIdentity(id=bound)


@pytest.mark.parametrize("given", ["foo", "", "1_000", True, [], {}, 2**63, "9" * 20, float("inf")])
def test_what_is_no_integer_of_64_bits_is_refused_with_its_place(given: object) -> None:
    with pytest.raises(WrongType, match=r"^workspaces\[1\]\.id: expected an integer of at most 64 bits, found "):
        bind(GetPermissionsMassParams, {"workspaces": [{"id": 1}, {"id": given}]})


@pytest.mark.parametrize(("given", "bound"), [("a", "a"), (5, "5"), (True, "true"), (False, "false"), (1.5, "1.5")])
def test_text_may_come_as_a_number_or_a_truth_value(given: object, bound: str) -> None:
    assert bind(WorkspaceIdentity, {"workspace": given}) == WorkspaceIdentity(workspace=bound)


@pytest.mark.parametrize(
    ("kind", "given", "said"),
    [
        (WorkspaceIdentity, {"workspace": ["a"]}, "workspace: expected a string, found a list"),
        (WorkspaceIdentity, {"workspace": {}}, "workspace: expected a string, found an object"),
        (WorkspaceIdentity, "x", 'the parameter: expected an object (WorkspaceIdentity), found "x"'),
        (GetPermissionsMassParams, {"workspaces": {}}, "workspaces: expected a list, found an object"),
        (
            GetPermissionsMassParams,
            {"workspaces": [5]},
            "workspaces[0]: expected an object (WorkspaceIdentity), found 5",
        ),
        (ObjectSaveData, {"meta": []}, "meta: expected an object, found a list"),
        (ObjectSaveData, {"meta": {"k": None}}, "meta.k: expected a string, found null"),
    ],
)
def test_another_type_is_refused_with_what_was_expected_and_found(kind: type, given: object, said: str) -> None:
    with pytest.raises(WrongType) as refused:
        bind(kind, given)
    assert str(refused.value) == said


def test_text_that_is_no_unicode_is_refused() -> None:
    with pytest.raises(WrongType, match="a string of Unicode characters"):
        bind(WorkspaceIdentity, json.loads(r'{"workspace": "\ud800"}'))


def test_unknown_keys_are_refused_after_wrong_types() -> None:
    with pytest.raises(WorkspaceError, match=r"^Unexpected arguments in WorkspaceIdentity: foo bar$"):
        bind(GetPermissionsMassParams, {"workspaces": [{"id": 1, "foo": 1, "bar": 2}]})
    with pytest.raises(WrongType):
        bind(GetPermissionsMassParams, {"foo": 1, "workspaces": 5})


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (None, "GetPermissionsMassParams must not be null"),
        ({"workspaces": [None]}, r"workspaces\[0\] must not be null"),
    ],
)
def test_null_has_no_place_as_a_parameter_or_in_a_list(given: object, said: str) -> None:
    with pytest.raises(WorkspaceError, match=said):
        bind(GetPermissionsMassParams, given)
