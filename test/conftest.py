"""What all rings share: one real mongod for the whole run, databases on it, and a running engine."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mongomock
import pytest
import requests
from pymongo import MongoClient
from pymongo.database import Database

from execution_engine.core import context
from execution_engine.embedded.mongod import Mongod, find_mongod
from execution_engine.store.database import connect
from execution_engine.store.schema import prepare

sys.path.insert(0, str(Path(__file__).parent / "clusters"))

from condor_pool import condor_pool  # noqa: F401  a fixture
from slurm_cluster import slurm_cluster  # noqa: F401  a fixture

START_SECONDS = 90

# In the background of a shell Ctrl-C is ignored, and the engines that tests start would inherit that.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def no_call_is_under_way() -> None:
    """What one test's calls left in this thread's context is no affair of the next one."""
    context.begin_call()
    context.request_id.set("")


def wait_until(condition: Any, seconds: float = 30.0, what: str = "the condition") -> Any:
    """The first true answer of ``condition``; fails after ``seconds``."""
    deadline = time.monotonic() + seconds
    while True:
        if answer := condition():
            return answer
        assert time.monotonic() < deadline, f"{what} did not come true within {seconds} s"
        time.sleep(0.02)


@pytest.fixture(scope="session")
def mongod_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real mongod of our own, a replica set of one."""
    mongod = Mongod.in_folder(tmp_path_factory.mktemp("mongo"), find_mongod())
    process = subprocess.Popen(mongod.command(), stdout=subprocess.DEVNULL)
    try:
        wait_until(mongod.ready, START_SECONDS, "mongod")
        yield mongod.url
    finally:
        process.terminate()
        process.wait()
        mongod.remove_socket_folder()


@pytest.fixture
def real_database(mongod_url: str) -> Iterator[Database[dict[str, Any]]]:
    """A fresh engine database with its indexes on a real mongod."""
    database = connect(mongod_url, f"ee_{uuid.uuid4().hex[:12]}")
    prepare(database)
    yield database
    database.client.drop_database(database.name)
    database.client.close()


@pytest.fixture
def mock_database() -> Database[dict[str, Any]]:
    """A fresh engine database in memory: fast, and without transactions, $$NOW and hints."""
    imitation: Database[dict[str, Any]] = mongomock.MongoClient(tz_aware=True)["execution_engine"]
    return imitation


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Answer:
    """A JSON-RPC answer: HTTP status, headers, body."""

    status: int
    headers: Any
    body: Any

    @property
    def result(self) -> Any:
        assert "result" in self.body, self.body
        return self.body["result"]

    @property
    def error(self) -> Any:
        assert "error" in self.body, self.body
        return self.body["error"]


