"""The clients of Auth2, Workspace and Catalog against recorded exchanges with the real services.

The player answers a request only if the real service was once asked the same: same method, path, token, parameters and
envelope. Where a test asks in other words (a workspace by id that the record names), it says so with ``params``.
"""

import datetime as dt
import json
import threading
from collections import defaultdict
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, TypeAlias

import pytest
from recorded import exchanges

from execution_engine.core.errors import (
    AccountDisabled,
    AppNotFound,
    AuthUnavailable,
    CatalogUnavailable,
    ConfigurationError,
    EngineError,
    ObjectNotReadable,
    PermissionDenied,
    TokenInvalid,
    TokenMissing,
    WorkspaceNotFound,
    WorkspaceUnavailable,
)
from execution_engine.kbase.auth import Account, Auth, TokenInfo
from execution_engine.kbase.catalog import Catalog, Execution
from execution_engine.kbase.modules import SecureParam, VolumeMount
from execution_engine.kbase.objects import ObjectInfo
from execution_engine.kbase.permissions import Permission, WorkspaceAccess
from execution_engine.kbase.workspace import Workspace, WorkspaceInfo

Question: TypeAlias = tuple[str | None, ...]

EXCHANGES = {(it["service"], it["name"]): it for it in exchanges("auth2", "auth2-testmode", "workspace", "catalog")}
GONE = WorkspaceAccess(Permission.NONE, deleted=True)
NONE = WorkspaceAccess(Permission.NONE)
READ, WRITE, ADMIN = (WorkspaceAccess(it) for it in (Permission.READ, Permission.WRITE, Permission.ADMIN))


def recorded(service: str, name: str) -> dict[str, Any]:
    return EXCHANGES[service, name]


def token_of(service: str, name: str) -> str:
    token: str = recorded(service, name)["request"]["headers"]["Authorization"]
    return token


def question(method: str, path: str, token: str | None, body: dict[str, Any] | None) -> Question:
    if body is None:
        return method, path, token
    assert isinstance(body.pop("id"), str)
    return method, path, token, json.dumps(body, sort_keys=True)


class Player(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Desk)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.answers: defaultdict[Question, list[dict[str, Any]]] = defaultdict(list)
        self.asked = 0
        self.surprises: list[Question] = []

    def play(self, service: str, name: str, *, params: list[Any] | None = None, token: str | None = None) -> None:
        exchange = recorded(service, name)
        request = exchange["request"]
        body = request["body"]
        if body is not None:
            body = dict(body) | ({} if params is None else {"params": params})
        token = token or request["headers"].get("Authorization")
        self.answers[question(request["method"], request["path"], token, body)].append(exchange["response"])

    def answer(self, asked: Question) -> dict[str, Any]:
        self.asked += 1
        answers = self.answers.get(asked)
        if not answers:
            self.surprises.append(asked)
            return {"status": 599, "headers": {}, "body": "never recorded"}
        return answers.pop(0) if len(answers) > 1 else answers[0]


class Desk(BaseHTTPRequestHandler):
    server: Player
    protocol_version = "HTTP/1.1"

    def handle_request(self) -> None:
        length = int(self.headers.get("Content-Length", 0))
        body = json.loads(self.rfile.read(length)) if length else None
        response = self.server.answer(question(self.command, self.path, self.headers.get("Authorization"), body))
        content = response["body"] if isinstance(response["body"], str) else json.dumps(response["body"])
        chunked = "Transfer-Encoding" in response["headers"]
        self.send_response(response["status"])
        for name, value in response["headers"].items():
            if name.lower() != "content-length":
                self.send_header(name, value)
        if not chunked:
            self.send_header("Content-Length", str(len(content.encode())))
        self.end_headers()
        data = content.encode()
        self.wfile.write(b"%x\r\n%s\r\n0\r\n\r\n" % (len(data), data) if chunked else data)

    do_GET = do_POST = handle_request  # noqa: N815  # the base class asks for these names

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def player() -> Iterator[Player]:
    server = Player()
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()
    assert server.surprises == []


@pytest.fixture(params=["auth2", "auth2-testmode"])
def auth_kind(request: pytest.FixtureRequest) -> str:
    kind: str = request.param
    return kind


@pytest.fixture
def auth(player: Player, auth_kind: str) -> Auth:
    return Auth(player.url + ("/testmode" if auth_kind == "auth2-testmode" else ""))


