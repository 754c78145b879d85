"""The client of the Workspace against recorded exchanges with the real one."""

from collections.abc import Iterator

import pytest
from kbase_player import Player, playing, question, recorded, token_of

from execution_engine.core.errors import (
    EngineError,
    ObjectNotReadable,
    PermissionDenied,
    TokenInvalid,
    TokenMissing,
    WorkspaceNotFound,
    WorkspaceUnavailable,
)
from execution_engine.kbase.objects import ObjectInfo
from execution_engine.kbase.permissions import Permission, WorkspaceAccess
from execution_engine.kbase.workspace import Workspace, WorkspaceInfo

GONE = WorkspaceAccess(Permission.NONE, deleted=True)
NONE = WorkspaceAccess(Permission.NONE)
READ, WRITE, ADMIN = (WorkspaceAccess(it) for it in (Permission.READ, Permission.WRITE, Permission.ADMIN))
ALICE, BOB, CAROL, NOBODY = (
    token_of("workspace", f"get_permissions_mass_as_{it}") for it in ("owner", "writer", "reader", "none")
)
WS_ADMIN = token_of("workspace", "administer_getPermissionsMass")


@pytest.fixture
def player() -> Iterator[Player]:
    with playing() as server:
        yield server


@pytest.fixture
def workspace(player: Player) -> Workspace:
    return Workspace(player.url)


class TestPermissions:
    @pytest.mark.parametrize(
        ("who", "user", "token", "expected"),
        [
            ("owner", "alice", ALICE, {1: ADMIN, 3: WorkspaceAccess(Permission.ADMIN, public=True), 2: ADMIN}),
            ("writer", "bob", BOB, {1: WRITE, 3: WorkspaceAccess(Permission.ADMIN, public=True), 2: NONE}),
            ("reader", "carol", CAROL, {1: READ, 3: WorkspaceAccess(Permission.NONE, public=True), 2: NONE}),
            ("none", "nobody", NOBODY, {1: NONE, 3: WorkspaceAccess(Permission.NONE, public=True), 2: NONE}),
        ],
    )
    def test_own_and_public_access(
        self,
        player: Player,
        workspace: Workspace,
        who: str,
        user: str,
        token: str,
        expected: dict[int, WorkspaceAccess],
    ) -> None:
        by_id = [{"workspaces": [{"id": 1}, {"id": 3}, {"id": 2}]}]  # the record names the third: alice_ws_min
        player.play("workspace", f"get_permissions_mass_as_{who}", params=by_id)
        assert workspace.permissions(user, [1, 3, 2, 3], token) == expected
        assert player.asked == 1

    @pytest.mark.parametrize(("name", "bad"), [("no_such_ws", 99999), ("deleted", 4)])
    def test_a_bad_workspace_does_not_fail_the_others(
        self, player: Player, workspace: Workspace, name: str, bad: int
    ) -> None:
        player.play("workspace", f"get_permissions_mass_{name}")
        player.play("workspace", "get_permissions_mass_string_id", params=[{"workspaces": [{"id": 1}]}])
        assert workspace.permissions("alice", [1, bad], ALICE) == {1: ADMIN, bad: GONE}
        assert player.asked == 2

    def test_ids_that_no_workspace_can_have_are_not_asked_for(self, player: Player, workspace: Workspace) -> None:
        assert workspace.permissions("alice", [0, -1, 2**63], ALICE) == {0: GONE, -1: GONE, 2**63: GONE}
        assert player.asked == 0

    def test_no_workspaces_need_no_call(self, player: Player, workspace: Workspace) -> None:
        assert workspace.permissions("alice", [], ALICE) == {}
        assert player.asked == 0

    @pytest.mark.parametrize(
        ("name", "expected"),
        [
            ("auth_bad_token", TokenInvalid),
            ("auth_required_no_token", TokenMissing),
            ("auth_service_down", WorkspaceUnavailable),
            ("server_startup_failed", WorkspaceUnavailable),
            ("get_permissions_mass_1000", WorkspaceUnavailable),
            ("get_permissions_mass_null_param", WorkspaceUnavailable),
            ("method_unknown", WorkspaceUnavailable),
            ("envelope_bad_json", WorkspaceUnavailable),
        ],
    )
    def test_refusals_of_the_call(
        self, player: Player, workspace: Workspace, name: str, expected: type[EngineError]
    ) -> None:
        asked = question("POST", "/", "T", {"version": "1.1", "method": "Workspace.get_permissions_mass",
                                            "params": [{"workspaces": [{"id": 1}]}], "id": "1"})  # fmt: skip
        player.answers[asked].append(recorded("workspace", name)["response"])
        with pytest.raises(expected) as raised:
            workspace.permissions("alice", [1], "T")
        assert "java" not in raised.value.message

    def test_an_admin_sees_everybody(self, player: Player, workspace: Workspace) -> None:
        player.play("workspace", "administer_getPermissionsMass")
        assert workspace.mass_permissions_as_admin([1, 5], WS_ADMIN) == {
            1: {"carol": Permission.READ, "bob": Permission.WRITE, "alice": Permission.ADMIN},
            5: {"bob": Permission.ADMIN},
        }

    @pytest.mark.parametrize(("name", "wsid"), [("no_such_ws", 99999), ("deleted_ws", 4)])
    def test_for_an_admin_a_bad_workspace_has_no_users(
        self, player: Player, workspace: Workspace, name: str, wsid: int
    ) -> None:
        player.play("workspace", f"administer_getPermissionsMass_{name}")
        assert workspace.mass_permissions_as_admin([wsid], WS_ADMIN) == {wsid: {}}

    def test_who_is_no_admin_is_told(self, player: Player, workspace: Workspace) -> None:
        player.play("workspace", "administer_getPermissionsMass_not_admin")
        with pytest.raises(PermissionDenied, match="User alice is not an admin"):
            workspace.mass_permissions_as_admin([1], ALICE)


