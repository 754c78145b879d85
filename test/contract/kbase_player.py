"""A server that answers as the real Auth2, Workspace and Catalog were recorded to answer.

It answers a request only if the real service was once asked the same: same method, path, token, parameters and
envelope. Where a test asks in other words (a workspace by id that the record names), it says so with ``params``.
"""

import json
import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, TypeAlias

from recorded import exchanges

Question: TypeAlias = tuple[str | None, ...]

EXCHANGES = {(it["service"], it["name"]): it for it in exchanges("auth2", "auth2-testmode", "workspace", "catalog")}


def recorded(service: str, name: str) -> dict[str, Any]:
    return EXCHANGES[service, name]


def token_of(service: str, name: str) -> str:
    token: str = recorded(service, name)["request"]["headers"]["Authorization"]
    return token


def question(method: str, path: str, token: str | None, body: dict[str, Any] | None) -> Question:
    if body is None:
        return method, path, token
    assert isinstance(body.pop("id"), str)
    return method, path, token, json.dumps(body, sort_keys=True)


class Player(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Desk)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.answers: defaultdict[Question, list[dict[str, Any]]] = defaultdict(list)
        self.asked = 0
        self.surprises: list[Question] = []

    def play(self, service: str, name: str, *, params: list[Any] | None = None, token: str | None = None) -> None:
        exchange = recorded(service, name)
        request = exchange["request"]
        body = request["body"]
        if body is not None:
            body = dict(body) | ({} if params is None else {"params": params})
        token = token or request["headers"].get("Authorization")
        self.answers[question(request["method"], request["path"], token, body)].append(exchange["response"])

    def answer(self, asked: Question) -> dict[str, Any]:
        self.asked += 1
        answers = self.answers.get(asked)
        if not answers:
            self.surprises.append(asked)
            return {"status": 599, "headers": {}, "body": "never recorded"}
        return answers.pop(0) if len(answers) > 1 else answers[0]


class Desk(BaseHTTPRequestHandler):
    server: Player
    protocol_version = "HTTP/1.1"

    def handle_request(self) -> None:
        length = int(self.headers.get("Content-Length", 0))
        body = json.loads(self.rfile.read(length)) if length else None
        response = self.server.answer(question(self.command, self.path, self.headers.get("Authorization"), body))
        content = response["body"] if isinstance(response["body"], str) else json.dumps(response["body"])
        chunked = "Transfer-Encoding" in response["headers"]
        self.send_response(response["status"])
        for name, value in response["headers"].items():
            if name.lower() != "content-length":
                self.send_header(name, value)
        if not chunked:
            self.send_header("Content-Length", str(len(content.encode())))
        self.end_headers()
        data = content.encode()
        self.wfile.write(b"%x\r\n%s\r\n0\r\n\r\n" % (len(data), data) if chunked else data)

    do_GET = do_POST = handle_request  # noqa: N815  # the base class asks for these names

    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def playing() -> Iterator[Player]:
    server = Player()
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()
    assert server.surprises == []
