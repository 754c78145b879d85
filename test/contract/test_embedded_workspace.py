"""Replays what the real Workspace was recorded to answer, in the order in which it happened, on both databases."""

import json
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import mongomock
import pymongo
import pytest
from recorded import assert_same, exchanges, name_of, request_arguments
from werkzeug.test import Client, TestResponse

from execution_engine.embedded.mongod import Mongod, find_mongod
from execution_engine.embedded.workspace import create_workspace_app

LEFT_OUT = {
    "status": "tells the memory of a Java process, its git commit and its stores",
    "lock_workspace_bad": "workspaces can't be locked",
    "request_module_ownership": "there is no database of types",
    "administer_approveModRequest": "there is no database of types",
    "register_typespec": "there is no database of types",
    "release_module": "there is no database of types",
    "save_objects_bad_type": "there is no database of types: every type is accepted",
    "token_still_accepted_after_removal_from_auth2": "tokens are not cached: a removed one is refused at once",
    "auth_service_down_cached_token": "tokens are not cached",
    "administer_auth_service_down": "tokens and roles are not cached",
    "server_startup_failed": "a server that can't start does not serve",
    "server_startup_failed_get": "a server that can't start does not serve",
}
# The words of Java's JSON parser and of its null pointers are not repeated; the beginning of the message is.
JAVA_WORDS = {
    "envelope_jsonrpc20": 'Parse error (Unrecognized field "jsonrpc"',
    "envelope_params_object": "Parse error (",
    "wrong_param_type": "Wrong type of parameter 0 for method Workspace.get_workspace_info (",
    "envelope_bad_json": "Parse error (",
    "envelope_batch": "Parse error (",
    "get_permissions_mass_id_bad_string": "Wrong type of parameter 0 for method Workspace.get_permissions_mass (",
    "get_permissions_mass_missing_list": "",
    "get_permissions_mass_null_param": "",
}
UNORDERED = ("administer_listWorkspaceOwners", "administer_listWorkspaceOwners_readonly_admin")
TOKEN_OF_A_SECOND_LOGIN = {"WYJ2LQZTLBJ43NSJG3W6XV3OMCEBL4VO": "alice"}
TOKEN_WHILE_AUTH_IS_DOWN = "G2CLVMA5DXJS5L7QOINJW6P6Y72S4DMY"
ROLES = {"wsadmin": ["WS_FULL_ADMIN"], "wsadminro": ["WS_READ_ADMIN"]}


def replayed() -> list[dict[str, Any]]:
    return [exchange for exchange in exchanges("workspace") if exchange["name"] not in LEFT_OUT]


def recorded_tokens() -> dict[str, str]:
    recorded = {
        exchange["request"]["headers"]["Authorization"]: exchange["as_user"].split()[0]
        for exchange in exchanges("workspace")
        if "as_user" in exchange
    }
    return recorded | TOKEN_OF_A_SECOND_LOGIN


def token_owner(token: str) -> str | None:
    if token == TOKEN_WHILE_AUTH_IS_DOWN:
        raise ConnectionRefusedError(111, "Connection refused")
    return recorded_tokens().get(token)


def spelled_out(exchange: dict[str, Any]) -> dict[str, Any]:
    """The request's arguments; one recording abbreviates a list of 1001 workspaces."""
    arguments = request_arguments(exchange)
    if exchange["name"] == "get_permissions_mass_1000":
        body = {**exchange["request"]["body"], "params": [{"workspaces": [{"id": 1}] * 1001}]}
        arguments["data"] = json.dumps(body)
    return arguments


@pytest.fixture(scope="module")
def mongod(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    server = Mongod.in_folder(Path(tmp_path_factory.mktemp("m")), find_mongod())
    with subprocess.Popen(server.command(), stdout=subprocess.DEVNULL) as process:
        try:
            deadline = time.monotonic() + 60
            while not server.ready():
                assert process.poll() is None, "mongod has ended"
                assert time.monotonic() < deadline, "mongod does not start"
            yield server.url
        finally:
            process.terminate()


@pytest.fixture(scope="module", params=["mongomock", "mongod"])
def database(request: pytest.FixtureRequest) -> Iterator[Any]:
    if request.param == "mongomock":
        yield mongomock.MongoClient(tz_aware=True)["kbase_embedded"]
    else:
        with pymongo.MongoClient(request.getfixturevalue("mongod"), tz_aware=True) as client:
            yield client["kbase_embedded"]


@pytest.fixture(scope="module")
def answers(database: Any) -> dict[str, TestResponse]:
    """What our service answers to all recorded requests, one after the other."""
    users = set(recorded_tokens().values())
    client = Client(create_workspace_app(database, token_owner, lambda user: ROLES.get(user, []), users.__contains__))
    return {exchange["name"]: client.open(**spelled_out(exchange)) for exchange in replayed()}


@pytest.mark.parametrize("exchange", replayed(), ids=name_of)
def test_answers_as_the_real_server(answers: dict[str, TestResponse], exchange: dict[str, Any]) -> None:
    answer, recorded, ignore = answers[exchange["name"]], exchange["response"], []
    body = answer.data
    if isinstance(recorded["body"], dict) and "error" in recorded["body"]:
        assert answer.json["error"]["error"] is None
        ignore.append("error.error")
    if (beginning := JAVA_WORDS.get(exchange["name"])) is not None:
        assert recorded["body"]["error"]["message"].startswith(beginning)
        assert answer.json["error"]["message"].startswith(beginning)
        ignore.append("error.message")
    if exchange["name"] in UNORDERED:
        recorded = {**recorded, "body": {**recorded["body"], "result": [sorted(recorded["body"]["result"][0])]}}
    assert_same(recorded, answer.status_code, answer.headers, body, ignore=tuple(ignore))


def test_nothing_else_is_left_out() -> None:
    assert len(replayed()) == len(exchanges("workspace")) - len(LEFT_OUT) == 156
    assert JAVA_WORDS.keys() | set(UNORDERED) <= {exchange["name"] for exchange in replayed()}
