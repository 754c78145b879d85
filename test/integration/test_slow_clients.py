"""An engine as `execution-engine up` runs it (2 processes of 16 threads) and 64 clients who take their time."""

import contextlib
import http.client
import json
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

PATH = "/services/ee"
CLIENTS = 64
HEAD = f"POST {PATH} HTTP/1.1\r\nHost: x\r\n"
DRIPS = 10

Slow = Callable[[Any], bytes]


def body_drips(_: Any) -> bytes:
    return f"{HEAD}Content-Length: 100000\r\n\r\n".encode() + b"{" + b" " * 50


def chunks_drip(_: Any) -> bytes:
    return f"{HEAD}Transfer-Encoding: chunked\r\n\r\n".encode() + b"3e8\r\n" + b" " * 50


def large_body_drips(_: Any) -> bytes:
    return f"{HEAD}Content-Length: 20000000\r\n\r\n".encode() + b" " * 50


def service_body_drips(_: Any) -> bytes:
    return b"POST /services/ws HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" + b"3e8\r\n" + b" " * 50


def head_drips(_: Any) -> bytes:
    return f"{HEAD}X-Slow: ".encode() + b"a" * 50


def request_line_drips(_: Any) -> bytes:
    return b"POST /" + b"a" * 50


def says_nothing(_: Any) -> bytes:
    return b""


def whole(message: Any, token: str | None = None) -> bytes:
    body = json.dumps(message).encode()
    authorization = f"Authorization: {token}\r\n" if token else ""
    return f"{HEAD}{authorization}Content-Length: {len(body)}\r\n\r\n".encode() + body


BODIES = [body_drips, chunks_drip, large_body_drips, service_body_drips]
HEADS = [head_drips, request_line_drips]


@pytest.fixture(scope="module")
def large_job(stack: Any) -> Any:
    params = {"method": "sequence_tools.assembly_stats", "params": [{"text": "x" * 1_000_000}]}
    job_id = stack.call("run_job", params, "alice")
    stack.wait_for(job_id)
    return stack, job_id


@pytest.fixture(autouse=True)
def workers(stack: Any) -> Iterator[set[str]]:
    """The web server's processes; the same ones at the end of each test."""
    web = stack.pid("web")
    children = Path(f"/proc/{web}/task/{web}/children")
    before = set(children.read_text().split())
    assert len(before) == 2
    yield before
    assert set(children.read_text().split()) == before


def connect(stack: Any) -> socket.socket:
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.connect(("127.0.0.1", stack.port))
    return sock


def is_waiting(sock: socket.socket) -> bool:
    """Whether the server has neither answered nor closed."""
    try:
        sock.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
    except BlockingIOError:
        return True
    return False


def call_as_usual(stack: Any, job_id: str) -> None:
    stack.session.close()  # each on a new connection, which either process may get
    assert stack.call("ver")
    assert stack.call("check_job", {"job_id": job_id, "fields": ["status"]}, "alice")["job_id"] == job_id


@pytest.mark.parametrize("kind", [*BODIES, *HEADS, says_nothing], ids=lambda kind: kind.__name__)
def test_calls_are_answered_while_64_requests_drip_in(stack: Any, large_job: Any, kind: Slow) -> None:
    _, job_id = large_job
    data = kind(large_job)
    with contextlib.ExitStack() as clients:
        socks = [clients.enter_context(connect(stack)) for _ in range(CLIENTS)]
        for sock in socks:
            sock.sendall(data)
        for _ in range(DRIPS):
            for sock in socks:
                sock.sendall(b" " if data else b"")
            call_as_usual(stack, job_id)

        # Had the calls waited for threads, these would have been cut off by now.
        assert all(is_waiting(sock) for sock in socks)


def test_calls_are_answered_while_64_second_requests_drip_in(stack: Any, large_job: Any) -> None:
    _, job_id = large_job
    with contextlib.ExitStack() as clients:
        socks = [clients.enter_context(connect(stack)) for _ in range(CLIENTS)]
        for sock in socks:
            sock.sendall(whole({"jsonrpc": "2.0", "id": 1, "method": "ver"}) + b"POST /")
        for sock in socks:
            assert b"200 OK" in sock.recv(10_000)
        for _ in range(DRIPS):
            for sock in socks:
                sock.sendall(b"a")
            call_as_usual(stack, job_id)


def test_calls_are_answered_while_64_clients_do_not_read(stack: Any, large_job: Any) -> None:
    _, job_id = large_job
    one = {"jsonrpc": "2.0", "id": 1, "method": "check_job", "params": {"job_id": job_id}}
    data = whole([one] * 8, stack.token("alice"))  # eight megabytes: more than the system's buffers hold
    with contextlib.ExitStack() as clients:
        for _ in range(CLIENTS):
            clients.enter_context(connect(stack)).sendall(data)
        for _ in range(DRIPS):
            call_as_usual(stack, job_id)


def test_a_client_that_reads_slowly_gets_all_of_a_large_answer(stack: Any, large_job: Any) -> None:
    _, job_id = large_job
    one = {"jsonrpc": "2.0", "id": 1, "method": "check_job", "params": {"job_id": job_id}}
    with connect(stack) as sock:
        sock.sendall(whole([one] * 8, stack.token("alice")))
        response = http.client.HTTPResponse(sock)
        response.begin()
        jobs = json.loads(response.read())

        assert [len(job["result"]["params"][0]["text"]) for job in jobs] == [1_000_000] * 8


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"\x16\x03\x01 no HTTP\r\n\r\n", 400),
        (f"{HEAD}X: {'a' * 20_000}\r\n\r\n".encode(), 431),
        (f"{HEAD}X: {'a' * 200_000}".encode(), 431),
        (f"{HEAD}Transfer-Encoding: odd\r\n\r\n".encode(), 501),
        (f"POST /{'a' * 10_000} HTTP/1.1\r\n\r\n".encode(), 414),
    ],
)
def test_what_is_no_http_is_refused_in_json(stack: Any, data: bytes, status: int) -> None:
    with connect(stack) as sock:
        sock.sendall(data)
        response = http.client.HTTPResponse(sock)
        response.begin()

        assert (response.status, response.headers["Content-Type"]) == (status, "application/json")
        assert json.loads(response.read())["error"]["code"] < 0
        assert response.headers["Connection"] == "close"
