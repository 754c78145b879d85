import io
import json
from typing import Any

import mongomock
import pytest
from pymongo.errors import ServerSelectionTimeoutError
from werkzeug.test import Client

from execution_engine.embedded.workspace import app, create_workspace_app
from execution_engine.embedded.workspace.app import WorkspaceApp


class Broken:
    """Methods that fail as they are told to."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def call(self, _name: str, _params: list[Any], _token: str | None) -> None:
        raise self._error


@pytest.fixture
def client() -> Client:
    database = mongomock.MongoClient(tz_aware=True)["kbase_embedded"]
    return Client(create_workspace_app(database, {"token": "alice"}.get, lambda _: [], lambda _: True))


def answered_error(client: Client, body: bytes) -> dict[str, Any]:
    answer = client.post("/", data=body)
    assert (answer.status_code, answer.content_type) == (500, "application/json")
    assert set(answer.json["error"]) == {"name", "code", "message", "error"}
    return dict(answer.json["error"])


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"not json", "Parse error (Expecting value: line 1 column 1 (char 0))"),
        (b'{"params": [NaN]}', "Parse error (NaN is not JSON)"),
        (b"\xff\xff{}", "Parse error ("),
        (b"5", "Parse error (a call is a JSON object; batches are not supported)"),
        (b'{"method": 5, "params": []}', "Parse error (method must be a string)"),
        (b"[" * 100_000, "Parse error (the JSON is nested too deeply)"),
        (
            b'{"jsonrpc": "2.0", "other": 1}',
            'Parse error (Unrecognized field "jsonrpc"; a call has the fields version, method, id, params, context)',
        ),
    ],
)
def test_what_is_no_call_is_refused(client: Client, body: bytes, said: str) -> None:
    error = answered_error(client, body)
    assert error["code"] == -32700
    assert error["message"].startswith(said)


@pytest.mark.parametrize(("sent", "echoed"), [(17, "17"), ("a", "a"), (1.5, "1.5"), (True, "true"), ([1], "[1]")])
def test_an_error_carries_the_id_as_text(client: Client, sent: object, echoed: str) -> None:
    answer = client.post("/", data=json.dumps({"method": "Workspace.nothing", "params": [], "id": sent}))
    assert answer.json["id"] == echoed


def test_an_error_may_repeat_text_that_is_no_unicode(client: Client) -> None:
    error = answered_error(client, rb'{"method": "Workspace.\ud800", "params": []}')
    assert (
        error["message"] == "Can not find method [Workspace.\ud800] in server class us.kbase.workspace.WorkspaceServer"
    )


def test_a_body_above_the_limit_is_refused(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app, "MAX_BODY_BYTES", 1000)
    error = answered_error(client, b" " * 1001)
    assert (error["code"], error["message"]) == (-32700, "Object is too big, length is more than 1000 bytes")


def test_a_body_without_a_length_is_held_to_the_limit_too(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app, "MAX_BODY_BYTES", 1000)
    answer = client.post("/", input_stream=io.BytesIO(b" " * 1001), environ_overrides={"wsgi.input_terminated": True})
    assert answer.json["error"]["message"] == "Object is too big, length is more than 1000 bytes"


def test_a_browser_is_allowed_the_headers_that_it_asks_for(client: Client) -> None:
    answer = client.options("/", headers={"Access-Control-Request-Headers": "authorization,content-type"})
    assert answer.headers["Access-Control-Allow-Headers"] == "authorization,content-type"
    assert answer.headers["Access-Control-Allow-Origin"] == "*"


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ServerSelectionTimeoutError("no server"), "There was a problem communicating with the database"),
        (ConnectionRefusedError(111, "Connection refused"), "Could not contact Authorization Service"),
        (ZeroDivisionError("secret"), "The Workspace failed; its log says how"),
    ],
)
def test_a_failure_is_described_without_a_trace(error: Exception, said: str) -> None:
    client = Client(WorkspaceApp(Broken(error)))  # type: ignore[arg-type]
    answer = answered_error(client, b'{"method": "ver", "params": []}')
    assert answer == {"name": "JSONRPCError", "code": -32500, "message": said, "error": None}


def test_status_names_the_database(client: Client) -> None:
    answer = client.post("/", data=b'{"method": "Workspace.status", "params": []}')
    (status,) = answer.json["result"]
    assert (status["state"], status["version"], status["dependencies"][0]["name"]) == ("OK", "0.15.0", "MongoDB")


def test_an_empty_token_is_refused_even_where_none_is_needed(client: Client) -> None:
    body = b'{"method": "list_workspace_ids", "params": [{}]}'
    answer = client.post("/", data=body, headers={"Authorization": ""})
    assert answer.json["error"]["message"] == (
        "Token validation failed: Authorization is required for this method but no credentials were provided"
    )
    assert client.post("/", data=body).json["result"] == [{"workspaces": [], "pub": []}]


def test_auth_that_is_down_refuses_the_token_and_no_method_that_needs_none() -> None:
    def token_owner(_token: str) -> str:
        raise ConnectionError

    database = mongomock.MongoClient(tz_aware=True)["kbase_embedded"]
    client = Client(create_workspace_app(database, token_owner, lambda _: [], lambda _: True))
    headers = {"Authorization": "token"}
    answer = client.post("/", data=b'{"method": "list_workspace_ids", "params": [{}]}', headers=headers)
    assert answer.json["error"]["message"] == "Token validation failed: Connection refused"
    assert client.post("/", data=b'{"method": "ver", "params": []}', headers=headers).json["result"] == ["0.15.0"]


def test_what_can_be_saved_can_be_read_however_deep_it_is(client: Client) -> None:
    def status(method: str, params: str) -> int:
        body = f'{{"method": "{method}", "params": [{params}]}}'
        return client.post("/", data=body, headers={"Authorization": "token"}).status_code

    status("create_workspace", '{"workspace": "deep"}')
    deep = {depth: "[" * depth + "]" * depth for depth in range(500, 1500, 20)}
    template = '{"id": 1, "objects": [{"name": "deep%s", "type": "M.T", "data": %s}]}'
    saved = [depth for depth, data in deep.items() if status("save_objects", template % (depth, data)) == 200]
    assert 0 < len(saved) < len(deep)
    assert all(status("get_objects2", f'{{"objects": [{{"ref": "1/deep{depth}"}}]}}') == 200 for depth in saved)
