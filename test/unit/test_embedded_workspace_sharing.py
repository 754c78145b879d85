import json
from collections.abc import Callable
from typing import Any

import mongomock
import pytest
from werkzeug.test import Client

from execution_engine.embedded.workspace import create_workspace_app, workspaces
from execution_engine.embedded.workspace.errors import WorkspaceError
from execution_engine.embedded.workspace.identifiers import WorkspaceKey
from execution_engine.embedded.workspace.parameters import CreateWorkspaceParams, WorkspaceIdentity
from execution_engine.embedded.workspace.storage import Collections
from execution_engine.embedded.workspace.workspaces import Workspaces

Call = Callable[..., Any]
PEOPLE = ("alice", "bob", "carol", "root", "auditor")
ROLES = {"root": ["WS_FULL_ADMIN", "WS_READ_ADMIN"], "auditor": ["OTHER", "WS_FULL_READ_ADMIN"]}


@pytest.fixture
def call() -> Call:
    """Calls a method as a user (the token is the user's name) and gives the result, or an error's message."""
    app = create_workspace_app(
        mongomock.MongoClient(tz_aware=True)["kbase_embedded"],
        lambda token: token,
        lambda user: ROLES.get(user, []),
        PEOPLE.__contains__,
    )
    client = Client(app)

    def as_user(user: str | None, method: str, params: Any) -> Any:
        body = json.dumps({"method": method, "params": [params]})
        answer = client.post("/", data=body, headers={"Authorization": user} if user else {})
        if "error" in answer.json:
            return answer.json["error"]["message"]
        return answer.json["result"] and answer.json["result"][0]

    as_user("alice", "create_workspace", {"workspace": "ws", "meta": {"a": "1"}})
    return as_user


def share(call: Call, user: str, permission: str, *users: str) -> Any:
    return call(user, "set_permissions", {"id": 1, "new_permission": permission, "users": [*users]})


def administer(call: Call, admin: str, command: str, params: Any = None, **more: Any) -> Any:
    return call(admin, "administer", {"command": command, "params": params, **more})


def test_an_admin_of_a_workspace_shares_it_on(call: Call) -> None:
    share(call, "alice", "a", "bob")
    share(call, "bob", "w", "carol")
    assert call("carol", "get_permissions", {"id": 1}) == {"alice": "a", "bob": "a", "carol": "w"}
    share(call, "bob", "n", "carol")
    assert call("carol", "get_permissions", {"id": 1}) == {"carol": "n"}


def test_the_owner_keeps_all_permissions(call: Call) -> None:
    share(call, "alice", "a", "bob")
    assert share(call, "bob", "n", "alice") is None
    assert call("alice", "get_permissions", {"id": 1}) == {"alice": "a", "bob": "a"}


def test_others_may_only_reduce_their_own_permission(call: Call) -> None:
    share(call, "alice", "w", "bob")
    assert share(call, "bob", "a", "bob") == "User bob may only reduce their permission level on workspace 1"
    assert share(call, "bob", "r", "carol") == "User bob may not alter other user's permissions on workspace 1"
    assert share(call, "carol", "r", "carol") == "User carol may not set permissions on workspace 1"
    assert share(call, "bob", "r", "bob") is None
    assert call("bob", "get_permissions", {"id": 1}) == {"bob": "r"}


def test_permissions_need_a_user_and_an_existing_one(call: Call) -> None:
    assert share(call, "alice", "r") == "Must provide at least one user"
    assert share(call, "alice", "r", "bob", "nosuch") == "User nosuch is not a valid user"
    assert call("alice", "get_permissions", {"id": 1}) == {"alice": "a"}


def test_everybody_may_read_a_public_workspace_and_what_one_has_beyond_that_counts(call: Call) -> None:
    def set_public(user: str, permission: str) -> Any:
        return call(user, "set_global_permission", {"workspace": "ws", "new_permission": permission})

    share(call, "alice", "w", "bob")
    assert set_public("bob", "r") == "User bob may not set global permission on workspace ws"
    set_public("alice", "r")
    assert call("carol", "get_workspace_info", {"id": 1})[5:7] == ["n", "r"]
    assert call("bob", "get_workspace_info", {"id": 1})[5:7] == ["w", "r"]
    set_public("alice", "n")
    assert call("carol", "get_workspace_info", {"id": 1}) == "User carol may not read workspace 1"


