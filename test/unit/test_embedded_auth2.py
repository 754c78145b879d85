"""The embedded Auth2 where no recording reaches."""

from typing import Any

import mongomock
import pytest
from pymongo.errors import AutoReconnect
from werkzeug.test import Client, TestResponse

from execution_engine.core import clock
from execution_engine.embedded.auth2 import Accounts, create_auth2_app
from execution_engine.embedded.auth2.accounts import DAY_MS
from execution_engine.embedded.limits import MAX_BODY_BYTES
from execution_engine.embedded.tokens import new_token, token_hash


@pytest.fixture
def database() -> Any:
    return mongomock.MongoClient(tz_aware=True)["kbase_embedded"]


@pytest.fixture
def accounts(database: Any) -> Accounts:
    found = Accounts(database)
    found.ensure_indexes()
    found.ensure_user("alice", "Alice", custom_roles=["B_ROLE", "A_ROLE"])
    return found


@pytest.fixture
def client(accounts: Accounts) -> Client:
    return Client(create_auth2_app(accounts))


def error_of(answer: TestResponse) -> dict[str, Any]:
    assert answer.headers["Content-Type"] == "application/json"
    error: dict[str, Any] = answer.get_json()["error"]
    assert error["httpcode"] == answer.status_code
    return error


class TestTokens:
    def test_a_token_is_32_characters_of_base_32(self) -> None:
        tokens = {new_token() for _ in range(100)}
        assert len(tokens) == 100
        assert all(len(token) == 32 and set(token) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567") for token in tokens)

    def test_the_hash_is_sha256(self) -> None:
        assert token_hash("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


class TestAccounts:
    def test_a_token_lives_as_long_as_its_type(self, accounts: Accounts) -> None:
        for kind, days in {"Login": 14, "Agent": 7, "Developer": 90}.items():
            secret, issued = accounts.issue("alice", kind)
            assert issued.expires - issued.created == days * DAY_MS
            assert accounts.token(secret) == issued

    def test_an_expired_token_is_unknown_before_mongodb_removes_it(self, accounts: Accounts, database: Any) -> None:
        secret, _ = accounts.issue("alice", "Login")
        passed = {"expires": clock.to_ms(clock.now()) - 1}
        database["auth_tokens"].update_one({"_id": token_hash(secret)}, {"$set": passed})
        assert accounts.token(secret) is None
        assert accounts.owner(secret) is None

    def test_the_record_of_a_token_is_removed_when_it_expires(self, accounts: Accounts, database: Any) -> None:
        _, issued = accounts.issue("alice", "Login")
        assert clock.to_ms(database["auth_tokens"].find_one()["remove_at"]) == issued.expires
        indexes = database["auth_tokens"].index_information()
        assert indexes["remove_at_1"]["expireAfterSeconds"] == 0

    def test_an_account_is_made_once_and_only_gains_roles(self, accounts: Accounts) -> None:
        before = accounts.user("alice")
        accounts.ensure_user("alice", "Another name", custom_roles=["C_ROLE", "A_ROLE"])
        assert accounts.user("alice") == {**before, "custom_roles": ["B_ROLE", "A_ROLE", "C_ROLE"]}
        assert accounts.custom_roles("alice") == ["A_ROLE", "B_ROLE", "C_ROLE"]

    def test_a_disabled_account_has_no_roles_and_does_not_exist(self, accounts: Accounts, database: Any) -> None:
        database["auth_users"].update_one({"_id": "alice"}, {"$set": {"disabled": True}})
        assert accounts.custom_roles("alice") == []
        assert not accounts.exists("alice")
        assert accounts.custom_roles("nobody") == []


class TestAgentTokens:
    @pytest.fixture
    def headers(self, accounts: Accounts) -> dict[str, str]:
        return {"Authorization": accounts.issue("alice", "Login")[0]}

    def test_context_keys_may_have_dots(self, client: Client, headers: dict[str, str]) -> None:
        made = client.post("/api/V2/token", headers=headers, json={"name": " a job ", "customcontext": {"a.b": "$c"}})
        seen = client.get("/api/V2/token", headers={"Authorization": made.json["token"]}).json
        assert (seen["name"], seen["custom"], seen["user"]) == ("a job", {"a.b": "$c"}, "alice")

    def test_without_a_context_it_is_empty(self, client: Client, headers: dict[str, str]) -> None:
        assert client.post("/api/V2/token", headers=headers, json={"name": "a job"}).json["custom"] == {}

    @pytest.mark.parametrize(
        ("body", "message"),
        [
            (b"{", "30001 Illegal input parameter: The request body is not JSON"),
            (b"[" * 100_000, "30001 Illegal input parameter: The request body is not JSON"),
            (b"null", "30000 Missing input parameter: JSON body missing"),
            (b"{}", "30000 Missing input parameter: token name"),
            (b'{"name": "  "}', "30000 Missing input parameter: token name"),
            (b'{"name": 1}', "30001 Illegal input parameter: token name must be a string"),
            (b'{"name": "%s"}' % (b"x" * 31), "30001 Illegal input parameter: token name size greater than limit 30"),
            (b'{"name": "x", "foo": 1}', "30001 Illegal input parameter: Unexpected parameters in request: foo"),
            (
                b'{"name": "x", "customcontext": {"k": 1}}',
                "30001 Illegal input parameter: customcontext must be a mapping of strings to strings",
            ),
            (
                b'{"name": "x", "customcontext": {"key": "%s"}}' % (b"v" * 81),
                "30001 Illegal input parameter: customcontext 'key': keys have at most 20 characters, values 80",
            ),
            (
                b'{"name": "x", "customcontext": {%s}}' % b",".join(b'"%d": ""' % n for n in range(21)),
                "30001 Illegal input parameter: customcontext has more than 20 entries",
            ),
        ],
    )
    def test_a_bad_request_says_what_is_wrong(
        self, client: Client, headers: dict[str, str], body: bytes, message: str
    ) -> None:
        answer = client.post("/api/V2/token", headers=headers, data=body)
        assert (answer.status_code, error_of(answer)["message"]) == (400, message)


class TestErrors:
    def test_a_body_beyond_the_limit_is_not_read(self, client: Client, accounts: Accounts) -> None:
        headers = {"Authorization": accounts.issue("alice", "Login")[0]}
        announced = {"CONTENT_LENGTH": str(MAX_BODY_BYTES + 1)}
        answer = client.post("/api/V2/token", headers=headers, data=b"{}", environ_overrides=announced)
        assert error_of(answer)["message"] == "HTTP 413 Request Entity Too Large"

    @pytest.mark.parametrize(
        ("name", "message"),
        [
            ("1abc", "Username must start with a letter"),
            ("a" * 101, "user name size greater than limit 100"),
        ],
    )
    def test_user_names_that_can_not_be(self, client: Client, accounts: Accounts, name: str, message: str) -> None:
        headers = {"Authorization": accounts.issue("alice", "Login")[0]}
        answer = client.get(f"/api/V2/users?list=alice,{name}", headers=headers)
        assert error_of(answer)["message"].endswith(f"[{name}]: 30010 Illegal user name: {message}")

    def test_a_token_of_an_account_that_is_gone(self, client: Client, accounts: Accounts) -> None:
        headers = {"Authorization": accounts.issue("gone", "Login")[0]}
        assert error_of(client.get("/api/V2/me", headers=headers))["appcode"] == 10020

    def test_a_page_for_those_who_take_no_json(self, client: Client) -> None:
        answer = client.get("/<b>", headers={"Accept": "text/html"})
        assert (answer.status_code, answer.headers["Content-Type"]) == (404, "text/html")
        assert "Message: HTTP 404 Not Found<br/>" in answer.text

    @pytest.mark.parametrize(
        ("failure", "message"),
        [
            (AutoReconnect("10.0.0.1: closed"), "The database can't be reached; try again later"),
            (RuntimeError("a secret"), "Internal server error"),
        ],
    )
    def test_a_failure_is_no_stack_trace(
        self, accounts: Accounts, monkeypatch: pytest.MonkeyPatch, failure: Exception, message: str
    ) -> None:
        def fail(_secret: str) -> None:
            raise failure

        monkeypatch.setattr(accounts, "token", fail)
        answer = Client(create_auth2_app(accounts)).get("/api/V2/token", headers={"Authorization": "x"})
        assert (answer.status_code, error_of(answer)["message"]) == (500, message)

    def test_paths_are_not_redirected(self, client: Client) -> None:
        assert client.get("").json["servicename"] == "Authentication Service"
        assert error_of(client.get("//api/V2/me"))["httpcode"] == 404
        assert error_of(client.get("/api/V2/me/"))["appcode"] == 10010