@pytest.fixture
def workspace(player: Player) -> Workspace:
    return Workspace(player.url)


@pytest.fixture
def catalog(player: Player) -> Catalog:
    return Catalog(player.url)


ALICE, BOB, CAROL, NOBODY = (
    token_of("workspace", f"get_permissions_mass_as_{it}") for it in ("owner", "writer", "reader", "none")
)
WS_ADMIN = token_of("workspace", "administer_getPermissionsMass")
CATALOG_ADMIN = token_of("catalog", "list_volume_mounts")


class TestAuth:
    def test_a_good_token_has_an_owner_and_an_end(self, player: Player, auth: Auth, auth_kind: str) -> None:
        player.play(auth_kind, "token")
        body = recorded(auth_kind, "token")["response"]["body"]
        assert auth.token_owner(token_of(auth_kind, "token")) == TokenInfo("alice", body["expires"])

    def test_white_space_around_a_token_is_not_sent(self, player: Player, auth: Auth, auth_kind: str) -> None:
        player.play(auth_kind, "token")
        assert auth.token_owner(f"  {token_of(auth_kind, 'token')}\n").user == "alice"

    @pytest.mark.parametrize("name", ["token_invalid", "token_bearer_prefix", "token_expired"])
    def test_unknown_foreign_and_expired_tokens_are_invalid(
        self, player: Player, auth: Auth, auth_kind: str, name: str
    ) -> None:
        player.play(auth_kind, name, token=token_of(auth_kind, name) if name != "token_expired" else "EXPIRED")
        token = "EXPIRED" if name == "token_expired" else token_of(auth_kind, name)
        with pytest.raises(TokenInvalid):
            auth.token_owner(token)

    @pytest.mark.parametrize("token", [None, "", "  \t"])
    def test_without_a_token_nobody_is_asked(self, player: Player, auth: Auth, token: str | None) -> None:
        for call in (auth.token_owner, auth.account, lambda it: auth.users(it, ["alice"])):
            with pytest.raises(TokenMissing):
                call(token)
        assert player.asked == 0

    @pytest.mark.parametrize("name", ["token_missing_header", "token_empty_header"])
    def test_the_400_of_a_missing_token_is_known(self, player: Player, auth: Auth, auth_kind: str, name: str) -> None:
        player.play(auth_kind, name, token="lost-on-the-way")
        with pytest.raises(TokenMissing):
            auth.token_owner("lost-on-the-way")

    def test_an_account_has_the_roles_that_sites_define(self, player: Player, auth: Auth, auth_kind: str) -> None:
        player.play(auth_kind, "me_with_customrole")
        account = auth.account(token_of(auth_kind, "me_with_customrole"))
        assert account.user == "eeadmin"
        assert account.custom_roles == {"EE2_ADMIN"}

    def test_an_account_without_roles(self, player: Player, auth: Auth, auth_kind: str) -> None:
        player.play(auth_kind, "me")
        display = recorded(auth_kind, "me")["response"]["body"]["display"]
        assert auth.account(token_of(auth_kind, "me")) == Account("alice", display, frozenset())

    def test_an_account_with_a_bad_token(self, player: Player, auth: Auth, auth_kind: str) -> None:
        player.play(auth_kind, "me_invalid_token")
        with pytest.raises(TokenInvalid):
            auth.account("notarealtoken")

    @pytest.mark.parametrize("auth_kind", ["auth2"], indirect=True)
    def test_a_disabled_account_says_so_once_and_then_its_token_is_gone(self, player: Player, auth: Auth) -> None:
        player.play("auth2", "me_disabled_user_with_live_token")
        player.play("auth2", "me_disabled_user_with_live_token_again")
        token = token_of("auth2", "me_disabled_user_with_live_token")
        with pytest.raises(AccountDisabled):
            auth.account(token)
        with pytest.raises(TokenInvalid):
            auth.account(token)

    def test_unknown_users_are_missing(self, player: Player, auth: Auth, auth_kind: str) -> None:
        player.play(auth_kind, "users_list_some_unknown")
        token = token_of(auth_kind, "users_list_some_unknown")
        assert list(auth.users(token, ["alice", "nosuchuser"])) == ["alice"]

    def test_a_name_that_no_user_has_does_not_fail_the_others(
        self, player: Player, auth: Auth, auth_kind: str
    ) -> None:
        player.play(auth_kind, "users_list")
        token = token_of(auth_kind, "users_list")
        assert set(auth.users(token, ["alice", "Bad-Name", "bob", "a,b"])) == {"alice", "bob"}

    def test_no_names_need_no_call(self, player: Player, auth: Auth) -> None:
        assert auth.users("any", ["Bad-Name"]) == {}
        assert player.asked == 0

    def test_users_with_a_bad_token(self, player: Player, auth: Auth, auth_kind: str) -> None:
        player.play(auth_kind, "users_list_invalid_token")
        with pytest.raises(TokenInvalid):
            auth.users("notarealtoken", ["alice"])

    def test_an_html_page_is_no_answer_of_auth(self, player: Player, auth: Auth, auth_kind: str) -> None:
        player.play(auth_kind, "not_acceptable")
        with pytest.raises(AuthUnavailable, match=r"HTTP 406\) is not JSON"):
            auth.token_owner(token_of(auth_kind, "not_acceptable"))

    def test_a_wrong_base_url_is_said_to_be_unavailable(self, player: Player, auth: Auth, auth_kind: str) -> None:
        exchange = recorded(auth_kind, "no_such_path")
        token = token_of(auth_kind, "no_such_path")
        path = exchange["request"]["path"].replace("nosuchpath", "token")
        player.answers["GET", path, token].append(exchange["response"])
        with pytest.raises(AuthUnavailable, match="HTTP 404"):
            auth.token_owner(token)

    @pytest.mark.parametrize("auth_kind", ["auth2-testmode"], indirect=True)
    def test_ping(self, player: Player, auth_kind: str) -> None:
        player.play(auth_kind, "root")
        Auth(player.url).ping()
        assert player.asked == 1


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


