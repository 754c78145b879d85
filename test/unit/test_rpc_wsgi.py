import json
import logging
from collections.abc import Callable
from typing import Any

import pytest
from werkzeug.test import Client, TestResponse

from execution_engine.core import context
from execution_engine.core.errors import DatabaseUnavailable, EngineError, JobNotFound, TokenMissing
from execution_engine.rpc.envelope import Request
from execution_engine.rpc.kidl import parse
from execution_engine.rpc.limits import Limits
from execution_engine.rpc.registry import Access, Policy, Registry
from execution_engine.rpc.voices import Answer, NativeVoice, Voice
from execution_engine.rpc.wsgi import RpcApplication

MODULE = parse("""
module Echo {
  /* @optional what */
  typedef structure { UnspecifiedObject what; } things;
  funcdef echo(things params) returns (UnspecifiedObject) authentication none;
  funcdef secret(things params) returns (string) authentication required;
  funcdef large(things params) returns (int) authentication none;
  funcdef fail(things params) returns (int) authentication none;
};
""")
PATH = "/services/echo"
ANYONE = Access("anyone", "Everybody.", lambda _: None, "none")
Handler = Callable[[Any, dict[str, Any]], Any]


def admit(authorization: str | None) -> str:
    if authorization is None:
        raise TokenMissing
    return authorization


def fail(_caller: Any, _params: dict[str, Any]) -> Any:
    raise RuntimeError("the token is JOZ2LBRIGZ3K")


def fallback(_environ: dict[str, Any], start_response: Any) -> list[bytes]:
    start_response("404 Not Found", [("Content-Type", "text/plain")])
    return [b"behind"]


def client(fail: Handler = fail, voice: Voice | None = None, **options: Any) -> Client:
    registry = Registry(MODULE, Policy(), voice or NativeVoice())
    registry.add("echo", lambda _, params: params.get("what"), ANYONE)
    registry.add("secret", lambda caller, _: f"for {caller}", Access("user", "Every user.", admit))
    registry.add("large", lambda _, params: len(params["what"]), ANYONE, large_body=True)
    registry.add("fail", fail, ANYONE)
    limits = Limits(body=1000, large_body=10_000)
    return Client(RpcApplication({PATH: registry}, fallback, limits, **options))


def call(client: Client, method: str, params: Any = None, **more: Any) -> TestResponse:
    message = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params or {}}
    return client.post(PATH, data=json.dumps(message), **more)


def result(response: TestResponse) -> Any:
    return json.loads(response.data)["result"]


def error(response: TestResponse) -> Any:
    return json.loads(response.data)["error"]


def test_a_call_is_answered() -> None:
    response = call(client(), "Echo.echo", {"what": [1, "ä"]})

    assert (response.status_code, response.json) == (200, {"jsonrpc": "2.0", "id": 1, "result": [1, "ä"]})


def test_every_answer_has_the_same_headers() -> None:
    caller = client()
    answers = [
        call(caller, "echo"),
        call(caller, "no such method"),
        call(caller, "fail"),
        caller.post(PATH, data="no JSON"),
        caller.get(PATH),
        caller.options(PATH),
        caller.post(PATH, data='{"jsonrpc": "2.0", "method": "echo"}'),
    ]

    for answer in answers:
        assert answer.headers["Content-Type"] == "application/json"
        assert answer.headers["Access-Control-Allow-Origin"] == "*"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers.get("Content-Length") == (None if answer.status_code == 204 else str(len(answer.data)))
        assert "Access-Control-Allow-Credentials" not in answer.headers
    assert len({answer.headers["X-Request-Id"] for answer in answers}) == len(answers)


@pytest.mark.parametrize("path", [PATH, f"{PATH}/"])
def test_the_path_is_served_with_and_without_a_slash_at_the_end(path: str) -> None:
    response = client().post(path, data='{"version": "1.1", "method": "echo", "id": "1"}')

    assert response.json == {"version": "1.1", "id": "1", "result": None}


@pytest.mark.parametrize("path", ["/", "/services", "/services/echo/more", "/services/echo//", "/Services/echo"])
def test_all_other_paths_go_to_the_application_behind(path: str) -> None:
    assert client().post(path, data="{}").data == b"behind"


