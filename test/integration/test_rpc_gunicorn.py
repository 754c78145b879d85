"""The wire under the server that serves it: connections, slow and large bodies."""

import contextlib
import http.client
import json
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests

PATH = "/services/echo"
THREADS = 4
MIB = 1024 * 1024
# A test that waits longer than this for the server has failed.
PATIENCE = 30

APPLICATION = f"""
import os
from execution_engine.rpc.kidl import parse
from execution_engine.rpc.limits import Limits
from execution_engine.rpc.registry import Access, Policy, Registry
from execution_engine.rpc.voices import NativeVoice
from execution_engine.rpc.wsgi import RpcApplication

module = parse('''module Echo {{
  /* @optional text */
  typedef structure {{ string text; }} things;
  funcdef echo(things params) returns (string);
  funcdef length(things params) returns (int);
  funcdef worker() returns (int);
}};''')
anyone = Access("anyone", "Everybody.", lambda _: None, "none")
registry = Registry(module, Policy(), NativeVoice())
registry.add("echo", lambda _, params: params["text"], anyone)
registry.add("length", lambda _, params: len(params["text"]), anyone, large_body=True)
registry.add("worker", lambda _, params: os.getpid(), anyone)

def behind(environ, start_response):
    start_response("404 Not Found", [])
    return []

limits = Limits(body={MIB}, large_body={2 * MIB}, read_seconds=0.5)
application = RpcApplication({{"{PATH}": registry}}, behind, limits)
"""

SETTINGS = """
from execution_engine.serving.worker import LoopWorker

class Worker(LoopWorker):
    read_seconds = 0.5
    body_limit = 1000

worker_class = Worker
sendfile = False
"""

Address = tuple[str, int]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Address]:
    """Gunicorn as the engine runs it, one worker, few threads."""
    folder = tmp_path_factory.mktemp("gunicorn")
    (folder / "echo_application.py").write_text(APPLICATION)
    (folder / "settings.py").write_text(SETTINGS)
    listener = socket.create_server(("127.0.0.1", 0))
    address: Address = listener.getsockname()
    command = [
        sys.executable,
        "-m",
        "gunicorn",
        "-c",
        str(folder / "settings.py"),
        "--bind",
        f"fd://{listener.fileno()}",
    ]
    command += ["--workers", "1", "--threads", str(THREADS), "--keep-alive", "75", "--graceful-timeout", "1"]
    command += ["--pythonpath", f"{folder},{Path(__file__).parents[2]}", "--chdir", str(folder)]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            [*command, "echo_application:application"], pass_fds=[listener.fileno()], stderr=log, stdout=log
        )
        try:
            listener.close()
            yield address
            assert process.poll() is None, (folder / "log").read_text()
        finally:
            process.terminate()
            try:
                process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()
    assert "Traceback" not in (folder / "log").read_text()


@pytest.fixture(autouse=True)
def worker(server: Address) -> Iterator[int]:
    """The worker's process; the same one at the end of each test."""
    before = call(server, "worker")
    yield before
    assert call(server, "worker") == before


def call(server: Address, method: str, **params: Any) -> Any:
    url = f"http://{server[0]}:{server[1]}{PATH}"
    message = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
    return requests.post(url, data=json.dumps(message), timeout=PATIENCE).json()["result"]


def request_of(size: int, method: str = "length") -> bytes:
    """A request of so many bytes."""
    head, tail = b'{"version": "1.1", "id": "1", "method": "%s", "params": [{"text": "' % method.encode(), b'"}]}'
    return head + b"x" * (size - len(head) - len(tail)) + tail


def connect(server: Address) -> socket.socket:
    return socket.create_connection(server, timeout=PATIENCE)


def head(length: int | None = None) -> bytes:
    framing = f"Content-Length: {length}" if length is not None else "Transfer-Encoding: chunked"
    return f"POST {PATH} HTTP/1.1\r\nHost: x\r\n{framing}\r\n\r\n".encode()


def answer(sock: socket.socket) -> tuple[int, Any]:
    """Status and parsed body of one response."""
    response = http.client.HTTPResponse(sock)
    response.begin()
    assert response.headers["Content-Type"] == "application/json"
    return response.status, json.loads(response.read())


def closed(sock: socket.socket) -> bool:
    """Whether the server has closed the connection; waits for it."""
    try:
        return sock.recv(1) == b""
    except ConnectionError:
        return True


def test_a_connection_serves_many_calls(server: Address) -> None:
    body = b'{"version": "1.1", "id": "1", "method": "echo", "params": [{"text": "a"}]}'
    with connect(server) as sock:
        for _ in range(3):
            sock.sendall(head(len(body)) + body)
            assert answer(sock) == (200, {"version": "1.1", "id": "1", "result": ["a"]})


def test_an_error_leaves_the_connection_usable(server: Address) -> None:
    with connect(server) as sock:
        for body, code in (
            (b"{", -32700),
            (b'{"method": "nothing"}', -32601),
            (b'{"method": "echo", "params": 1}', -32602),
        ):
            sock.sendall(head(len(body)) + body)
            status, message = answer(sock)
            assert (status, message["error"]["code"]) == (500, code)


