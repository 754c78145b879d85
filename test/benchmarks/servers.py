"""The processes that are measured: mongod, the embedded services and the web server, as `execution-engine up` has them.

There is no dispatcher, which would execute what is submitted.
"""

import http.client
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pymongo

from execution_engine.config import Settings
from execution_engine.embedded.bootstrap import bootstrap
from execution_engine.embedded.catalog import register_command_apps
from execution_engine.embedded.plan import SERVICE_PATHS, Plan, Wishes, make_plan
from execution_engine.embedded.services import DATABASE_NAME

HERE = Path(__file__).parent
APPS = HERE / "apps"
START_SECONDS = 60
# All clients are the same user, who would be told to wait otherwise.
SETTINGS = """
[execution_engine]
max-heavy-calls = 100
"""


def wait_until(condition: Callable[[], Any], what: str, seconds: float = START_SECONDS) -> Any:
    """The first true answer; raises RuntimeError after ``seconds``."""
    deadline = time.monotonic() + seconds
    while not (answer := condition()):
        if time.monotonic() > deadline:
            raise RuntimeError(f"{what}: not within {seconds} s")
        time.sleep(0.05)
    return answer


def register_apps(mongo_url: str, folder: Path) -> None:
    """Make the benchmark's app known to the embedded Catalog of a data folder."""
    with pymongo.MongoClient[dict[str, Any]](mongo_url) as client:
        register_command_apps(client[DATABASE_NAME], APPS, folder / "apps")


class Servers:
    """Starts on entering, stops on leaving."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        settings = folder / "benchmark.cfg"
        settings.write_text(SETTINGS)
        self.plan: Plan = make_plan(folder, Wishes(port=0, config_file=str(settings)))
        self._processes: list[subprocess.Popen[bytes]] = []

    @property
    def settings(self) -> Settings:
        return self.plan.settings

    @property
    def tokens(self) -> Mapping[str, str]:
        """The users' tokens by name."""
        tokens: dict[str, str] = json.loads((self.folder / "tokens.json").read_text())
        return tokens

    def __enter__(self) -> Self:
        try:
            self._start_database()
            port = str(self.plan.services_port)
            options = ["--bind", f"127.0.0.1:{port}", "--workers", "1"]
            self._gunicorn("services", [*options, "execution_engine.embedded.services:create_app()"])
            path = SERVICE_PATHS["auth"] + "/"
            self._wait_for("services", lambda: answers(self.plan.services_port, path))
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def start_web(self) -> None:
        """The web server under measurement, with the engine's own settings of gunicorn."""
        self._gunicorn("web", ["--pythonpath", str(HERE), "floor:create_app()"])
        self._wait_for("web", lambda: answers(self.settings.port, "/"))

    def settle(self) -> None:
        """Lets mongod write what it holds back, so that the next task does not pay for the one before."""
        with pymongo.MongoClient[dict[str, Any]](self.settings.mongo_url) as client:
            client.admin.command("fsync")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for process in reversed(self._processes):
            process.terminate()
            process.wait(30)

    def _start_database(self) -> None:
        mongod = self.plan.mongod
        if mongod is None:
            raise RuntimeError("the benchmark needs a mongod of its own")
        self._start("mongod", mongod.command())
        self._wait_for("mongod", mongod.ready)
        with pymongo.MongoClient[dict[str, Any]](self.settings.mongo_url) as client:
            bootstrap(client[DATABASE_NAME], self.folder)
        register_apps(self.settings.mongo_url, self.folder)

    def _wait_for(self, name: str, ready: Callable[[], bool]) -> None:
        """Until the process that was started last is ready; raises RuntimeError, with its log, if it never is."""
        ended = self._processes[-1].poll
        try:
            wait_until(lambda: ready() or ended() is not None, name)
        finally:
            if ended() is not None:
                raise RuntimeError(f"{name} ended at once:\n{(self.folder / f'{name}.log').read_text()[-3000:]}")

    def _gunicorn(self, name: str, options: list[str]) -> None:
        settings = ["-c", "python:execution_engine.gunicorn_settings"]
        self._start(name, [sys.executable, "-m", "gunicorn", *settings, *options])

    def _start(self, name: str, command: list[str]) -> None:
        environment = {**os.environ, "KB_DEPLOYMENT_CONFIG": str(self.plan.config_file)}
        with (self.folder / f"{name}.log").open("ab") as log:
            self._processes.append(
                subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment)
            )


def answers(port: int, path: str) -> bool:
    """Whether an HTTP server is there."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", path)
        return connection.getresponse().status < 500
    except OSError:
        return False
    finally:
        connection.close()
