"""A whole engine, as people start it: `execution-engine up`; and calls to it."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from servers import wait_until


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


@contextmanager
def engine(folder: Path, config: str = "") -> Iterator[int]:
    """`execution-engine up` on ``folder``, with the settings of ``config`` over its own; its port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    folder.mkdir(parents=True)
    command = [sys.executable, "-m", "execution_engine.cli.main", "up", "--data", str(folder), "--port", str(port)]
    settings = folder.parent / f"{folder.name}.cfg"
    settings.write_text(config)
    environment = {**os.environ, "KB_DEPLOYMENT_CONFIG": str(settings)}
    with (folder.parent / f"{folder.name}.log").open("wb") as log:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment)
    try:
        wait_until(lambda: (folder / "endpoints.json").exists() or process.poll() is not None, "the engine")
        if process.poll() is not None:
            raise RuntimeError(f"the engine did not start:\n{(folder.parent / 'up.log').read_text()}")
        yield port
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(60)
