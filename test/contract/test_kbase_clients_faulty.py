"""The clients of Auth2, Workspace and Catalog against services that are slow, down, or not themselves."""

import datetime as dt
import json
import os
import signal
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias

import pytest

from execution_engine.core.errors import (
    AuthUnavailable,
    CatalogUnavailable,
    EngineError,
    TokenInvalid,
    WorkspaceUnavailable,
)
from execution_engine.kbase import http
from execution_engine.kbase.auth import Auth
from execution_engine.kbase.catalog import Catalog, Execution
from execution_engine.kbase.workspace import Workspace

Client: TypeAlias = type[Auth] | type[Workspace] | type[Catalog]
Call: TypeAlias = Callable[[Any], Any]
Script: TypeAlias = Callable[[socket.socket, bytes], bool | None]
Serve: TypeAlias = Callable[[Script | bytes], "Service"]

TOKEN = "SECRETSECRETSECRETSECRETSECRET22"
CALLS = [
    pytest.param(Auth, lambda it: it.token_owner(TOKEN), AuthUnavailable, id="auth-token"),
    pytest.param(Auth, lambda it: it.account(TOKEN), AuthUnavailable, id="auth-account"),
    pytest.param(Auth, lambda it: it.users(TOKEN, ["alice"]), AuthUnavailable, id="auth-users"),
    pytest.param(Workspace, lambda it: it.permissions("alice", [1], TOKEN), WorkspaceUnavailable, id="ws-permissions"),
    pytest.param(Workspace, lambda it: it.info(1, TOKEN), WorkspaceUnavailable, id="ws-info"),
    pytest.param(Workspace, lambda it: it.readable_workspaces(TOKEN), WorkspaceUnavailable, id="ws-ids"),
    pytest.param(Workspace, lambda it: it.unreadable_objects(["1/1/1"], TOKEN), WorkspaceUnavailable, id="ws-infos"),
    pytest.param(Workspace, lambda it: it.get_objects(["1/1/1"], TOKEN), WorkspaceUnavailable, id="ws-objects"),
    pytest.param(Catalog, lambda it: it.module_version("m"), CatalogUnavailable, id="catalog-version"),
    pytest.param(Catalog, lambda it: it.volume_mounts("m", "f", "g", TOKEN), CatalogUnavailable, id="catalog-mounts"),
]