def test_the_authorization_header_reaches_the_access_rule() -> None:
    assert result(call(client(), "secret", headers={"Authorization": "TOKEN"})) == "for TOKEN"
    assert error(call(client(), "secret"))["data"] == {"reason": "token_missing"}


@pytest.mark.parametrize(
    ("asked", "allowed"),
    [
        ("authorization, content-type", "authorization, content-type"),
        ("x-custom", "x-custom"),
        (None, "authorization"),
        ("bad header;", "authorization"),
        ("a" * 10 + "\t<script>", "authorization"),
    ],
)
def test_preflight(asked: str | None, allowed: str) -> None:
    headers = {} if asked is None else {"Access-Control-Request-Headers": asked}

    response = client().options(PATH, headers=headers)

    assert (response.status_code, response.data) == (200, b"")
    assert response.headers["Access-Control-Allow-Headers"] == allowed
    assert response.headers["Access-Control-Allow-Methods"] == "POST, OPTIONS"


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH", "TRACE"])
def test_other_http_methods_are_refused_in_json(method: str) -> None:
    response = client().open(PATH, method=method)

    assert response.status_code == 500
    assert error(response)["code"] == -32300
    assert error(response)["message"] == f"HTTP {method} not allowed."


def test_head_has_headers_and_no_body() -> None:
    response = client().head(PATH)

    assert (response.status_code, response.data) == (500, b"")


def test_a_body_beyond_the_ordinary_size_is_for_some_methods_only() -> None:
    params = {"what": "x" * 2000}

    assert result(call(client(), "large", params)) == 2000
    assert error(call(client(), "echo", params))["data"] == {"reason": "body_too_large", "limit": 1000}
    assert error(call(client(), "large", {"what": "x" * 20_000}))["code"] == -32010


