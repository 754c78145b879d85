import json
from collections.abc import Callable
from typing import Any

import mongomock
import pytest
from werkzeug.test import Client

from execution_engine.embedded.workspace import create_workspace_app, provenance, reading, resolution, saving

Call = Callable[..., Any]


@pytest.fixture
def call() -> Call:
    """Calls a method as a user (the token is the user's name) and gives the result, or an error's message."""
    app = create_workspace_app(
        mongomock.MongoClient(tz_aware=True)["kbase_embedded"], lambda token: token, lambda _: [], lambda _: True
    )
    client = Client(app)

    def as_user(user: str | None, method: str, params: Any) -> Any:
        body = params if isinstance(params, str) else json.dumps({"method": method, "params": [params]})
        answer = client.post("/", data=body, headers={"Authorization": user} if user else {})
        found = json.loads(answer.data)
        return (found["result"] or [None])[0] if "result" in found else found["error"]["message"]

    as_user("alice", "create_workspace", {"workspace": "ws"})
    return as_user


def save(call: Call, name: str | None, data: Any, **more: Any) -> Any:
    item = {"name": name, "type": "M.T", "data": data, **more}
    saved = call("alice", "save_objects", {"id": 1, "objects": [item]})
    return saved if isinstance(saved, str) else saved[0]


def read(call: Call, ref: str, user: str = "alice") -> Any:
    found = call(user, "get_objects2", {"objects": [{"ref": ref}]})
    return found if isinstance(found, str) else found["data"][0]


def test_objects_and_versions_count_from_one(call: Call) -> None:
    addresses = [save(call, name, {})[0:5:4] for name in ("a", "b", "a", "a")]
    assert addresses == [[1, 1], [2, 1], [1, 2], [1, 3]]
    assert save(call, None, {}, objid=2)[0:5:4] == [2, 2]
    assert call("alice", "get_workspace_info", {"id": 1})[4] == 2


def test_one_name_twice_in_a_call_is_two_versions(call: Call) -> None:
    objects = [{"name": "a", "type": "M.T", "data": number} for number in (1, 2)]
    assert [info[4] for info in call("alice", "save_objects", {"id": 1, "objects": objects})] == [1, 2]


@pytest.mark.parametrize(
    "data",
    [
        {"big": 2**64, "bigger": -(10**400)},
        {"$set": 1, "a.b": 2, "": 3, chr(0): 4},
        {"text": "naïve \u2028 \U0001f9ec", "numbers": [1.5, 1e300, 0.1, -0.0]},
        [None, True, False, "", []],
        "text",
        0,
    ],
    ids=["big integers", "odd keys", "text and floats", "list", "plain text", "zero"],
)
def test_data_comes_back_as_it_was(call: Call, data: Any) -> None:
    save(call, "a", data)
    assert json.dumps(read(call, "1/a")["data"], sort_keys=True) == json.dumps(data, sort_keys=True)


def test_checksum_and_size_are_of_the_data_with_sorted_keys(call: Call) -> None:
    assert save(call, "a", {"foo": "x", "bar": 1})[8:10] == ["86ae265768165b02d1313fa3a34b7ffa", 19]


def test_older_versions_stay(call: Call) -> None:
    for number in (1, 2, 3):
        save(call, "a", number, meta={"number": str(number)}, type=f"M.T-{number}.0")
    assert [read(call, ref)["data"] for ref in ("1/1/1", "ws/a/2", "1/1", "ws/a")] == [1, 2, 3, 3]
    info = read(call, "1/1/2")["info"]
    assert (info[2], info[10]) == ("M.T-2.0", {"number": "2"})


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"data": None}, "Object #1, a: no data"),
        ({"type": "nothing"}, "Object #1, a: Type nothing is not a type: expected Module.Type or Module.Type-1.0"),
        ({"name": "a b"}, "Object #1: Illegal character in object name a b:  "),
        ({"name": None}, "Object #1: Must provide one and only one of object name (was: null) or id (was: null)"),
        ({"name": None, "objid": 7}, "No object with id 7 exists in workspace 1 (name ws)"),
        ({"meta": {"k": "v" * 900}}, "Object #1, a: Total size of metadata key + value exceeds maximum of 900B for"),
        ({"provenance": [{"epoch": 1, "time": "2026-11-22T17:54:05Z"}]}, "Object #1, a: provenance: Cannot specify"),
        ({"provenance": [{"input_ws_objects": ["1"]}]}, "Object #1, a has invalid provenance reference: Illegal nu"),
        (
            {"provenance": [{"input_ws_objects": ["1/1", "1/9"]}]},
            "Object #1, a has invalid provenance reference: No object with id 9 exists in workspace 1 (name ws)",
        ),
        ({"provenance": [{"foo": 1}]}, "Unexpected arguments in ProvenanceAction: foo"),
    ],
)
def test_when_one_object_is_wrong_none_is_saved(call: Call, given: dict[str, Any], said: str) -> None:
    save(call, "first", {})
    good = {"name": "good", "type": "M.T", "data": {}}
    bad = {"name": "a", "type": "M.T", "data": {}, **given}
    refused = call("alice", "save_objects", {"id": 1, "objects": [bad, good]})
    assert isinstance(refused, str)
    assert refused.startswith(said)
    assert [info[1] for info in call("alice", "list_objects", {"ids": [1]})] == ["first"]


