"""The clients of Auth2 and Catalog against recorded exchanges with the real services."""

import datetime as dt
import re
from collections.abc import Iterator

import pytest
from kbase_player import Player, playing, question, recorded, token_of

from execution_engine.core.errors import (
    AccountDisabled,
    AppMisconfigured,
    AppNotFound,
    AuthUnavailable,
    CatalogUnavailable,
    ConfigurationError,
    EngineError,
    TokenInvalid,
    TokenMissing,
)
from execution_engine.kbase.auth import Account, Auth, TokenInfo
from execution_engine.kbase.catalog import Catalog, Execution
from execution_engine.kbase.modules import SecureParam, VolumeMount
from execution_engine.kbase.placement import Placement, read_placement


@pytest.fixture
def player() -> Iterator[Player]:
    with playing() as server:
        yield server


@pytest.fixture(params=["auth2", "auth2-testmode"])
def auth_kind(request: pytest.FixtureRequest) -> str:
    kind: str = request.param
    return kind


@pytest.fixture
def auth(player: Player, auth_kind: str) -> Auth:
    return Auth(player.url + ("/testmode" if auth_kind == "auth2-testmode" else ""))


@pytest.fixture
def catalog(player: Player) -> Catalog:
    return Catalog(player.url)


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

    def test_a_name_that_no_user_has_does_not_fail_the_others(self, player: Player, auth: Auth, auth_kind: str) -> None:
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

    def test_the_owners_of_a_module(self, player: Player, catalog: Catalog) -> None:
        player.play("catalog", "get_module_info")
        assert catalog.owners("onerepotest") == ("rsutormin", "wstester1")

    def test_placements(self, player: Player, catalog: Catalog) -> None:
        player.play("catalog", "list_client_group_configs")
        player.play("catalog", "list_client_group_configs_none")
        assert catalog.placement("onerepotest", "send_data") == Placement("njs", {"cpus": 4, "memory_mb": 1000})
        assert catalog.placement("onerepotest", "nosuch") == Placement()

    @pytest.mark.parametrize(
        ("app", "expected"),
        [
            ("CGTest1.func1", Placement("G1")),
            ("CGTest1.func2", "after the client group comes key=value, found 'G2'"),
            ("module1234.app", "after the client group comes key=value, found 'G2'"),
            ("module421.app2", Placement("G2")),
            ("module4.app2312", Placement()),
            ("onerepotest.send_data", Placement("njs", {"cpus": 4, "memory_mb": 1000})),
            ("onerepotest.jsonfn", Placement("bigmem", {"cpus": 8})),
        ],
    )
    def test_every_recorded_client_group_is_understood_or_refused(self, app: str, expected: Placement | str) -> None:
        configs = recorded("catalog", "list_client_group_configs_all")["response"]["body"]["result"][0]
        texts = {f"{it['module_name']}.{it['function_name']}": it["client_groups"] for it in configs}
        assert len(texts) == 7
        if isinstance(expected, Placement):
            assert read_placement(texts[app], app) == expected
        else:
            with pytest.raises(AppMisconfigured, match=re.escape(f"client groups of {app} can't be used: {expected}")):
                read_placement(texts[app], app)

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
        ("name", "module", "version"),
        [("unknown_module", "NoSuchModule", "dev"), ("unknown_version", "onerepotest", "zzz")],
    )
    def test_secure_params_of_an_unknown_app(
        self, player: Player, catalog: Catalog, name: str, module: str, version: str
    ) -> None:
        params = [{"module_name": module, "version": version, "load_all_versions": 0}]
        player.play("catalog", f"get_secure_config_params_{name}", params=params)
        with pytest.raises(AppNotFound, match=module):
            catalog.secure_params(module, version, CATALOG_ADMIN)

    @pytest.mark.parametrize("name", ["log_exec_stats", "log_exec_stats_error_no_app"])
    def test_statistics_are_logged_in_seconds(self, player: Player, catalog: Catalog, name: str) -> None:
        player.play("catalog", name)
        (record,) = recorded("catalog", name)["request"]["body"]["params"]
        job = Execution(
            job_id=record["job_id"],
            user_id=record["user_id"],
            func_module_name=record["func_module_name"],
            func_name=record["func_name"],
            git_commit_hash=record["git_commit_hash"],
            created=dt.datetime.fromtimestamp(record["creation_time"], dt.UTC),
            started=dt.datetime.fromtimestamp(record["exec_start_time"], dt.UTC),
            finished=dt.datetime.fromtimestamp(record["finish_time"], dt.UTC),
            is_error=bool(record["is_error"]),
            app_module_name=record.get("app_module_name"),
            app_id=record.get("app_id"),
        )
        catalog.log_exec_stats(job, CATALOG_ADMIN)
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
