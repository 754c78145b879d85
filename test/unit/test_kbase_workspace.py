import json
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from execution_engine.core.errors import WorkspaceUnavailable
from execution_engine.kbase.http import Answer
from execution_engine.kbase.objects import is_ref
from execution_engine.kbase.permissions import Permission, WorkspaceAccess
from execution_engine.kbase.workspace import Workspace

GONE = WorkspaceAccess(Permission.NONE, deleted=True)


class Server:
    """A Workspace of one user, alice, with the real one's limits and refusals."""

    def __init__(self, letters: dict[int, str], public: Iterable[int] = (), deleted: Iterable[int] = ()) -> None:
        self.letters, self.public, self.deleted = letters, set(public), set(deleted)
        self.calls: list[str] = []

    def exchange(self, _method: str, _path: str = "", *, body: bytes, **_: Any) -> Answer:
        request = json.loads(body)
        method = request["method"].removeprefix("Workspace.")
        self.calls.append(method)
        try:
            return Answer(200, {"version": "1.1", "result": [getattr(self, method)(*request["params"])]})
        except ValueError as error:
            return Answer(500, {"error": {"name": "JSONRPCError", "code": -32500, "message": str(error)}})

    def get_permissions_mass(self, params: dict[str, Any]) -> dict[str, Any]:
        wsids = [it["id"] for it in params["workspaces"]]
        if len(wsids) > 1000:
            raise ValueError("Maximum number of workspaces allowed for input is 1000")
        for wsid in wsids:
            if wsid <= 0:
                raise ValueError("Workspace id must be > 0")
            if wsid in self.deleted:
                raise ValueError(f"Workspace {wsid} is deleted")
            if wsid not in self.letters:
                raise ValueError(f"No workspace with id {wsid} exists")
        return {"perms": [self.users(wsid) for wsid in wsids]}

    def users(self, wsid: int) -> dict[str, str]:
        return {"alice": self.letters[wsid]} | ({"*": "r"} if wsid in self.public else {})

    def administer(self, command: dict[str, Any]) -> dict[str, Any]:
        assert command["command"] == "getPermissionsMass"
        return self.get_permissions_mass(command["params"])

    def list_workspace_ids(self, params: dict[str, Any]) -> dict[str, Any]:
        enough = {"r": "rwa", "w": "wa", "a": "a"}[params.get("perm", "r")]
        own = {it for it, letter in self.letters.items() if letter in enough} - self.deleted
        only_public = self.public - own - self.deleted if params.get("excludeGlobal") == 0 else set()
        return {"workspaces": sorted(own), "pub": sorted(only_public)}

    def get_workspace_info(self, identity: dict[str, Any]) -> list[Any]:
        meta = {"narrative": "1", "narrative_nice_name": "My tale"}
        return [identity["id"], "alice:narrative_1", "alice", "2026-11-22T18:16:10+0000", 0, "a", "n", "unlocked", meta]


def client_of(server: Server) -> Any:
    workspace: Any = Workspace("http://127.0.0.1:1")
    workspace._rpc._http.exchange = server.exchange
    return workspace


def test_permissions_have_an_order() -> None:
    assert Permission.NONE < Permission.READ < Permission.WRITE < Permission.ADMIN
    assert [Permission.from_letter(it).name for it in "nrwa"] == ["NONE", "READ", "WRITE", "ADMIN"]


def test_more_workspaces_than_one_call_takes() -> None:
    server = Server(dict.fromkeys(range(1, 2502), "w"))
    access = client_of(server).permissions("alice", range(1, 2502), "T")
    assert access == dict.fromkeys(range(1, 2502), WorkspaceAccess(Permission.WRITE))
    assert server.calls == ["get_permissions_mass"] * 3


def test_ten_thousand_readable_workspaces() -> None:
    server = Server(dict.fromkeys(range(1, 10_001), "r"))
    workspace = client_of(server)
    assert workspace.readable_workspaces("T") == list(range(1, 10_001))
    assert set(workspace.permissions("alice", range(1, 10_001), "T").values()) == {WorkspaceAccess(Permission.READ)}