@pytest.mark.parametrize("text", [r'"\ud800"', "1e400"])
def test_data_that_is_no_json_text_is_refused(call: Call, text: str) -> None:
    item = f'{{"name": "a", "type": "M.T", "data": {text}}}'
    body = f'{{"method": "save_objects", "params": [{{"id": 1, "objects": [{item}]}}]}}'
    assert call("alice", "save_objects", body).startswith("Object #1, a: the data can't be stored as JSON: ")


def test_nothing_to_save_is_refused(call: Call) -> None:
    assert call("alice", "save_objects", {"id": 1, "objects": []}) == "No data provided"


def test_data_above_the_limit_is_refused(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(saving, "MAX_DATA_BYTES", 100)
    assert save(call, "a", "x" * 98)[9] == 100
    assert save(call, "a", "x" * 99) == "Object #1, a: data size 101 exceeds limit of 100"


def test_provenance_above_the_limit_is_refused(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(provenance, "MAX_BYTES", 300)
    refused = save(call, "a", {}, provenance=[{"description": "x" * 300}])
    assert refused.startswith("Object #1, a provenance size ")
    assert refused.endswith(" exceeds limit of 300")


def test_provenance_is_kept_with_the_addresses_of_its_inputs(call: Call) -> None:
    save(call, "in", {})
    save(call, "in", {})
    action = {"service": "sdk", "method_params": [{"n": 2**70}], "input_ws_objects": ["ws/in", "1/1/1"], "epoch": 5000}
    save(call, "out", {}, provenance=[action, {}])
    (kept,) = read(call, "1/out")["provenance"]
    assert kept["resolved_ws_objects"] == ["1/1/2", "1/1/1"]
    assert (kept["epoch"], kept["time"]) == (5000, "1970-01-01T00:00:05+0000")
    assert (kept["method_params"], kept["service"], kept["custom"]) == ([{"n": 2**70}], "sdk", {})


def test_nobody_reads_or_writes_what_was_not_shared_with_them(call: Call) -> None:
    save(call, "a", {})
    assert read(call, "1/1", "bob") == "Object 1 cannot be accessed: User bob may not read workspace 1"
    call("alice", "set_permissions", {"id": 1, "new_permission": "r", "users": ["bob"]})
    assert read(call, "1/1", "bob")["creator"] == "alice"
    objects = [{"name": "a", "type": "M.T", "data": {}}]
    refused = call("bob", "save_objects", {"workspace": "ws", "objects": objects})
    assert refused == "User bob may not write to workspace ws"
    call("alice", "set_permissions", {"id": 1, "new_permission": "w", "users": ["bob"]})
    assert call("bob", "save_objects", {"workspace": "ws", "objects": objects})[0][5] == "bob"


def test_nothing_is_saved_into_or_read_from_a_deleted_workspace(call: Call) -> None:
    save(call, "a", {})
    call("alice", "delete_workspace", {"id": 1})
    assert save(call, "a", {}) == "Workspace 1 is deleted"
    assert read(call, "1/1") == "Object 1 cannot be accessed: Workspace 1 is deleted"
    call("alice", "undelete_workspace", {"id": 1})
    assert read(call, "1/1")["data"] == {}


def test_what_is_not_there_fails_the_call(call: Call) -> None:
    save(call, "a", {})

    def said(*refs: str) -> Any:
        return call("alice", "get_object_info_new", {"objects": [{"ref": ref} for ref in refs]})

    assert said("1/b", "9/1") == "Object 1 cannot be accessed: No workspace with id 9 exists"
    assert said("1/b", "1/1/2") == "No object with name b exists in workspace 1 (name ws)"
    assert said("1/1/2") == "No object with id 1 (name a) and version 2 exists in workspace 1 (name ws)"


def test_what_is_not_there_is_null_where_errors_are_ignored(call: Call) -> None:
    save(call, "a", {"x": 1})
    params = {"objects": [{"ref": ref} for ref in ("1/a", "1/b", "1/1/2", "9/1")], "ignoreErrors": 1}
    infos = call("alice", "get_object_info_new", {**params, "includeMetadata": 1})
    assert (infos[0][1], infos[0][10], infos[1:]) == ("a", {}, [None] * 3)
    found = call("alice", "get_objects2", params)["data"]
    assert (found[0]["data"], found[1:]) == ({"x": 1}, [None] * 3)
    structs = call("alice", "get_object_info3", {**params, "infostruct": 1})["infostructs"]
    assert (structs[0]["path"], structs[1:]) == (["1/1/1"], [None] * 3)


def test_an_object_is_specified_by_its_parts_or_by_a_reference(call: Call) -> None:
    save(call, "a", {})
    for parts in ({"wsid": 1, "objid": 1}, {"workspace": "ws", "name": "a", "ver": 1}, {"wsid": 1, "name": "a"}):
        assert call("alice", "get_object_info3", {"objects": [parts]})["paths"] == [["1/1/1"]]
    assert call("alice", "get_object_info3", {"objects": [{"ref": "1/1", "ver": 1}]}) == (
        "Error on ObjectSpecification #1: Object reference 1/1 provided; "
        "cannot provide any other means of identifying an object."
    )


def test_one_object_may_be_asked_for_twice(call: Call) -> None:
    save(call, "a", 5)
    found = call("alice", "get_objects2", {"objects": [{"ref": "1/1"}, {"ref": "ws/a/1"}, {"ref": "1/1"}]})
    assert [each["data"] for each in found["data"]] == [5, 5, 5]


def test_an_object_can_be_described_without_its_data(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "MAX_RETURNED_BYTES", 3)
    save(call, "a", "xx")
    assert read(call, "1/1") == (
        "Too much data requested from the workspace at once; data requested including potential subsets is 4B "
        "which exceeds maximum of 3."
    )
    (found,) = call("alice", "get_objects2", {"objects": [{"ref": "1/1"}], "no_data": 1})["data"]
    assert "data" not in found
    assert found["info"][9] == 4


def test_too_many_objects_at_once_are_refused(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resolution, "MAX_OBJECTS", 2)
    refused = call("alice", "get_object_info3", {"objects": [{"ref": "1/1"}] * 3})
    assert refused == "At most 2 objects can be requested at once"


def test_list_objects_shows_the_newest_of_those_that_are_not_hidden(call: Call) -> None:
    for name in ("a", "b", "c", "a"):
        save(call, name, {}, hidden=int(name == "b"))
    call("alice", "create_workspace", {"workspace": "other", "globalread": "r"})
    public = {"name": "z", "type": "M.T", "data": 1, "meta": {"k": "v"}}
    call("alice", "save_objects", {"id": 2, "objects": [public]})

    def listed(user: str | None = "alice", **params: Any) -> Any:
        found = call(user, "list_objects", params)
        return found if isinstance(found, str) else [(info[6], info[1], info[4]) for info in found]

    assert listed(ids=[1]) == [(1, "a", 2), (1, "c", 1)]
    assert listed(ids=[1], showHidden=1, minObjectID=2, maxObjectID=2) == [(1, "b", 1)]
    assert listed(workspaces=["other"], ids=[1], limit=3) == [(1, "a", 2), (1, "c", 1), (2, "z", 1)]
    assert listed(workspaces=["other"], ids=[1], limit=1) == [(1, "a", 2)]
    assert listed(None, ids=[2]) == [(2, "z", 1)]
    assert listed(None, ids=[1]) == "Anonymous users may not read workspace 1"
    assert listed() == "At least one workspace must be specified"
    (info,) = call("alice", "list_objects", {"ids": [2], "includeMetadata": 1})
    assert info[10] == {"k": "v"}
