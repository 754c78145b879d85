"""An engine with one job: the five methods of the runner by the protocol's rules, over real HTTP, with faults."""

import json
import random
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

TICKET = "eet_ticket"
CREDENTIAL = "eec_credential"


class Refusal(Exception):
    """An error as the answer."""

    def __init__(self, reason: str, **data: Any) -> None:
        super().__init__(reason)
        self.data = {"reason": reason, **data}


class RunnerEngine:
    """``faults``: what may happen to a call instead of its answer, at random for ``fault_rate`` of the calls.

    ``work``: the answer of get_job_params. ``log``: the job's lines. ``finishes``: all reports of the end that came.
    """

    def __init__(self) -> None:
        self.job_id = "65f000000000000000000001"
        self.first_line = 0
        self.heartbeat_ms = 200
        self.cancel_requested = 0
        self.work: dict[str, Any] = {
            "job_id": self.job_id,
            "user": "alice",
            "method": "tests.app",
            "params": [{"n": 1}],
            "service_ver": "0f0f0f",
            "services": {"workspace": "http://127.0.0.1:1/services/ws"},
            "requirements": {},
            "limits": {"output_bytes": 100_000, "line_chars": 10_000, "lines_per_call": 1000},
        }
        self.faults: list[str] = []
        self.fault_rate = 0.0
        self.refuse: dict[str, str] = {}
        self.takes_outputs = True
        self.runner: str | None = None
        self.log: list[dict[str, Any]] = []
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.finishes: list[dict[str, Any]] = []
        self.port = 0
        self._lock = threading.Lock()
        self._random = random.Random(7)
        self._server: Server | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/services/ee"

    def up(self) -> None:
        """Serve, on the same port as before."""
        self._server = Server(("127.0.0.1", self.port), self)
        self.port = self._server.server_port
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    def down(self) -> None:
        """Refuse connections and cut those that are open."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server.cut_connections()
            self._server = None

    def lines(self, stream: str = "stdout") -> list[str]:
        with self._lock:
            return [line["line"] for line in self.log if line["stream"] == stream]

    def cause(self) -> dict[str, Any]:
        """The cause that the job ended with."""
        found: dict[str, Any] = self.finishes[0]["cause"]
        return found

    def count(self, method: str) -> int:
        return sum(name == method for name, _ in self.calls)

    def answer(self, method: str, params: dict[str, Any], secret: str) -> Any:
        with self._lock:
            self.calls.append((method, params))
            if method in self.refuse:
                raise Refusal(self.refuse[method])
            assert (params["job_id"], params["attempt"]) == (self.job_id, 1)
            if secret != (TICKET if method == "start_job" else CREDENTIAL):
                raise Refusal("credential_invalid")
            return getattr(self, f"_{method}")(params)

    def fault(self) -> str | None:
        """What happens to this call, if anything."""
        with self._lock:
            return self._random.choice(self.faults) if self.faults and self._random.random() < self.fault_rate else None

    def _start_job(self, params: dict[str, Any]) -> Any:
        if self.runner not in (None, params["runner"]):
            raise Refusal("ticket_used")
        self.runner = params["runner"]
        return {"credential": CREDENTIAL, "first_line": self.first_line, **self._orders()}

    def _get_job_params(self, _: dict[str, Any]) -> Any:
        return self.work

    def _add_job_logs(self, params: dict[str, Any]) -> Any:
        held = self.first_line + len(self.log)
        if params["first_line"] > held:
            raise Refusal("log_gap", next_line=held)
        assert len(params["lines"]) <= self.work["limits"]["lines_per_call"]
        assert not self.finishes, "a line after the report of the end"
        self.log += params["lines"][held - params["first_line"] :]
        return {"next_line": self.first_line + len(self.log), "cancel_requested": self.cancel_requested}

    def _heartbeat(self, _: dict[str, Any]) -> Any:
        return self._orders()

    def _finish_job(self, params: dict[str, Any]) -> Any:
        if "output" in params and not self.takes_outputs:
            raise Refusal("output_too_large")
        if self.finishes and self.finishes[0] != params:
            raise Refusal("already_finished")
        self.finishes.append(params)
        return {"status": params["outcome"], "accepted": 1}

    def _orders(self) -> dict[str, Any]:
        return {"heartbeat_ms": self.heartbeat_ms, "cancel_requested": self.cancel_requested}


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 50

    def __init__(self, address: tuple[str, int], engine: RunnerEngine) -> None:
        self.engine = engine
        self._open: set[socket.socket] = set()
        super().__init__(address, Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        self._open.add(request)
        super().process_request(request, client_address)

    def cut_connections(self) -> None:
        for connection in self._open:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A connection that was cut is no news."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = 1 << 16  # head and body in one packet
    server: Server

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        assert self.path == "/services/ee"
        module, method = body["method"].split(".")
        assert module == "ExecutionEngine"
        fault = self.server.engine.fault()
        if fault == "unavailable":
            self._send(503, "text/html", b"<html>503 Service Unavailable</html>")
        elif fault == "captive":
            self._send(200, "text/html", b"<html>Please log in</html>")
        elif fault == "drop request":
            self.close_connection = True
        else:
            answer = self._answer(method, body["params"])
            if fault == "drop answer":
                self.close_connection = True
            elif fault == "half an answer":
                self.close_connection = True
                self._send(200, "application/json", answer, length=2 * len(answer))
            else:
                self._send(200, "application/json", answer)

    def _answer(self, method: str, params: dict[str, Any]) -> bytes:
        envelope: dict[str, Any] = {"jsonrpc": "2.0", "id": 1}
        try:
            envelope["result"] = self.server.engine.answer(method, params, self.headers["Authorization"])
        except Refusal as refusal:
            envelope["error"] = {"code": -32000, "message": "Refused here.", "data": refusal.data}
        return json.dumps(envelope).encode()

    def _send(self, status: int, content_type: str, body: bytes, length: int | None = None) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(length or len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """The tests say what happened."""
