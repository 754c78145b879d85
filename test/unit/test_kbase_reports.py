from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from execution_engine.core.errors import ObjectNotReadable, WorkspaceUnavailable
from execution_engine.kbase.objects import ObjectInfo, WorkspaceObject
from execution_engine.kbase.reports import MAX_REPORT_BYTES, MAX_REPORTS, find_report_refs, read_reports

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda it: st.lists(it) | st.dictionaries(st.text() | st.just("report_ref"), it),
)


@pytest.mark.parametrize(
    ("output", "refs"),
    [
        ([{"report_name": "r", "report_ref": "1/2/3"}], ["1/2/3"]),
        ({"report_ref": "1/2/3"}, ["1/2/3"]),
        ([{"report_ref": "1/2/3"}, "x", {"report_ref": "1/3/1"}, {"report_ref": "1/2/3"}], ["1/2/3", "1/3/1"]),
        ([{"report_ref": "my_workspace/my_report"}], ["my_workspace/my_report"]),
        ([{"batch": {"report_ref": "1/2/3"}}], []),
        ([{"report_ref": None}, {"report_ref": 1}, {"report_ref": ""}, {"report_ref": "../../x"}], []),
        (None, []),
        ("1/2/3", []),
    ],
)
def test_reports_are_found_in_returned_mappings(output: Any, refs: list[str]) -> None:
    assert find_report_refs(output) == refs


def test_no_output_names_more_reports_than_can_be_shown() -> None:
    assert len(find_report_refs([{"report_ref": f"1/{n}/1"} for n in range(1, 1000)])) == MAX_REPORTS


@given(JSON)
def test_any_output_can_be_searched(output: Any) -> None:
    assert all(isinstance(ref, str) for ref in find_report_refs(output))


class Objects:
    """A Workspace that holds these objects, by reference."""

    def __init__(self, objects: dict[str, WorkspaceObject]) -> None:
        self.objects = objects
        self.read: list[str] = []

    def object_infos(self, refs: list[str], token: str) -> list[ObjectInfo | None]:
        assert token == "T"
        return [self.objects[ref].info if ref in self.objects else None for ref in refs]

    def get_objects(self, refs: list[str], _: str) -> list[WorkspaceObject]:
        self.read.extend(refs)
        if isinstance(self.objects[refs[0]].data, Exception):
            raise self.objects[refs[0]].data
        return [self.objects[ref] for ref in refs]


def workspace_with(objects: dict[str, WorkspaceObject]) -> Any:
    return Objects(objects)


def stored(data: Any, size: int = 100) -> WorkspaceObject:
    return WorkspaceObject(ObjectInfo("1/2/3", "my_report", "KBaseReport.Report-3.0", size), data)


def test_a_report() -> None:
    data = {
        "text_message": "All went well.",
        "objects_created": [{"ref": "1/4/1", "description": "Genome"}, {"ref": "1/5/1", "description": None}],
        "warnings": [],
        "direct_html": "<script>",
    }
    assert read_reports(workspace_with({"1/2/3": stored(data)}), ["1/2/3"], "T") == [
        {
            "ref": "1/2/3",
            "name": "my_report",
            "text": "All went well.",
            "objects": [{"ref": "1/4/1", "description": "Genome"}, {"ref": "1/5/1"}],
        }
    ]


def test_a_report_that_can_not_be_read_does_not_hide_the_others() -> None:
    workspace = workspace_with({"1/2/3": stored({"text_message": "here"})})
    missing, found = read_reports(workspace, ["9/9/9", "1/2/3"], "T")
    assert missing == {
        "ref": "9/9/9",
        "name": "",
        "text": "",
        "objects": [],
        "error": {
            "code": -32103,
            "reason": "object_not_readable",
            "message": "The report 9/9/9 does not exist, or you may not read it.",
        },
    }
    assert found["text"] == "here"


def test_a_report_that_is_too_large_is_not_read() -> None:
    workspace = workspace_with({"1/2/3": stored({}, size=MAX_REPORT_BYTES + 1)})
    (report,) = read_reports(workspace, ["1/2/3"], "T")
    assert report["error"]["message"] == "The report 1/2/3 has 4194305 bytes; at most 4194304 are shown."
    assert workspace.read == []


def test_a_report_that_went_away_in_between() -> None:
    workspace = workspace_with({"1/2/3": stored(ObjectNotReadable("The Workspace refuses: it is deleted."))})
    (report,) = read_reports(workspace, ["1/2/3"], "T")
    assert report["error"]["message"] == "The Workspace refuses: it is deleted."


def test_an_object_that_is_no_report() -> None:
    (report,) = read_reports(workspace_with({"1/2/3": stored(["a", "list"])}), ["1/2/3"], "T")
    assert report["error"]["message"] == "The object 1/2/3 is no report but a KBaseReport.Report-3.0."


@given(JSON)
def test_whatever_an_app_saved_as_its_report_can_be_shown(data: Any) -> None:
    data = data if isinstance(data, dict) else {"text_message": data, "objects_created": data}
    (report,) = read_reports(workspace_with({"1/2/3": stored(data)}), ["1/2/3"], "T")
    assert isinstance(report["text"], str)
    assert isinstance(report["objects"], list)


def test_an_outage_is_no_missing_report() -> None:
    with pytest.raises(WorkspaceUnavailable):
        read_reports(workspace_with({"1/2/3": stored(WorkspaceUnavailable())}), ["1/2/3"], "T")


def test_no_reports() -> None:
    assert read_reports(workspace_with({}), [], "T") == []
