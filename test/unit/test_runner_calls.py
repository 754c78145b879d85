import json
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from execution_engine.runner import calls
from execution_engine.runner.calls import Engine, Refused, Unreachable
from execution_engine.runner.patience import Backoff, until_answered


class Canned(ThreadingHTTPServer):
    """Answers every request with the next of ``answers``: (HTTP status, body), or None for hanging up."""

    def __init__(self) -> None:
        self.answers: list[tuple[int, bytes] | None] = []
        self.requests: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.connections = 0
        super().__init__(("127.0.0.1", 0), Handler)

    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/services/ee"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Canned

    def setup(self) -> None:
        super().setup()
        self.server.connections += 1

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.requests.append({"path": self.path, **json.loads(body)})
        self.server.headers.append(dict(self.headers))
        answer = self.server.answers.pop(0)
        if answer is None:
            self.close_connection = True
            return
        self.send_response(answer[0])
        self.send_header("Content-Length", str(len(answer[1])))
        self.end_headers()
        self.wfile.write(answer[1])

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Canned]:
    with Canned() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def error(reason: str, **data: Any) -> bytes:
    data = {"reason": reason, **data}
    return json.dumps({"jsonrpc": "2.0", "id": 1, "error": {"code": -1, "message": "Said.", "data": data}}).encode()


def test_a_call_on_the_wire(server: Canned) -> None:
    server.answers = [(200, b'{"jsonrpc":"2.0","id":1,"result":{"next_line":7}}')]
    assert Engine(server.url(), "eec_secret").call("add_job_logs", job_id="j", lines=[{"line": "é"}]) == {
        "next_line": 7
    }
    assert server.requests == [
        {
            "path": "/services/ee",
            "jsonrpc": "2.0",
            "id": 1,
            "method": "ExecutionEngine.add_job_logs",
            "params": {"job_id": "j", "lines": [{"line": "é"}]},
        }
    ]
    assert server.headers[0]["Authorization"] == "eec_secret"


def test_calls_in_a_row_share_a_connection_and_later_ones_do_not(
    server: Canned, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.answers = [(200, b'{"result":{}}')] * 3
    engine = Engine(server.url(), "s")
    engine.call("heartbeat")
    engine.call("heartbeat")
    assert server.connections == 1
    monkeypatch.setattr(calls, "IDLE_SECONDS", 0)
    engine.call("heartbeat")
    assert server.connections == 2


@pytest.mark.parametrize(
    "answer",
    [
        None,
        (503, b"<html>Service Unavailable</html>"),
        (200, b"<html>Welcome to nginx</html>"),
        (404, b"{}"),
        (200, b"[]"),
        (200, b'{"result":null}'),
        (500, b'{"result":{}}'),
        (200, b"[" * 100_000),
        (200, b'{"error":{"code":-32601,"message":"of another service"}}'),
        (200, error("busy")),
        (200, error("internal_error")),
        (200, error("database_unavailable")),
    ],
)
def test_what_is_no_answer_is_worth_another_try(server: Canned, answer: tuple[int, bytes] | None) -> None:
    server.answers = [answer, answer, (200, b'{"result":{"ok":1}}')]
    engine = Engine(server.url(), "s")
    with pytest.raises(Unreachable):
        engine.call("heartbeat")
    assert until_answered(lambda: engine.call("heartbeat"), lambda _: None) == {"ok": 1}


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/ee", "https://127.0.0.1:1/ee", "http://no-such-host.invalid/ee"])
def test_an_engine_that_is_not_there(url: str) -> None:
    with pytest.raises(Unreachable):
        Engine(url, "s").call("heartbeat")


def test_an_engine_that_never_answers() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/ee"
        with pytest.raises(Unreachable, match="timed out"):
            Engine(url, "s", timeout=0.1).call("heartbeat")


def test_an_error_of_the_engine_is_final(server: Canned) -> None:
    server.answers = [(200, error("log_gap", next_line=5))]
    with pytest.raises(Refused) as refused:
        Engine(server.url(), "s").call("add_job_logs")
    assert (refused.value.reason, refused.value.message, refused.value.data["next_line"]) == ("log_gap", "Said.", 5)


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (-32700, "parse_error"),
        (-32600, "invalid_request"),
        (-32602, "invalid_params"),
        (-32010, "body_too_large"),
    ],
)
def test_a_request_that_the_engine_could_not_read_is_refused_by_number_alone(
    server: Canned, code: int, reason: str
) -> None:
    # What can't be read has no version: the answer is one of JSON-RPC 1.1, without data.
    answer = {"version": "1.1", "id": None, "error": {"name": "x", "code": code, "message": "Said.", "error": None}}
    server.answers = [(500, json.dumps(answer).encode())]
    with pytest.raises(Refused) as refused:
        Engine(server.url(), "s").call("finish_job")
    assert (refused.value.reason, refused.value.message, refused.value.data) == (reason, "Said.", {})


def test_a_proxy_that_finds_the_request_too_large(server: Canned) -> None:
    server.answers = [(413, b"<html>")]
    with pytest.raises(Refused) as refused:
        Engine(server.url(), "s").call("finish_job")
    assert refused.value.reason == "body_too_large"


def test_half_a_surrogate_pair_travels(server: Canned) -> None:
    server.answers = [(200, b'{"result":{}}')]
    Engine(server.url(), "s").call("finish_job", output=["\ud800"])
    assert server.requests[0]["params"] == {"output": ["\ud800"]}


def test_half_a_surrogate_pair_does_not_blow_up_what_is_around_it() -> None:
    text = "\U0001f600" * 1000
    assert len(calls.encode([text, "\ud800"])) == 4 * 1000 + len('["","\\ud800"]')


def test_an_outage_is_noted_once_with_its_end(server: Canned, capsys: pytest.CaptureFixture[str]) -> None:
    server.answers = [(503, b""), (503, b""), (200, b'{"result":{}}'), (200, b'{"result":{}}')]
    engine = Engine(server.url(), "s")
    until_answered(lambda: engine.call("heartbeat"), lambda _: None)
    engine.call("heartbeat")
    first, second = capsys.readouterr().err.splitlines()
    assert "gives no usable answer (HTTP 503" in first
    assert second.endswith("heartbeat: the engine answers again")


def test_waits_grow_to_ten_seconds_with_jitter() -> None:
    backoff = Backoff()
    waits = [backoff.delay() for _ in range(9)]
    for wait, ceiling in zip(waits, [0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 10, 10, 10], strict=True):
        assert ceiling / 2 <= wait <= ceiling
    backoff.reset()
    assert backoff.delay() <= 0.2
    assert len({Backoff().delay() for _ in range(10)}) > 1
