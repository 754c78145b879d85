"""Replays what the real Workspace was recorded to answer, in the order in which it happened, on both databases."""

import base64
import json
import random
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import mongomock
import pymongo
import pytest
from pymongo.database import Database
from pymongo.monitoring import CommandFailedEvent, CommandListener, CommandStartedEvent, CommandSucceededEvent
from recorded import assert_same, exchanges, name_of, request_arguments
from werkzeug.test import Client, TestResponse

from execution_engine.embedded.mongod import Mongod, find_mongod
from execution_engine.embedded.workspace import create_workspace_app
from execution_engine.embedded.workspace.saving import MAX_DATA_BYTES

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


class Finds(CommandListener):
    """Notes the queries that are sent."""

    def __init__(self) -> None:
        self.commands: list[dict[str, Any]] = []

    def started(self, event: CommandStartedEvent) -> None:
        if event.command_name == "find":
            kept = ("find", "filter", "projection", "sort", "limit")
            self.commands.append({key: event.command[key] for key in kept if key in event.command})

    def succeeded(self, event: CommandSucceededEvent) -> None:
        pass

    def failed(self, event: CommandFailedEvent) -> None:
        pass


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


@pytest.fixture(scope="module")
def finds() -> Finds:
    return Finds()


@pytest.fixture(scope="module")
def mongo(mongod: str, finds: Finds) -> Iterator[pymongo.MongoClient[dict[str, Any]]]:
    """A client of a server on which a query without an index fails."""
    with pymongo.MongoClient[dict[str, Any]](mongod, tz_aware=True, event_listeners=[finds]) as client:
        client.admin.command("setParameter", notablescan=True)
        yield client


@pytest.fixture(scope="module", params=["mongomock", "mongod"])
def answers(request: pytest.FixtureRequest) -> dict[str, TestResponse]:
    """What our service answers to all recorded requests, one after the other."""
    mongo = mongomock.MongoClient(tz_aware=True) if request.param == "mongomock" else request.getfixturevalue("mongo")
    users = set(recorded_tokens().values())
    app = create_workspace_app(mongo["replay"], token_owner, lambda user: ROLES.get(user, []), users.__contains__)
    client = Client(app)
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


Call = Callable[[str, dict[str, Any]], Any]


@pytest.fixture
def fresh(mongo: pymongo.MongoClient[dict[str, Any]]) -> Iterator[Database[dict[str, Any]]]:
    yield mongo["fresh"]
    mongo.drop_database("fresh")


@pytest.fixture
def call(fresh: Database[dict[str, Any]]) -> Call:
    """Calls a method as alice, on a real server; gives the result or an error's message."""
    app = create_workspace_app(fresh, lambda _: "alice", lambda _: [], lambda _: True)

    def as_alice(method: str, params: dict[str, Any]) -> Any:
        body = json.dumps({"method": method, "params": [params]})
        answer = Client(app).post("/", data=body, headers={"Authorization": "token"}).json
        if "error" in answer:
            return answer["error"]["message"]
        return answer["result"] and answer["result"][0]

    return as_alice


def at_once(act: Callable[[int], Any], number: int = 16) -> list[Any]:
    start = threading.Barrier(number)

    def wait_and_act(place: int) -> Any:
        start.wait()
        return act(place)

    with ThreadPoolExecutor(number) as pool:
        return list(pool.map(wait_and_act, range(number)))


def test_objects_saved_at_once_get_a_number_each(call: Call) -> None:
    call("create_workspace", {"workspace": "ws"})

    def save(place: int) -> Any:
        objects = [{"name": name, "type": "M.T", "data": place} for name in (f"own{place}", "shared")]
        return call("save_objects", {"id": 1, "objects": objects})

    saved = [info for infos in at_once(save) for info in infos]
    own = [info for info in saved if info[1] != "shared"]
    assert len({info[0] for info in own}) == 16
    assert {info[4] for info in own} == {1}
    shared = [info for info in saved if info[1] == "shared"]
    assert len({info[0] for info in shared}) == 1
    assert sorted(info[4] for info in shared) == list(range(1, 17))
    assert call("get_objects2", {"objects": [{"ref": "ws/shared"}]})["data"][0]["info"][4] == 16


def test_of_workspaces_made_at_once_with_one_name_there_is_one(call: Call) -> None:
    made = at_once(lambda _: call("create_workspace", {"workspace": "ws"}))
    refused = [answer for answer in made if isinstance(answer, str)]
    assert refused == ["Workspace name ws is already in use"] * 15
    assert len(call("list_workspace_ids", {})["workspaces"]) == 1


def test_metadata_altered_at_once_is_all_kept(call: Call) -> None:
    call("create_workspace", {"workspace": "ws"})
    at_once(lambda place: call("alter_workspace_metadata", {"wsi": {"id": 1}, "new": {str(place): "x"}}))
    assert call("get_workspace_info", {"id": 1})[8] == {str(place): "x" for place in range(16)}


def test_many_workspaces_cost_a_fixed_number_of_queries_that_read_no_others(
    call: Call, fresh: Database[dict[str, Any]], finds: Finds
) -> None:
    common = {"globalread": False, "deleted": False, "moddate": 0, "max_objid": 0, "meta": [], "description": None}
    owners = ["alice"] * 10_000 + ["bob"] * 1_000
    made = [
        {"_id": number, "name": f"ws{number}", "owner": owner, "acl": {owner: 40}, **common}
        for number, owner in enumerate(owners, 1)
    ]
    fresh["ws_workspaces"].insert_many(made)
    mass = {"workspaces": [{"id": number} for number in range(1, 501)] + [{"workspace": "ws1"}] * 500}
    for method, params, most, expected in (
        ("list_workspace_ids", {}, 1, {"workspaces": list(range(1, 10_001)), "pub": []}),
        ("get_permissions_mass", mass, 2, {"perms": [{"alice": "a"}] * 1000}),
    ):
        finds.commands.clear()
        assert call(method, params) == expected
        queries = list(finds.commands)
        assert 1 <= len(queries) <= most
        for query in queries:
            stats = fresh.command("explain", query, verbosity="executionStats")["executionStats"]
            assert stats["totalDocsExamined"] == stats["nReturned"]


def test_the_largest_data_fits_the_database(call: Call) -> None:
    call("create_workspace", {"workspace": "ws"})
    data = base64.b64encode(random.Random(1).randbytes(3 * (MAX_DATA_BYTES // 4) - 3)).decode()
    saved = call("save_objects", {"id": 1, "objects": [{"name": "large", "type": "M.T", "data": data}]})
    assert MAX_DATA_BYTES - 8 < saved[0][9] <= MAX_DATA_BYTES
    assert call("get_objects2", {"objects": [{"ref": "ws/large"}]})["data"][0]["data"] == data