class TestWorkspaces:
    def test_readable_workspaces_are_own_and_shared_ones(self, player: Player, workspace: Workspace) -> None:
        player.play("workspace", "list_workspace_ids")
        assert workspace.readable_workspaces(ALICE) == [1, 2, 3, 4]

    def test_public_workspaces_do_not_count_as_readable(self, player: Player, workspace: Workspace) -> None:
        player.play("workspace", "list_workspace_ids_nobody_default")
        assert workspace.readable_workspaces(NOBODY) == []

    def test_a_bad_token_lists_nothing(self, player: Player, workspace: Workspace) -> None:
        player.play("workspace", "list_workspace_ids_bad_token")
        with pytest.raises(TokenInvalid):
            workspace.readable_workspaces(token_of("workspace", "list_workspace_ids_bad_token"))

    def test_info_of_a_workspace_that_is_no_narrative(self, player: Player, workspace: Workspace) -> None:
        player.play("workspace", "get_workspace_info_as_reader")
        assert workspace.info(1, CAROL) == WorkspaceInfo(1, "alice_ws", "alice", None)

    @pytest.mark.parametrize(("name", "wsid"), [("as_none", 1), ("no_such", 99999), ("deleted", 4)])
    def test_unreadable_missing_and_deleted_look_the_same(
        self, player: Player, workspace: Workspace, name: str, wsid: int
    ) -> None:
        player.play("workspace", f"get_workspace_info_{name}")
        with pytest.raises(WorkspaceNotFound) as raised:
            workspace.info(wsid, token_of("workspace", f"get_workspace_info_{name}"))
        assert raised.value.message == f"There is no workspace {wsid}, or you may not read it."

    def test_ping(self, player: Player, workspace: Workspace) -> None:
        player.play("workspace", "ver")
        workspace.ping()
        assert player.asked == 1

    def test_ping_of_a_server_that_does_not_start(self, player: Player, workspace: Workspace) -> None:
        player.play("workspace", "server_startup_failed")
        with pytest.raises(WorkspaceUnavailable, match="did not start up properly"):
            workspace.ping()


class TestObjects:
    def test_unreadable_objects(self, player: Player, workspace: Workspace) -> None:
        player.play("workspace", "get_object_info3_ignoreerrors_missing")
        refs = ["1/1/1", "1/99/1", "99999/1/1"]
        assert workspace.unreadable_objects([*refs, "1/99/1", "not a ref"], ALICE) == [
            "1/99/1", "99999/1/1", "1/99/1", "not a ref",
        ]  # fmt: skip

    def test_an_object_that_the_user_may_not_read(self, player: Player, workspace: Workspace) -> None:
        player.play("workspace", "get_object_info3_ignoreerrors_no_permission")
        assert workspace.unreadable_objects(["5/1/1"], CAROL) == ["5/1/1"]

    def test_objects_by_name_are_found_with_their_numbers(self, player: Player, workspace: Workspace) -> None:
        by_name = [{"objects": [{"ref": "1/1/1"}, {"ref": "1/obj2"}], "ignoreErrors": 1}]
        player.play("workspace", "get_object_info3", params=by_name)
        assert workspace.object_infos(["1/1/1", "1/obj2"], ALICE) == [
            ObjectInfo("1/1/1", "obj1", "TestMod.Thing-1.0", 19),
            ObjectInfo("1/2/1", "obj2", "TestMod.Thing-1.0", 9),
        ]

    def test_a_reference_that_the_workspace_refuses_does_not_fail_the_others(
        self, player: Player, workspace: Workspace
    ) -> None:
        # Of another form than ours, which the client would not have sent.
        refused = [{"objects": [{"ref": "looks/good"}, {"ref": "1/1/1"}], "ignoreErrors": 1}]
        alone = [{"objects": [{"ref": "1/1/1"}], "ignoreErrors": 1}]
        player.play("workspace", "get_object_info3_bad_ref", params=refused)
        player.play("workspace", "get_object_info3_includemetadata", params=alone)
        assert workspace.unreadable_objects(["looks/good", "1/1/1"], ALICE) == ["looks/good"]

    def test_objects_come_with_their_data(self, player: Player, workspace: Workspace) -> None:
        player.play("workspace", "get_objects2")
        (found,) = workspace.get_objects(["1/1/1"], ALICE)
        assert found.data == {"bar": 1, "foo": "x"}
        assert found.info == ObjectInfo("1/1/1", "obj1", "TestMod.Thing-1.0", 19)

    @pytest.mark.parametrize("name", ["missing_object", "missing_ws", "no_permission", "bad_ref"])
    def test_objects_that_can_not_be_read(self, player: Player, workspace: Workspace, name: str) -> None:
        asked = question("POST", "/", "T", {"version": "1.1", "method": "Workspace.get_objects2",
                                            "params": [{"objects": [{"ref": "1/2/3"}]}], "id": "1"})  # fmt: skip
        player.answers[asked].append(recorded("workspace", f"get_object_info3_{name}")["response"])
        with pytest.raises(ObjectNotReadable, match="The Workspace refuses: "):
            workspace.get_objects(["1/2/3"], "T")

    def test_no_objects_need_no_call(self, player: Player, workspace: Workspace) -> None:
        assert workspace.get_objects([], ALICE) == []
        assert workspace.object_infos([], ALICE) == []
        assert player.asked == 0