class Service:
    """A TCP service; ``answer`` gets the socket and the request, and returns False to hang up."""

    def __init__(self, answer: Script) -> None:
        self._answer = answer
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.connections = 0
        self.requests: list[bytes] = []
        self.stopped = threading.Event()
        self._open: list[socket.socket] = []
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self._open.append(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        try:
            with connection, connection.makefile("rb") as stream:
                while request := read_request(stream):
                    self.requests.append(request)
                    if self._answer(connection, request) is False:
                        return
        except OSError:
            pass

    def stop(self) -> None:
        self.stopped.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in self._open:
            connection.close()
        self._thread.join()


def read_request(stream: BinaryIO) -> bytes:
    head = b""
    while (line := stream.readline()) not in (b"\r\n", b""):
        head += line
    length = next((int(it[15:]) for it in head.lower().splitlines() if it.startswith(b"content-length:")), 0)
    return head + b"\r\n" + stream.read(length) if head else b""


def http_answer(status: int, content: bytes, *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(content)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + content


@pytest.fixture
def serve() -> Iterator[Serve]:
    services = []

    def start(answer: Script | bytes) -> Service:
        service = Service(answer if callable(answer) else lambda connection, _: connection.sendall(answer))
        services.append(service)
        return service

    yield start
    for service in services:
        service.stop()


def reset(connection: socket.socket, _: bytes) -> bool:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    return False


def answer_half_and_reset(connection: socket.socket, request: bytes) -> bool:
    connection.sendall(b'HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{"user"')
    return reset(connection, request)


def send_and_hang_up(data: bytes) -> Script:
    def answer(connection: socket.socket, _: bytes) -> bool:
        connection.sendall(data)
        return False

    return answer


CHUNKS = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n"
HTML = b"<html><body><h1>502 Bad Gateway</h1></body></html>"
NOT_JSON = {
    "html-502": (502, HTML),
    "html-200": (200, HTML),
    "html-401": (401, HTML),
    "html-500": (500, HTML),
    "nothing": (200, b""),
    "cut": (200, b'{"version": "1.1", "result": [{"user": "al'),
    "latin-1": (200, b'{"user": "\xe9"}'),
    "deep": (200, b"[" * 100_000),
    "redirect": (302, b""),
}
ODD_JSON = {
    "other-object": (200, b'{"hello": "world"}'),
    "list": (200, b"[]"),
    "number": (200, b"1"),
    "null": (200, b"null"),
    "other-shape": (200, b'{"result": [[1, {"user": 3}]], "user": 3, "display": []}'),
    "null-result": (200, b'{"result": [null], "user": null}'),
    "text-result": (200, b'{"result": ["x"], "user": [], "expires": "x"}'),
    "empty-error": (500, b'{"error": {}}'),
    "text-error": (500, b'{"error": "x"}'),
    "unknown-error": (500, b'{"error": {"code": -1, "message": null, "appcode": 99}}'),
    "403-of-a-proxy": (403, b'{"message": "Forbidden"}'),
}


@pytest.mark.parametrize(("client", "call", "unavailable"), CALLS)
class TestOutages:
    def test_refused(self, client: Client, call: Call, unavailable: type[EngineError]) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
        with pytest.raises(unavailable, match=r"it can't be connected to\. Try again later"):
            call(client(f"http://127.0.0.1:{port}"))

    def test_never_answers(self, client: Client, call: Call, unavailable: type[EngineError], serve: Serve) -> None:
        service = serve(lambda *_: None)
        with pytest.raises(unavailable, match=r"no whole answer within 0.1 s"):
            call(client(service.url, timeout=0.1))

    def test_drips(self, client: Client, call: Call, unavailable: type[EngineError], serve: Serve) -> None:
        def drip(connection: socket.socket, _: bytes) -> None:
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
            while not service.stopped.wait(0.01):
                connection.sendall(b" ")

        service = serve(drip)
        with pytest.raises(unavailable, match=r"no whole answer within 0.1 s"):
            call(client(service.url, timeout=0.1))

    @pytest.mark.parametrize("name", NOT_JSON)
    def test_answers_what_is_no_json(
        self, client: Client, call: Call, unavailable: type[EngineError], serve: Serve, name: str
    ) -> None:
        status, content = NOT_JSON[name]
        service = serve(http_answer(status, content, "Location: http://127.0.0.1:1/"))
        with pytest.raises(unavailable, match=rf"HTTP {status}\) is not JSON"):
            call(client(service.url))
        assert len(service.requests) == 1

    @pytest.mark.parametrize("name", ODD_JSON)
    def test_answers_another_programs_json(
        self, client: Client, call: Call, unavailable: type[EngineError], serve: Serve, name: str
    ) -> None:
        service = serve(http_answer(*ODD_JSON[name], "Content-Type: application/json"))
        with pytest.raises(unavailable):
            call(client(service.url))

    @pytest.mark.parametrize(
        "answer",
        [
            pytest.param(reset, id="before"),
            pytest.param(answer_half_and_reset, id="within"),
            pytest.param(send_and_hang_up(b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n{}"), id="short"),
            pytest.param(send_and_hang_up(CHUNKS), id="chunks"),
            pytest.param(send_and_hang_up(b"SSH-2.0-OpenSSH_9.2\r\n"), id="ssh"),
        ],
    )
    def test_hangs_up(
        self, client: Client, call: Call, unavailable: type[EngineError], serve: Serve, answer: Script
    ) -> None:
        with pytest.raises(unavailable, match="the connection broke"):
            call(client(serve(answer).url))

    def test_answers_without_end(
        self, client: Client, call: Call, unavailable: type[EngineError], serve: Serve, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(http, "MAX_ANSWER_BYTES", 1000)
        with pytest.raises(unavailable, match="larger than"):
            call(client(serve(http_answer(200, b" " * 100_000 + b"{}")).url))

    def test_no_error_and_no_log_line_has_the_token(
        self, client: Client, call: Call, unavailable: type[EngineError], serve: Serve, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level("DEBUG")
        with pytest.raises(unavailable) as raised:
            call(client(serve(http_answer(502, HTML)).url))
        assert caplog.records
        assert TOKEN not in caplog.text + raised.value.message + str(raised.value.data)


@pytest.mark.parametrize("url", ["localhost:5000", "ftp://127.0.0.1", "http://"])
def test_a_wrong_url_is_said(url: str) -> None:
    with pytest.raises(CatalogUnavailable, match="its URL is wrong, check the settings"):
        Catalog(url).ping()


def test_a_full_queue_of_connections() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        address = listener.getsockname()
        with socket.create_connection(address), pytest.raises(AuthUnavailable, match=r"no connection within 0.1 s"):
            Auth(f"http://127.0.0.1:{address[1]}", timeout=0.1).token_owner(TOKEN)


def whoami(connection: socket.socket, request: bytes) -> None:
    """Answers with the token as the user's name."""
    token = next(it for it in request.split(b"\r\n") if it.lower().startswith(b"authorization:")).split()[1].decode()
    content = json.dumps({"user": token, "expires": 1}).encode()
    connection.sendall(http_answer(200, content, "Set-Cookie: kbase_session=x; Path=/"))


class TestConnections:
    def test_are_kept_and_carry_no_cookies(self, serve: Serve) -> None:
        service = serve(whoami)
        auth = Auth(service.url)
        for _ in range(5):
            auth.token_owner("alice")
        assert service.connections == 1
        assert not any(b"cookie" in it.lower() for it in service.requests)

    def test_that_the_service_closed_are_replaced(self, serve: Serve) -> None:
        def once(connection: socket.socket, request: bytes) -> bool:
            whoami(connection, request)
            return False

        service = serve(once)
        auth = Auth(service.url)
        for _ in range(5):
            assert auth.token_owner("alice").user == "alice"
        assert service.connections == 5

    def test_that_break_under_a_request_are_replaced_once(self, serve: Serve) -> None:
        def every_second(connection: socket.socket, request: bytes) -> bool:
            if len(service.requests) % 2 == 1:
                whoami(connection, request)
                return True
            return reset(connection, request)

        service = serve(every_second)
        auth = Auth(service.url)
        for _ in range(3):
            assert auth.token_owner("alice").user == "alice"

    def test_that_break_do_not_make_a_job_count_twice(self, serve: Serve) -> None:
        service = serve(reset)
        now = dt.datetime.now(dt.UTC)
        job = Execution("5d51aa0517554f4cfd7b8a2b", "alice", "m", "f", "0" * 40, now, now, now, is_error=False)
        with pytest.raises(CatalogUnavailable):
            Catalog(service.url).log_exec_stats(job, TOKEN)
        assert len(service.requests) == 1

    def test_serve_many_threads_without_mixing_them(self, serve: Serve) -> None:
        service = serve(whoami)
        auth = Auth(service.url, connections=8)
        names = [f"user{n}" for n in range(200)]
        with ThreadPoolExecutor(8) as pool:
            assert [it.user for it in pool.map(auth.token_owner, names)] == names
        assert service.connections <= 16

    def test_are_not_shared_with_a_forked_process(self, serve: Serve) -> None:
        service = serve(whoami)
        auth = Auth(service.url)
        auth.token_owner("parent")
        reading, writing = os.pipe()
        if (child := os.fork()) == 0:
            try:
                signal.alarm(30)
                os.write(writing, auth.token_owner("child").user.encode())
            finally:
                os._exit(0)
        os.close(writing)
        with os.fdopen(reading, "rb") as pipe:
            assert pipe.read() == b"child"
        os.waitpid(child, 0)
        assert auth.token_owner("parent").user == "parent"
        assert service.connections == 2

    def test_take_no_proxy_and_no_password_from_the_environment(
        self, serve: Serve, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        netrc = tmp_path / "netrc"
        netrc.write_text("machine 127.0.0.1 login x password y\n")
        netrc.chmod(0o600)
        monkeypatch.setenv("NETRC", str(netrc))
        monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
        monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
        assert Auth(serve(whoami).url).token_owner("alice").user == "alice"


@pytest.mark.parametrize("token", ["with\x00null", "two\nlines", "x\r\nX-Admin: 1", "smörgås→", "\ud800", "x" * 1001])
def test_a_token_that_can_not_be_one_is_not_sent(serve: Serve, token: str) -> None:
    service = serve(whoami)
    for call in (
        lambda: Auth(service.url).token_owner(token),
        lambda: Auth(service.url).account(token),
        lambda: Workspace(service.url).permissions("alice", [1], token),
        lambda: Workspace(service.url).readable_workspaces(token),
    ):
        with pytest.raises(TokenInvalid) as raised:
            call()
        assert token not in raised.value.message
    assert service.connections == 0
