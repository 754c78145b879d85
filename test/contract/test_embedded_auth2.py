"""Replays what the real Auth2 was recorded to answer, each request against the state that it was made in."""

from collections.abc import Callable
from typing import Any

import pytest
from recorded import assert_same, exchanges, name_of, request_arguments
from werkzeug.test import Client

from execution_engine.embedded.auth2 import Accounts, create_auth2_app

LEFT_OUT = {
    "root_no_accept_header": "a page for browsers",
    "testmode_root": "test mode: there is none",
    "update_me": "changing an account: the embedded accounts are fixed",
    "admin_anonids": "administration",
    "admin_anonids_not_admin": "administration",
    "revoke_own_token": "a page's method, not the API's",
    "local_login": "passwords: there are none",
    "users_search": "search for users: nothing of ours calls it",
    "users_search_display": "search for users: nothing of ours calls it",
    "users_search_all_fields": "search for users: nothing of ours calls it",
    "legacy_globus_token": "Globus's protocol: nothing of ours calls it",
    "legacy_globus_token_invalid": "Globus's protocol: nothing of ours calls it",
    "legacy_globus_user": "Globus's protocol: nothing of ours calls it",
}
TEST_MODE_ADMINISTRATION = "/testmode/api/V2/testmodeonly/"

ALICE = {"auth2-testmode": "TULKZ6UJOA45VSNFRBIS2TSG5YSZV4B5", "auth2": "GZ3YGZW6DGRXEWEHDXISYLLSYFHIDZVQ"}
AGENT = "JTQZ5FKCUGXMCOD7WBNTJOHYTWUDSLTX"
EXPIRED = {"auth2-testmode": "LKG6U6MZJA3ZSRC4WENFCYXQ6EO47ZXF", "auth2": AGENT}
DISABLED = "HZYQ76HRZOKHNDUBAY6EJO23F2YWXMYV"
PEOPLE = {
    "auth2-testmode": {"alice": "Alice A", "bob": "Bob B", "carol": "Carol C", "eeadmin": "EE Admin"},
    "auth2": {
        "alice": "Alice Display",
        "bob": "Bob Display",
        "eeadmin": "Eeadmin Display",
        "kbadmin": "Kbadmin Display",
        "disableduser": "Disableduser Display",
    },
}
ROLES = {
    ("auth2-testmode", "carol"): {"roles": ["DevToken", "Admin"], "custom_roles": ["EE2_ADMIN"]},
    ("auth2-testmode", "eeadmin"): {"custom_roles": ["EE2_ADMIN"]},
    ("auth2", "eeadmin"): {"custom_roles": ["EE2_ADMIN"]},
    ("auth2", "kbadmin"): {"roles": ["Admin"]},
}


class World:
    """A database in the state that the recording began with, and the server before it."""

    def __init__(self, database: Any, service: str) -> None:
        self.database = database
        self.accounts = Accounts(self.database)
        self.client = Client(create_auth2_app(self.accounts))
        self.service = service
        for name, display in PEOPLE[service].items():
            self.accounts.ensure_user(name, display)
            self.change(name, **ROLES.get((service, name), {}))
        for exchange in exchanges(service):
            token = exchange["request"]["headers"].get("Authorization")
            if token and "as_user" in exchange:
                self.accounts.issue(exchange["as_user"].split()[0], "Login", secret=token)
        if service == "auth2":
            for name in PEOPLE[service]:
                self.change(name, email=f"{name}@example.org", last_login=1795371368798)

    def change(self, user: str, **fields: Any) -> None:
        if fields:
            self.database["auth_users"].update_one({"_id": user}, {"$set": fields})


def with_agent_token(world: World) -> None:
    world.accounts.issue("alice", "Agent", name="agent one", custom={"k": "v"}, secret=AGENT)


def with_expired_token(world: World) -> None:
    world.accounts.issue("alice", "Agent", secret=EXPIRED[world.service], lifetime_ms=-1)


def with_disabled_account(world: World) -> None:
    world.change("disableduser", disabled=True)


def with_disabled_account_after_it_was_noticed(world: World) -> None:
    with_disabled_account(world)
    refused = world.client.get("/api/V2/me", headers={"Authorization": DISABLED})
    assert refused.status_code == 403


def with_alice_renamed(world: World) -> None:
    with_disabled_account(world)
    world.change("alice", display="Alice Renamed")


STATE: dict[str, Callable[[World], None]] = {
    "agent_token_introspect": with_agent_token,
    "create_agent_token_from_agent_token": with_agent_token,
    "token_expired": with_expired_token,
    "me_expired_token": with_expired_token,
    "token_disabled_user_with_live_token": with_disabled_account,
    "legacy_login_disabled_user_with_live_token": with_disabled_account,
    "me_disabled_user_with_live_token": with_disabled_account,
    "me_disabled_user_with_live_token_again": with_disabled_account_after_it_was_noticed,
    "me_disabled_user": with_disabled_account_after_it_was_noticed,
    "token_disabled_user": with_disabled_account_after_it_was_noticed,
    "users_list_includes_disabled": with_alice_renamed,
}


def replayed() -> list[dict[str, Any]]:
    return [
        exchange
        for exchange in exchanges("auth2", "auth2-testmode")
        if exchange["name"] not in LEFT_OUT and not exchange["request"]["path"].startswith(TEST_MODE_ADMINISTRATION)
    ]


@pytest.mark.parametrize("exchange", replayed(), ids=name_of)
def test_answers_as_the_real_server(kbase_database: Any, exchange: dict[str, Any]) -> None:
    world = World(kbase_database, exchange["service"])
    STATE.get(exchange["name"], lambda _world: None)(world)
    answer = world.client.open(**request_arguments(exchange, path_prefix="/testmode"))
    ignore = ("gitcommithash",) if exchange["name"] == "root" else ()
    assert_same(exchange["response"], answer.status_code, answer.headers, answer.data, ignore=ignore)


def test_what_is_left_out_was_recorded() -> None:
    assert set(LEFT_OUT) <= {exchange["name"] for exchange in exchanges("auth2", "auth2-testmode")}


def test_everything_else_is_replayed() -> None:
    assert len(replayed()) == 76


@pytest.mark.parametrize(("service", "token"), ALICE.items())
def test_a_replayed_token_is_known_only_by_its_hash(kbase_database: Any, service: str, token: str) -> None:
    world = World(kbase_database, service)
    assert token not in str(list(world.database["auth_tokens"].find()))
    assert world.accounts.owner(token) == "alice"