def test_an_unforeseen_failure_tells_the_log_and_not_the_caller(caplog: pytest.LogCaptureFixture) -> None:
    response = call(client(), "fail")

    request_id = response.headers["X-Request-Id"]
    assert error(response)["code"] == -32603
    assert error(response)["data"] == {"reason": "internal_error", "request_id": request_id}
    assert request_id in error(response)["message"]
    assert b"JOZ2LBRIGZ3K" not in response.data
    assert b"Traceback" not in response.data
    (record,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert record.exc_info is not None
    assert isinstance(record.exc_info[1], RuntimeError)
    assert request_id in record.getMessage()


@pytest.mark.parametrize("unspeakable", [object(), float("nan"), {1, 2}, b"bytes", {("a",): 1}])
def test_a_result_that_is_no_json_is_an_unforeseen_failure(unspeakable: Any) -> None:
    response = call(client(fail=lambda _, __: unspeakable), "fail")

    assert error(response)["data"]["reason"] == "internal_error"


def test_an_error_whose_details_are_no_json_is_told_without_them() -> None:
    def gone(_caller: Any, _params: Any) -> Any:
        raise JobNotFound("No such job.", job=object())

    for message in ({"jsonrpc": "2.0", "id": 1, "method": "fail"}, {"id": 1, "method": "fail"}):
        response = client(fail=gone).post(PATH, data=json.dumps(message))
        assert (error(response)["code"], error(response)["message"]) == (-32100, "No such job.")


def test_failures_of_what_lies_below_are_translated() -> None:
    def translate(exception: Exception) -> EngineError | None:
        return DatabaseUnavailable() if isinstance(exception, ConnectionError) else None

    def disconnected(_caller: Any, _params: Any) -> Any:
        raise ConnectionError

    assert error(call(client(disconnected, translate=translate), "fail"))["data"] == {"reason": "database_unavailable"}
    assert error(call(client(translate=translate), "fail"))["data"]["reason"] == "internal_error"


def test_results_are_held_against_the_spec_where_that_is_wanted(caplog: pytest.LogCaptureFixture) -> None:
    def text(_caller: Any, _params: Any) -> Any:
        return "no number"

    assert result(call(client(text), "fail")) == "no number"
    told = error(call(client(text, check_results=True), "fail"))
    assert told["data"]["reason"] == "internal_error"
    assert "no number" not in told["message"]
    assert "fail answers what its spec does not say: result: expected an integer, found 'no number'" in caplog.text
    assert result(call(client(lambda _, __: 5, check_results=True), "fail")) == 5


def test_a_batch_is_answered_call_by_call() -> None:
    batch = [
        {"jsonrpc": "2.0", "id": 1, "method": "echo", "params": {"what": 1}},
        {"jsonrpc": "2.0", "method": "echo"},
        {"jsonrpc": "2.0", "id": "b", "method": "fail"},
        {"jsonrpc": "2.0", "id": 3, "method": "nothing"},
        {"version": "1.1", "id": 4, "method": "echo"},
        [],
        5,
    ]

    response = client().post(PATH, data=json.dumps(batch))

    answers = json.loads(response.data)
    assert response.status_code == 200
    assert [answer["id"] for answer in answers] == [1, "b", 3, 4, None, None]
    codes = [answer.get("error", {}).get("code") for answer in answers]
    assert codes == [None, -32603, -32601, -32600, -32600, -32600]
    assert all(answer["jsonrpc"] == "2.0" for answer in answers)
    assert "in an array every call needs jsonrpc: '2.0'" in answers[3]["error"]["message"]


def test_a_batch_of_notifications_is_not_answered() -> None:
    response = client().post(PATH, data=json.dumps([{"jsonrpc": "2.0", "method": "echo"}] * 2))

    assert (response.status_code, response.data) == (204, b"")


@pytest.mark.parametrize("count", [0, 101])
def test_a_batch_holds_1_to_100_calls(count: int) -> None:
    batch = [{}] * count

    response = client().post(PATH, data=json.dumps(batch))

    assert response.status_code == 200
    assert error(response)["message"] == f"A batch holds 1 to 100 calls, found {count}."
    assert client().post(PATH, data=json.dumps([{}] * 100)).status_code == 200


class Plain:
    """A dialect's voice: always 200, the error a sentence, no batches."""

    batch_limit = 0

    def success(self, request: Request, result: Any) -> Answer:
        return Answer(200, {"id": request.id, "value": result})

    def failure(self, request: Request, error: EngineError) -> Answer:
        return Answer(200, {"id": request.id, "sorry": error.message})


def test_a_dialect_has_its_own_voice() -> None:
    caller = client(voice=Plain())

    assert caller.post(PATH, data='{"method": "echo", "id": 1}').json == {"id": 1, "value": None}
    assert caller.post(PATH, data='{"method": "secret", "id": 1}').json == {"id": 1, "sorry": TokenMissing().message}
    refused = caller.post(PATH, data="[]").json
    assert refused is not None
    assert refused["sorry"].startswith("This is no JSON-RPC request: expected an object")


def test_each_call_has_one_line_in_the_log_without_parameters_and_tokens(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "execution_engine.rpc")
    caller = client()

    first = call(caller, "Echo.secret", {"what": "PRIVATE"}, headers={"Authorization": "TOKEN"})
    call(caller, "secret", {"what": "PRIVATE"})
    call(caller, "PRIVATE")
    caller.post(PATH, data="PRIVATE")

    lines = [vars(record) for record in caplog.records]
    assert [(line["method"], line["outcome"]) for line in lines] == [
        ("secret", "ok"),
        ("secret", "token_missing"),
        ("-", "method_not_found"),
        ("-", "parse_error"),
    ]
    assert lines[0]["request_id"] == first.headers["X-Request-Id"]
    assert all(line["ms"] >= 0 for line in lines)
    assert "PRIVATE" not in caplog.text
    assert "TOKEN" not in caplog.text


def test_a_registry_must_be_complete() -> None:
    with pytest.raises(ValueError, match="bound to no code"):
        RpcApplication({PATH: Registry(MODULE, Policy(), NativeVoice())}, fallback)


def test_whoever_works_on_a_call_can_learn_its_request_id() -> None:
    seen: list[str] = []

    def note(_caller: Any, _params: dict[str, Any]) -> int:
        seen.append(context.request_id.get())
        return 1

    response = call(client(note), "fail")

    assert seen == [response.headers["X-Request-Id"]]
    assert context.request_id.get() == ""
