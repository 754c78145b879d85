"""The least that an engine could be for a runner: every attempt may start, gets the same app, and may report."""

import json
import multiprocessing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing.synchronize import Semaphore
from pathlib import Path
from types import TracebackType
from typing import Any, Self

_LIMITS = {"output_bytes": 100_000, "line_chars": 10_000, "lines_per_call": 1_000}
_ORDERS = {"heartbeat_ms": 5_000, "cancel_requested": 0}


class IdleEngine:
    """A process of its own that answers the runner's five methods from memory; ``app``: a folder with true.sh."""

    def __init__(self, app: Path) -> None:
        context = multiprocessing.get_context("spawn")
        self._ended = context.Semaphore(0)
        port = context.Queue()
        self._process = context.Process(target=_serve, args=(port, self._ended, str(app)), daemon=True)
        self._process.start()
        self.url = f"http://127.0.0.1:{port.get()}/services/ee"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.terminate()
        self._process.join()

    def wait_for(self, count: int, seconds: float) -> None:
        """Until so many jobs have reported their end; raises RuntimeError if one takes longer than ``seconds``."""
        for number in range(count):
            if not self._ended.acquire(timeout=seconds):
                raise RuntimeError(f"only {number} of {count} jobs have ended, and no other one within {seconds} s")


def _serve(port: Any, ended: Semaphore, app: str) -> None:
    def answer(method: str, params: dict[str, Any]) -> Any:
        match method:
            case "ExecutionEngine.start_job":
                return {"credential": "eec_idle", "first_line": 0, **_ORDERS}
            case "ExecutionEngine.get_job_params":
                return {
                    "job_id": params["job_id"],
                    "user": "alice",
                    "method": "bench_tools.true",
                    "params": [],
                    "service_ver": "0" * 40,
                    "app": {"kind": "command", "command": ["sh", "true.sh"], "directory": app},
                    "requirements": {},
                    "services": {},
                    "limits": _LIMITS,
                }
            case "ExecutionEngine.add_job_logs":
                return {"next_line": params["first_line"] + len(params["lines"]), "cancel_requested": 0}
            case "ExecutionEngine.finish_job":
                ended.release()
                return {"status": params["outcome"], "accepted": 1}
            case _:
                return _ORDERS

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = 1 << 16  # head and body in one packet

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            text = json.dumps({"jsonrpc": "2.0", "id": 1, "result": answer(body["method"], body["params"])}).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_: object) -> None:
            """Nobody reads it."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 100

    server = Server(("127.0.0.1", 0), Handler)
    port.put(server.server_port)
    server.serve_forever()