def test_a_notification_leaves_the_connection_usable(server: Address) -> None:
    notification = b'{"jsonrpc": "2.0", "method": "echo", "params": {"text": "a"}}'
    with connect(server) as sock:
        sock.sendall(head(len(notification)) + notification)
        response = http.client.HTTPResponse(sock)
        response.begin()
        assert (response.status, response.read()) == (204, b"")

        body = b'{"method": "echo", "params": {"text": "a"}}'
        sock.sendall(head(len(body)) + body)
        assert answer(sock)[1]["result"] == ["a"]


def test_get_is_refused_in_json(server: Address) -> None:
    with connect(server) as sock:
        sock.sendall(f"GET {PATH} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        status, message = answer(sock)

    assert (status, message["error"]["code"]) == (500, -32300)


def test_a_chunked_body_is_read(server: Address) -> None:
    chunks = [b'{"method": "echo", ', b'"params": {"text": "a"}}']
    with connect(server) as sock:
        sock.sendall(head())
        for chunk in chunks:
            sock.sendall(b"%x\r\n%s\r\n" % (len(chunk), chunk))
        sock.sendall(b"0\r\n\r\n")

        assert answer(sock)[1]["result"] == ["a"]


@pytest.mark.parametrize("chunked", [False, True])
def test_a_large_body_is_read_whole(server: Address, chunked: bool) -> None:
    body = request_of(2 * MIB)
    data = iter([body[:MIB], body[MIB:]]) if chunked else body

    response = requests.post(f"http://{server[0]}:{server[1]}{PATH}", data=data, timeout=PATIENCE)

    assert response.json()["result"][0] > 2 * MIB - 200


@pytest.mark.parametrize(("size", "method"), [(2 * MIB + 1, "length"), (4 * MIB, "length"), (MIB + 1, "echo")])
def test_a_client_that_sends_too_much_reads_why_it_was_refused(server: Address, size: int, method: str) -> None:
    body = request_of(size, method)

    response = requests.post(f"http://{server[0]}:{server[1]}{PATH}", data=body, timeout=PATIENCE)

    assert response.status_code == 500
    assert response.json()["error"]["code"] == -32010


def test_a_body_without_end_is_cut_off(server: Address) -> None:
    with connect(server) as sock:
        sock.sendall(head(10**12))
        with contextlib.suppress(ConnectionError):
            for _ in range(1000):
                sock.sendall(b"x" * MIB)
            pytest.fail("a gigabyte was taken")


@pytest.mark.parametrize("sent", [b"", b"{"])
def test_a_body_that_does_not_come_is_given_up_and_the_connection_closed(server: Address, sent: bytes) -> None:
    with connect(server) as sock:
        sock.sendall(head(100) + sent)
        status, message = answer(sock)

        assert (status, message["error"]["code"]) == (500, -32011)
        assert message["error"]["message"] == "The request did not arrive within 0.5 s."
        assert closed(sock)


@pytest.mark.parametrize("length", [1000, None])
def test_a_dripping_body_is_cut_off_however_steadily_it_drips(server: Address, length: int | None) -> None:
    with connect(server) as sock:
        stop = threading.Event()

        def drip() -> None:
            sock.sendall(head(length) + (b"3e8\r\n" if length is None else b""))
            with contextlib.suppress(OSError):
                while not stop.wait(0.02):
                    sock.sendall(b" ")

        dripping = threading.Thread(target=drip)
        dripping.start()
        try:
            status, message = answer(sock)
        finally:
            stop.set()
            dripping.join()

    # 1,000 bytes would have taken 20 s.
    assert (status, message["error"]["code"]) == (500, -32011)


def test_dripping_clients_do_not_stop_the_others_for_long(server: Address) -> None:
    with contextlib.ExitStack() as stack:
        slow = [stack.enter_context(connect(server)) for _ in range(4 * THREADS)]
        for sock in slow:
            sock.sendall(head(1000) + b"{")

        with ThreadPoolExecutor(8) as pool:
            results = list(pool.map(lambda n: call(server, "echo", text=str(n)), range(50)))

        assert results == [str(n) for n in range(50)]
        assert {answer(sock)[1]["error"]["code"] for sock in slow} == {-32011}


def test_a_broken_chunk_is_refused(server: Address) -> None:
    with connect(server) as sock:
        sock.sendall(head() + b"5\r\nabcde\r\nno number\r\n")
        status, message = answer(sock)

        assert (status, message["error"]["code"]) == (500, -32600)
        assert closed(sock)


@pytest.mark.parametrize("length", [1000, None])
def test_a_client_that_hangs_up_is_no_trouble(server: Address, length: int | None) -> None:
    for _ in range(2 * THREADS):
        with connect(server) as sock:
            sock.sendall(head(length) + b"{")

    assert call(server, "echo", text="still here") == "still here"


def test_head_is_answered_without_a_body(server: Address) -> None:
    with connect(server) as sock:
        sock.sendall(f"HEAD {PATH} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        response = http.client.HTTPResponse(sock, method="HEAD")
        response.begin()
        assert response.status == 500
        response.read()

        body = b'{"method": "echo", "params": {"text": "a"}}'
        sock.sendall(head(len(body)) + body)
        assert answer(sock)[1]["result"] == ["a"]