class TestCatalog:
    @pytest.mark.parametrize(
        ("name", "version"),
        [
            ("release", "release"),
            ("beta", "beta"),
            ("dev", "dev"),
            ("no_version", None),
            ("by_commit", "b843888e962642d665a3b0bd701ee630c01835e6"),
            ("semver", "0.0.1"),
            ("semver_range", ">=0.0.1"),
        ],
    )
    def test_a_version_of_a_container_app(
        self, player: Player, catalog: Catalog, name: str, version: str | None
    ) -> None:
        player.play("catalog", f"get_module_version_{name}")
        (expected,) = recorded("catalog", f"get_module_version_{name}")["response"]["body"]["result"]
        found = catalog.module_version("onerepotest", version)
        assert found.git_commit_hash == expected["git_commit_hash"]
        assert found.docker_img_name == expected["docker_img_name"]
        assert found.version == expected["version"]
        assert found.command_app is None
        assert found.command_function("whatever") is None

    def test_the_name_of_a_module_comes_back_as_registered(self, player: Player, catalog: Catalog) -> None:
        player.play("catalog", "get_module_version_case_insensitive")
        assert catalog.module_version("OneRepoTest", "release").module_name == "onerepotest"

    @pytest.mark.parametrize(
        ("name", "module", "version", "message"),
        [
            ("unknown_module", "NoSuchModule", "release", "The Catalog has no module NoSuchModule."),
            ("unknown_version", "onerepotest", "nosuchversion",
             "The Catalog has no version nosuchversion of the module onerepotest."),
            ("no_release", "pending_first_release", "release",
             "The Catalog has no version release of the module pending_first_release."),
        ],
    )  # fmt: skip
    def test_an_unknown_app_is_named(
        self, player: Player, catalog: Catalog, name: str, module: str, version: str | None, message: str
    ) -> None:
        player.play("catalog", f"get_module_version_{name}")
        with pytest.raises(AppNotFound) as raised:
            catalog.module_version(module, version)
        assert raised.value.message == message

    def test_client_groups(self, player: Player, catalog: Catalog) -> None:
        player.play("catalog", "list_client_group_configs")
        player.play("catalog", "list_client_group_configs_none")
        expected = ["njs", "request_cpus=4", "request_memory=1000M"]
        assert catalog.client_groups("onerepotest", "send_data") == expected
        assert catalog.client_groups("onerepotest", "nosuch") == []

    def test_volume_mounts(self, player: Player, catalog: Catalog) -> None:
        player.play("catalog", "list_volume_mounts")
        player.play("catalog", "list_volume_mounts_none")
        assert catalog.volume_mounts("VolMountModTest1", "func1", "G1", CATALOG_ADMIN) == [
            VolumeMount("/home/wstester1", "/mnt/tmp", read_only=True),
            VolumeMount("/home/wstester2", "/mnt/tmp", read_only=False),
        ]
        assert catalog.volume_mounts("no", "such", "x", CATALOG_ADMIN) == []

    def test_secure_params_do_not_show_their_values(self, player: Player, catalog: Catalog) -> None:
        player.play("catalog", "get_secure_config_params")
        found = catalog.secure_params("onerepotest", "dev", CATALOG_ADMIN)
        assert found == [SecureParam("param0", "value0", is_password=True), SecureParam("param1", "value1", False)]
        assert "value0" not in repr(found)

    @pytest.mark.parametrize(
        ("name", "module", "version"), [("unknown_module", "NoSuchModule", "dev"), ("unknown_version", "onerepotest", "zzz")]
    )  # fmt: skip
    def test_secure_params_of_an_unknown_app(
        self, player: Player, catalog: Catalog, name: str, module: str, version: str | None
    ) -> None:
        params = [{"module_name": module, "version": version, "load_all_versions": 0}]
        player.play("catalog", f"get_secure_config_params_{name}", params=params)
        with pytest.raises(AppNotFound, match=module):
            catalog.secure_params(module, version, CATALOG_ADMIN)

    @pytest.mark.parametrize("name", ["log_exec_stats", "log_exec_stats_error_no_app"])
    def test_statistics_are_logged_in_seconds(self, player: Player, catalog: Catalog, name: str) -> None:
        player.play("catalog", name)
        (record,) = recorded("catalog", name)["request"]["body"]["params"]
        times = {
            ours: dt.datetime.fromtimestamp(record[theirs], dt.UTC)
            for ours, theirs in (
                ("created", "creation_time"), ("started", "exec_start_time"), ("finished", "finish_time")
            )
        }  # fmt: skip
        texts = {key: value for key, value in record.items() if isinstance(value, str)}
        catalog.log_exec_stats(Execution(**texts, **times, is_error=bool(record["is_error"])), CATALOG_ADMIN)
        assert player.asked == 1

    @pytest.mark.parametrize(
        ("name", "expected"),
        [
            ("not_admin", ConfigurationError),
            ("no_token", ConfigurationError),
            ("bad_token", ConfigurationError),
            ("millis", CatalogUnavailable),
        ],
    )
    def test_statistics_that_the_catalog_refuses(
        self, player: Player, catalog: Catalog, name: str, expected: type[EngineError]
    ) -> None:
        now = dt.datetime.fromtimestamp(1, dt.UTC)
        job = Execution("5d51aa0517554f4cfd7b8a2b", "alice", "m", "f", "0" * 40, now, now, now, is_error=False)
        body = {"version": "1.1", "method": "Catalog.log_exec_stats", "params": [job.record()], "id": "1"}
        player.answers[question("POST", "/", "T", body)].append(
            recorded("catalog", f"log_exec_stats_{name}")["response"]
        )
        with pytest.raises(expected):
            catalog.log_exec_stats(job, "T")

    def test_an_auth_service_that_the_catalog_can_not_reach_is_an_outage_without_its_address(
        self, player: Player, catalog: Catalog
    ) -> None:
        params = [{"module_name": "m", "function_name": "f", "client_group": "g"}]
        token = token_of("catalog", "auth_service_down")
        player.play("catalog", "auth_service_down", params=params)
        with pytest.raises(CatalogUnavailable) as raised:
            catalog.volume_mounts("m", "f", "g", token)
        assert "KBASE_HOST" not in raised.value.message

    @pytest.mark.parametrize("name", ["envelope_no_id", "envelope_id_null"])
    def test_answers_that_are_no_json(self, player: Player, catalog: Catalog, name: str) -> None:
        body = {"version": "1.1", "method": "Catalog.version", "params": [], "id": "1"}
        player.answers[question("POST", "/", None, body)].append(recorded("catalog", name)["response"])
        with pytest.raises(CatalogUnavailable, match="is not JSON"):
            catalog.ping()

    def test_ping(self, player: Player, catalog: Catalog) -> None:
        player.play("catalog", "version")
        catalog.ping()
        assert player.asked == 1