def test_a_workspace_belongs_to_its_owner_only(call: Call) -> None:
    share(call, "alice", "a", "bob")
    renaming = {"wsi": {"id": 1}, "new_name": "other"}
    assert call("bob", "rename_workspace", renaming) == "User bob may not rename workspace 1"
    assert call("bob", "delete_workspace", {"id": 1}) == "User bob may not delete workspace 1"
    assert call("bob", "undelete_workspace", {"id": 1}) == "User bob may not undelete workspace 1"
    assert call("alice", "undelete_workspace", {"id": 1}) == "Workspace 1 is not deleted"


def test_renaming(call: Call) -> None:
    call("alice", "create_workspace", {"workspace": "taken"})

    def rename(name: str) -> Any:
        return call("alice", "rename_workspace", {"wsi": {"workspace": "ws"}, "new_name": name})

    assert rename("ws") == "Workspace is already named ws"
    assert rename("taken") == "There is already a workspace named taken"
    assert rename("bob:ws").startswith("Workspace name bob:ws must only contain the user name alice")
    assert rename("alice:ws")[:3] == [1, "alice:ws", "alice"]
    assert call("alice", "get_workspace_info", {"workspace": "ws"}) == "No workspace with name ws exists"


def test_a_deleted_workspace_keeps_its_name_its_content_and_its_permissions(call: Call) -> None:
    share(call, "alice", "r", "bob")
    call("alice", "delete_workspace", {"id": 1})
    assert call("bob", "create_workspace", {"workspace": "ws"}) == "Workspace name ws is already in use"
    assert call("bob", "list_workspace_ids", {}) == {"workspaces": [], "pub": []}
    assert call("bob", "list_workspace_info", {"showDeleted": 1}) == []
    assert [info[0] for info in call("alice", "list_workspace_info", {"showDeleted": 1})] == [1]
    call("alice", "undelete_workspace", {"id": 1})
    assert call("bob", "get_workspace_info", {"id": 1})[5] == "r"


def test_a_workspace_that_was_deleted_meanwhile_is_not_changed() -> None:
    stored = Workspaces(Collections(mongomock.MongoClient()["kbase_embedded"]))
    stored.create("alice", CreateWorkspaceParams(workspace="ws"))
    stored.set_deleted("alice", WorkspaceIdentity(id=1), deleted=True, as_admin=False)
    key = WorkspaceKey(None, "ws")
    with pytest.raises(WorkspaceError, match=r"^Workspace ws is deleted$"):
        stored.update(key, 1, {"$inc": {"max_objid": 1}})
    assert stored.existing(key, even_deleted=True)["max_objid"] == 0


@pytest.mark.parametrize(
    ("method", "params", "is_change"),
    [
        ("rename_workspace", {"wsi": {"id": 1}, "new_name": "other"}, True),
        ("alter_workspace_metadata", {"wsi": {"id": 1}, "remove": ["a"]}, True),
        ("delete_workspace", {"id": 1}, True),
        ("set_permissions", {"id": 1, "new_permission": "r", "users": ["bob"]}, False),
        ("set_global_permission", {"id": 1, "new_permission": "r"}, False),
    ],
)
def test_the_time_of_the_last_change_leaves_out_sharing(
    call: Call, monkeypatch: pytest.MonkeyPatch, method: str, params: Any, is_change: bool
) -> None:
    monkeypatch.setattr(workspaces, "moment", lambda: 32_503_680_000_000)
    call("alice", method, params)
    (info,) = call("alice", "list_workspace_info", {"showDeleted": 1})
    assert (info[3] == "3000-01-01T00:00:00+0000") is is_change


