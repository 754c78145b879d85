"""A stand-in for the engine, and real runner processes on it."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))
pytest.register_assert_rewrite("runner_engine")

from runner_engine import TICKET, RunnerEngine  # noqa: E402 - the folder of this file is not on the path before

from execution_engine.backends.runner_archive import build  # noqa: E402

SECONDS = 60


@pytest.fixture(scope="session")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("archive"))


@pytest.fixture
def engine() -> Iterator[RunnerEngine]:
    engine = RunnerEngine()
    engine.up()
    yield engine
    engine.down()


class Runner:
    """One runner process. ``dir``: its job folder."""

    def __init__(self, process: subprocess.Popen[bytes], folder: Path) -> None:
        self.process = process
        self.dir = folder
        self.work = folder / "work"

    def exit_code(self) -> int:
        """Waits for the end."""
        return self.process.wait(SECONDS)

    def errors(self) -> str:
        return (self.dir.parent / f"{self.dir.name}.err").read_text()


@pytest.fixture
def start_runner(archive: Path, engine: RunnerEngine, tmp_path: Path) -> Iterator[Callable[..., Runner]]:
    runners = []

    def start(*options: str, python: str = sys.executable, folder: str = "job", **environment: str) -> Runner:
        job = tmp_path / folder
        job.mkdir(mode=0o700, exist_ok=True)
        ticket = tmp_path / "ticket"
        ticket.write_text(f"{TICKET}\n")
        place = ["--url", engine.url, "--job", engine.job_id, "--attempt", "1"]
        files = ["--ticket-file", str(ticket), "--dir", str(job)]
        with (tmp_path / f"{folder}.err").open("ab") as errors:
            process = subprocess.Popen(
                [python, "-IS", str(archive), *place, *files, *options],
                stderr=errors,
                env={"PATH": "/usr/bin:/bin", **environment},
            )
        runners.append(process)
        return Runner(process, job)

    yield start
    for process in runners:
        process.kill()
        process.wait()


@pytest.fixture
def app(engine: RunnerEngine, tmp_path: Path) -> Callable[..., None]:
    """Makes a shell script the job's app."""

    def make(script: str, **work: Any) -> None:
        directory = tmp_path / "app"
        directory.mkdir(exist_ok=True)
        (directory / "app.sh").write_text(script)
        engine.work["app"] = {"kind": "command", "command": ["sh", "app.sh"], "directory": str(directory)}
        engine.work.update(work)

    return make


@pytest.fixture
def wait_until() -> Callable[[Callable[[], object]], None]:
    def wait(condition: Callable[[], object]) -> None:
        deadline = time.monotonic() + SECONDS
        while not condition():
            assert time.monotonic() < deadline, "it did not happen in time"
            time.sleep(0.02)

    return wait
