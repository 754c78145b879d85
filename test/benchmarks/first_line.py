"""From run_job until the job runs, and until the first line of the app's output can be read, on an idle engine."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from seed import METHOD
from servers import register_apps, wait_until

_PAUSE_SECONDS = 0.005
_PATIENCE_SECONDS = 30


class Client:
    """Calls of one user on one connection."""

    def __init__(self, port: int, token: str) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        self._headers = {"Authorization": token, "Content-Type": "application/json"}

    def call(self, method: str, params: Any) -> Any:
        body = {"version": "1.1", "id": "1", "method": f"ExecutionEngine.{method}", "params": [params]}
        self._connection.request("POST", "/services/ee", json.dumps(body), self._headers)
        answer = json.loads(self._connection.getresponse().read())
        if "error" in answer:
            raise RuntimeError(f"{method}: {answer['error']}")
        return answer["result"][0]


class Beginning(NamedTuple):
    """Seconds until the job was recorded as running, and until its first line could be read."""

    running: float
    line: float


def measure(folder: Path, count: int) -> list[Beginning]:
    """How ``count`` jobs began, one after the other; the first, cold one is left out."""
    with _engine(folder) as port:
        register_apps(json.loads((folder / "endpoints.json").read_text())["mongo"], folder)
        client = Client(port, json.loads((folder / "tokens.json").read_text())["alice"])
        return [_time_one(client) for _ in range(count + 1)][1:]


def _time_one(client: Client) -> Beginning:
    begun = time.perf_counter()
    job_id = client.call("run_job", {"method": METHOD, "params": []})
    while not client.call("get_logs", {"job_id": job_id})["lines"]:
        if time.perf_counter() - begun > _PATIENCE_SECONDS:
            raise RuntimeError(
                f"no line of a job within {_PATIENCE_SECONDS} s: {client.call('check_job', {'job_id': job_id})}"
            )
        time.sleep(_PAUSE_SECONDS)
    seconds = time.perf_counter() - begun
    times: dict[str, int] = wait_until(lambda: _times_of_ended(client, job_id), "its end")
    return Beginning((times["running"] - times["created"]) / 1000, seconds)


def _times_of_ended(client: Client, job_id: str) -> Any:
    times = client.call("check_job", {"job_id": job_id, "fields": ["created", "running", "finished"]})
    return times if "finished" in times else None


@contextmanager
def _engine(folder: Path) -> Iterator[int]:
    """`execution-engine up` on ``folder``; its port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    folder.mkdir(parents=True)
    command = [sys.executable, "-m", "execution_engine.cli.main", "up", "--data", str(folder), "--port", str(port)]
    environment = {name: value for name, value in os.environ.items() if name != "KB_DEPLOYMENT_CONFIG"}
    with (folder.parent / "up.log").open("wb") as log:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment)
    try:
        wait_until(lambda: (folder / "endpoints.json").exists() or process.poll() is not None, "the engine")
        if process.poll() is not None:
            raise RuntimeError(f"the engine did not start:\n{(folder.parent / 'up.log').read_text()}")
        yield port
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(60)