def test_metadata_is_added_replaced_and_removed(call: Call) -> None:
    def alter(user: str = "alice", **params: Any) -> Any:
        return call(user, "alter_workspace_metadata", {"wsi": {"id": 1}, **params})

    alter(new={"a": "2", "$b.c": "3"})
    assert call("alice", "get_workspace_info", {"id": 1})[8] == {"a": "2", "$b.c": "3"}
    alter(remove=["a", "unknown"])
    assert call("alice", "get_workspace_info", {"id": 1})[8] == {"$b.c": "3"}
    assert alter() == "The new and remove params cannot both be null or empty"
    share(call, "alice", "w", "bob")
    assert alter("bob", new={"a": "1"}) == "User bob may not alter metadata for workspace 1"


def test_workspaces_are_listed_by_time_metadata_and_owner(call: Call) -> None:
    call("alice", "create_workspace", {"workspace": "ws2", "meta": {"a": "2"}})

    def listed(**params: Any) -> Any:
        found = call("alice", "list_workspace_info", params)
        return found if isinstance(found, str) else [info[0] for info in found]

    assert listed() == [1, 2]
    assert listed(meta={"a": "2"}) == [2]
    assert listed(meta={"a": "2", "b": "3"}) == "Only one metadata spec allowed"
    assert listed(owners=["bob"]) == []
    assert listed(after="2020-01-01T00:00:00Z", before_epoch=1) == []
    assert listed(after_epoch=1, before="2999-01-01T00:00:00Z") == [1, 2]
    assert listed(after="2020-01-01T00:00:00Z", after_epoch=1) == (
        "Cannot specify both timestamp and epoch for after parameter"
    )


def test_a_permission_of_none_lists_what_is_readable(call: Call) -> None:
    assert call("alice", "list_workspace_ids", {"perm": "n"}) == {"workspaces": [1], "pub": []}
    assert call("bob", "list_workspace_ids", {"perm": "n"}) == {"workspaces": [], "pub": []}


def test_what_an_administrator_who_only_reads_may_do(call: Call) -> None:
    assert administer(call, "auditor", "getPermissionsMass", {"workspaces": [{"id": 1}]}) == {"perms": [{"alice": "a"}]}
    assert administer(call, "auditor", "getPermissions", {"id": 1}, user="bob") == {"bob": "n"}
    needs_more = "Full administration rights required for this command"
    for command in ("setPermissions", "createWorkspace", "deleteWorkspace", "undeleteWorkspace"):
        assert administer(call, "auditor", command, {"id": 1}) == needs_more


def test_what_a_full_administrator_may_do(call: Call) -> None:
    share(call, "alice", "w", "bob")
    assert administer(call, "root", "setPermissions", {"id": 1, "new_permission": "r", "users": ["bob"]}) is None
    assert administer(call, "root", "getPermissions", {"id": 1}) == {"alice": "a", "bob": "r"}
    assert administer(call, "root", "deleteWorkspace", {"id": 1}) is None
    assert administer(call, "root", "deleteWorkspace", {"id": 1}) == "Workspace 1 is deleted"
    assert administer(call, "root", "undeleteWorkspace", {"id": 1}) is None
    assert administer(call, "root", "createWorkspace", {"workspace": "w2"}, user="carol")[2] == "carol"


@pytest.mark.parametrize(
    ("command", "params", "user", "said"),
    [
        ("createWorkspace", {"workspace": "w2"}, "nosuch", "User nosuch is not a valid user"),
        ("listWorkspaces", {}, None, "User may not be null"),
        ("getWorkspaceInfo", None, None, "Method parameters WorkspaceIdentity may not be null"),
        (
            *("getPermissionsMass", {"workspaces": 5}, None),
            "Unable to deserialize GetPermissionsMassParams out of params field: workspaces: expected a list, found 5",
        ),
    ],
)
def test_a_command_with_wrong_parameters(call: Call, command: str, params: Any, user: str | None, said: str) -> None:
    assert administer(call, "root", command, params, user=user) == said