class Stack:
    """A whole engine: `execution-engine up` on a data folder of its own, and calls to it."""

    def __init__(self, folder: Path, config: str = "") -> None:
        self.folder = folder
        self.port = free_port()
        self.data = folder / "data"
        self._config = folder / "user.cfg"
        self._config.write_text(config)
        self.process: subprocess.Popen[bytes] | None = None
        self.session = requests.Session()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/services/ee"

    def start(self) -> None:
        environment = {**os.environ, "KB_DEPLOYMENT_CONFIG": str(self._config)}
        command = [sys.executable, "-m", "execution_engine.cli.main", "up"]
        self.log = self.folder / "up.log"
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*command, "--data", str(self.data), "--port", str(self.port)],
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                env=environment,
                start_new_session=True,
            )
        wait_until(self._ready, START_SECONDS, "the stack")

    def _ready(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, self.log.read_text()
        if not (self.data / "endpoints.json").exists():
            return False
        try:
            parts = self.call("status")["dependencies"]
        except requests.RequestException:
            return False
        # Whether Auth2, Workspace and Catalog are well is no affair of the engine's start.
        own = [part for name, part in parts.items() if name in {"database", "dispatcher"} or name.startswith("backend")]
        return all(part["state"] == "up" for part in own)

    def stop(self, number: int = signal.SIGINT) -> int:
        assert self.process is not None
        self.process.send_signal(number)
        return self.process.wait(60)

    def token(self, user: str) -> str:
        return str(json.loads((self.data / "tokens.json").read_text())[user])

    def pid(self, child: str) -> int:
        """The process of one child: mongod, services, web or dispatcher."""
        note = json.loads((self.data / "children.json").read_text())
        return int(note[child]["pid"] if isinstance(note[child], dict) else note[child])

    def post(self, method: str, params: Any = None, user: str | None = None, **headers: str) -> Answer:
        """One JSON-RPC 2.0 call as ``user``."""
        if user:
            headers["Authorization"] = self.token(user)
        body = {"jsonrpc": "2.0", "id": 1, "method": f"ExecutionEngine.{method}", "params": params or {}}
        response = self.session.post(self.url, json=body, headers=headers, timeout=60)
        return Answer(response.status_code, response.headers, response.json())

    def call(self, method: str, params: Any = None, user: str | None = None) -> Any:
        """The result of a call that must succeed."""
        return self.post(method, params, user).result

    def service(self, path: str, method: str, params: Any, user: str) -> Any:
        """A KBase JSON-RPC 1.1 call to an embedded service: ws or catalog."""
        body = {"version": "1.1", "id": "1", "method": method, "params": [params]}
        response = self.session.post(
            f"http://127.0.0.1:{self.port}/services/{path}",
            json=body,
            headers={"Authorization": self.token(user)},
            timeout=30,
        )
        return response.json()["result"][0]

    def new_workspace(self, owner: str, **permissions: str) -> int:
        """A workspace of ``owner``; ``permissions`` by user, as in ``bob="r"``."""
        name = f"{owner}:test{uuid.uuid4().hex[:10]}"
        wsid = int(self.service("ws", "Workspace.create_workspace", {"workspace": name}, owner)[0])
        for user, permission in permissions.items():
            grant = {"id": wsid, "new_permission": permission, "users": [user]}
            body = {"version": "1.1", "id": "1", "method": "Workspace.set_permissions", "params": [grant]}
            answer = self.session.post(
                f"http://127.0.0.1:{self.port}/services/ws",
                json=body,
                headers={"Authorization": self.token(owner)},
                timeout=30,
            )
            assert answer.status_code == 200, answer.text
        return wsid

    def wait_for(self, job_id: str, *statuses: str, user: str = "alice", seconds: float = 60.0) -> Any:
        """The record of the job once it has one of the statuses (default: a final one)."""
        wanted = statuses or ("completed", "error", "terminated")

        def reached() -> Any:
            job = self.call("check_job", {"job_id": job_id}, user)
            return job if job["status"] in wanted else None

        return wait_until(reached, seconds, f"job {job_id} {wanted}")

    def database(self) -> Database[dict[str, Any]]:
        """The engine's own database, to look behind the API."""
        endpoints = json.loads((self.data / "endpoints.json").read_text())
        client: MongoClient[dict[str, Any]] = MongoClient(endpoints["mongo"], tz_aware=True)
        return client["execution_engine"]


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """One running engine for all tests that leave it as it was."""
    running = Stack(tmp_path_factory.mktemp("stack"), "[backend:local]\nkind = local\ncpus = 8\n")
    running.start()
    yield running
    running.stop()


@pytest.fixture
def new_stack(tmp_path: Path) -> Iterator[Any]:
    """Makes engines of one's own, to break."""
    made: list[Stack] = []

    def make(config: str = "") -> Stack:
        folder = tmp_path / f"stack{len(made)}"
        folder.mkdir()
        made.append(Stack(folder, config))
        made[-1].start()
        return made[-1]

    yield make
    for running in made:
        if running.process is not None and running.process.poll() is None:
            running.stop()
