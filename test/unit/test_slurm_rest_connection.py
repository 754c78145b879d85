"""The REST daemon as it may be: closed, slow, without manners."""

import base64
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from slurm_recorded import REST

from execution_engine.backends.slurm.rest import Rest
from execution_engine.backends.slurm.rest_connection import Door
from execution_engine.backends.slurm.rest_v0_0_38 import V0038
from execution_engine.backends.slurm.session import Trouble

A_TOKEN = "abc"
Serve = Callable[[socket.socket], None]


@pytest.fixture
def daemon() -> Iterator[Callable[[Serve], str]]:
    """Starts a daemon that treats each connection in a way, and says its URL."""
    listener = socket.create_server(("127.0.0.1", 0))

    def start(serve: Serve) -> str:
        def run() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection:
                    serve(connection)

        threading.Thread(target=run, daemon=True).start()
        return f"http://127.0.0.1:{listener.getsockname()[1]}"

    yield start
    listener.close()


def answering(status: int, text: str) -> Serve:
    def serve(connection: socket.socket) -> None:
        while connection.recv(65536):
            body = text.encode()
            connection.sendall(f"HTTP/1.1 {status} X\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)

    return serve


def drip(connection: socket.socket) -> None:
    connection.recv(65536)
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
    for _ in range(100):
        time.sleep(0.02)
        try:
            connection.sendall(b" ")
        except OSError:
            return


def way(url: str, tmp_path: Path, token: str) -> Rest:
    file = tmp_path / "token"
    file.write_text(f"{token}\n")
    return Rest(Door(url, "kbase", str(file), 0.3), "v0.0.38", V0038(), "kbase")


def trouble(url: str, tmp_path: Path, token: str = A_TOKEN) -> str:
    before = time.monotonic()
    with pytest.raises(Trouble) as caught, way(url, tmp_path, token).begin() as slurm:
        slurm.own_jobs()
    assert time.monotonic() - before < 2
    return str(caught.value)


def test_several_questions_over_one_connection(daemon: Callable[[Serve], str], tmp_path: Path) -> None:
    connections: list[socket.socket] = []
    answer = answering(200, json.dumps({"errors": [], "jobs": [], "nodes": []}))

    def serve(connection: socket.socket) -> None:
        connections.append(connection)
        answer(connection)

    with way(daemon(serve), tmp_path, A_TOKEN).begin() as slurm:
        assert slurm.own_jobs() == slurm.nodes() == slurm.waiting_jobs() == []
    assert len(connections) == 1


def test_nobody_listens(tmp_path: Path) -> None:
    assert trouble("http://127.0.0.1:1", tmp_path) == "its REST daemon can't be reached: [Errno 111] Connection refused"
    assert "No such file" in trouble(f"unix:{tmp_path}/socket", tmp_path)


@pytest.mark.parametrize("serve", [lambda connection: connection.recv(65536) and time.sleep(1), drip])
def test_it_takes_too_long(daemon: Callable[[Serve], str], tmp_path: Path, serve: Serve) -> None:
    assert trouble(daemon(serve), tmp_path) == "its REST daemon did not answer within 0.3 s"


@pytest.mark.parametrize(
    ("text", "status", "words"),
    [
        ("Authentication failure", 401, "does not accept the engine's name and token (Authentication failure)"),
        (REST["other version"]["body"], 404, "does not speak the version of the setting rest-version"),
        ("<html>Bad Gateway</html>", 502, "answered with status 502 and no JSON object: '<html>Bad Gateway</html>'"),
        ("[]", 200, "no JSON object"),
        ("", 200, "no JSON object"),
    ],
)
def test_what_is_no_answer(
    daemon: Callable[[Serve], str], tmp_path: Path, text: object, status: int, words: str
) -> None:
    assert words in trouble(daemon(answering(status, str(text))), tmp_path)


def test_something_else_than_http(daemon: Callable[[Serve], str], tmp_path: Path) -> None:
    url = daemon(lambda connection: connection.sendall(b"SSH-2.0-OpenSSH_9.2\r\n"))
    assert trouble(url, tmp_path).startswith("its REST daemon can't be reached: ")


def test_a_token_that_has_expired_is_told(daemon: Callable[[Serve], str], tmp_path: Path) -> None:
    url = daemon(answering(500, json.dumps(REST["controller down: jobs"]["body"])))
    claims = base64.urlsafe_b64encode(json.dumps({"exp": time.time() - 60}).encode()).decode().rstrip("=")
    assert trouble(url, tmp_path, f"a.{claims}.b").startswith("the engine's token has expired 60 s ago")
    assert trouble(url, tmp_path).startswith("its controller does not answer the REST daemon, or does not accept")


def test_a_token_that_is_none_is_not_sent(tmp_path: Path) -> None:
    assert trouble("http://127.0.0.1:1", tmp_path, "").startswith("there is no token in ")
    assert trouble("http://127.0.0.1:1", tmp_path, "a\nb").startswith("there is no token in ")
    (tmp_path / "token").unlink()
    door = Door("http://127.0.0.1:1", "kbase", str(tmp_path / "token"), 0.3)
    with pytest.raises(Trouble, match=r"its token in .* \(token-file\) can't be read: "):
        door.open()


def test_what_scontrol_prints_is_a_token(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("SLURM_JWT=abc\n")
    with Door("http://127.0.0.1:1", "kbase", str(tmp_path / "token"), 0.3).open() as connection:
        assert connection.token == "abc"