def test_a_thousand_deleted_workspaces_cost_a_few_calls() -> None:
    letters = {wsid: "nrwa"[wsid % 4] for wsid in range(1, 1001)}
    server = Server(letters, public=[4, 5], deleted=range(500, 1001))
    access = client_of(server).permissions("alice", range(1000, 0, -1), "T")
    assert access == {
        wsid: WorkspaceAccess(Permission.NONE, deleted=wsid > 992)  # the first few are known to be deleted
        if wsid >= 500
        else WorkspaceAccess(Permission(wsid % 4), public=wsid == 4)
        for wsid in range(1, 1001)
    }
    assert len(server.calls) == 9 + 3


@given(
    letters=st.dictionaries(st.integers(1, 30), st.sampled_from("nrwa")),
    public=st.sets(st.integers(1, 30)),
    deleted=st.sets(st.integers(1, 30)),
    asked=st.sets(st.integers(-2, 40)),
)
def test_access_is_what_the_workspace_says_however_many_are_gone(
    letters: dict[int, str], public: set[int], deleted: set[int], asked: set[int]
) -> None:
    server = Server(letters, public & set(letters), deleted & set(letters))
    access = client_of(server).permissions("alice", asked, "T")
    alive = {wsid for wsid in asked if wsid in letters and wsid not in server.deleted}
    assert set(access) == asked
    for wsid in asked:
        expected = Permission.from_letter(letters[wsid]) if wsid in alive else Permission.NONE
        assert access[wsid].permission == expected
        assert not (wsid in alive and access[wsid].deleted)
        if access[wsid].permission == Permission.NONE:
            assert access[wsid].public == (wsid in alive and wsid in server.public)


def test_an_admin_is_told_all_users_although_many_workspaces_are_gone() -> None:
    server = Server({1: "a", 50: "r"}, public=[50])
    users = client_of(server).mass_permissions_as_admin(range(51), "T")
    assert users.pop(1) == {"alice": Permission.ADMIN}
    assert users.pop(50) == {"alice": Permission.READ, "*": Permission.READ}
    assert users == {wsid: {} for wsid in (0, *range(2, 50))}


def test_the_title_of_a_narrative() -> None:
    assert client_of(Server({})).info(7, "T").title == "My tale"


INFO = [1, "name", "Some.Type-1.0", "2026-11-22T18:16:10+0000", 1, "alice", 1, "ws", "md5", 19, {}]


@pytest.mark.parametrize("data", [[], [{"info": INFO, "data": 1}] * 3, [{"info": INFO[:-1], "data": 1}] * 2])
def test_other_objects_than_asked_for_are_no_answer(data: list[Any]) -> None:
    server = Server({})
    server.get_objects2 = lambda _: {"data": data}  # type: ignore[attr-defined]
    with pytest.raises(WorkspaceUnavailable, match="its answer to get_objects2 is not understood"):
        client_of(server).get_objects(["1/1/1", "1/1/1"], "T")


@pytest.mark.parametrize(("place", "value"), [(1, None), (2, 7), (9, "19")])
def test_an_object_of_another_shape_is_no_answer(place: int, value: object) -> None:
    info = [*INFO[:place], value, *INFO[place + 1 :]]
    server = Server({})
    server.get_object_info3 = lambda _: {"infos": [info]}  # type: ignore[attr-defined]
    with pytest.raises(WorkspaceUnavailable, match="its answer to get_object_info3 is not understood"):
        client_of(server).object_infos(["1/1/1"], "T")


@pytest.mark.parametrize(
    "ref", ["1/1/1", "1/2", "my_ws/my.obj|x", "alice:narrative_1/report-1/3", "1/1/1;2/2/2;3/3", "9" * 17 + "/1/1"]
)
def test_references(ref: str) -> None:
    assert is_ref(ref)


@pytest.mark.parametrize(
    "ref",
    ["", "1", "1/", "/1/1", "1/1/0", "1/1/x", "1/1/1/1", "1/1/1;", "1/1\n", "1/1/" + "9" * 10, "a b/c", "1/1;" * 300],
)
def test_what_can_not_be_a_reference(ref: str) -> None:
    assert not is_ref(ref)
