"""The two commands of the README, in a fresh clone."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a clone of the project as it is now would have: no environment, no data, nothing that was built."""
    folder = tmp_path_factory.mktemp("clone")
    listing = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(listing, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    return folder


def environment(**more: str) -> dict[str, str]:
    """A newcomer's: none of our variables, no virtual environment."""
    ours = ("EE_", "KB_", "VIRTUAL_ENV", "MAKE", "MFLAGS", "PYTHON", "COV", "PYTEST")
    return {name: value for name, value in os.environ.items() if not name.startswith(ours)} | more


class MakeRun:
    """`make run` in the foreground of a terminal of its own, and what it has printed so far."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.data = folder / "somewhere"
        self._output = folder / "output"
        with self._output.open("wb") as output:
            self.process = subprocess.Popen(
                ["make", "run"],
                cwd=folder,
                env=environment(EE_PORT=str(self.port), EE_DATA=str(self.data)),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    def output(self) -> str:
        return self._output.read_text()

    def wait_for(self, text: str, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while text not in self.output():
            assert self.process.poll() is None, self.output()
            assert time.monotonic() < deadline, self.output()
            time.sleep(0.1)

    def press_ctrl_c(self) -> None:
        """As a terminal does it: the signal goes to the whole foreground group. make itself ends by it."""
        os.killpg(self.process.pid, signal.SIGINT)
        self.process.wait(60)

    def call(self, name: str, **params: Any) -> Any:
        endpoints = json.loads((self.data / "endpoints.json").read_text())
        token = json.loads((self.data / "tokens.json").read_text())["alice"]
        request = {"jsonrpc": "2.0", "id": 1, "method": f"ExecutionEngine.{name}", "params": params}
        answer = requests.post(
            endpoints["execution_engine"], json=request, headers={"Authorization": token}, timeout=30
        )
        return answer.json()["result"]

    def processes(self) -> list[str]:
        """The command lines of all processes that belong to this data folder."""
        found = []
        for file in Path("/proc").glob("[0-9]*/environ"):
            try:
                if str(self.data).encode() in file.read_bytes() + (file.parent / "cmdline").read_bytes():
                    found.append((file.parent / "cmdline").read_text().replace("\0", " "))
            except OSError:
                continue
        return [line for line in found if line]


@pytest.fixture(scope="module")
def make_run(clone: Path) -> Callable[[], Any]:
    @contextmanager
    def run() -> Iterator[MakeRun]:
        running = MakeRun(clone)
        try:
            yield running
        finally:
            if running.process.poll() is None:
                os.killpg(running.process.pid, signal.SIGTERM)
                running.process.wait(60)

    return run


def test_make_run_reaches_a_first_result_and_stops_cleanly_and_finds_everything_again(make_run: Any) -> None:
    with make_run() as first:
        first.wait_for("keeps running until Ctrl-C", seconds=300)
        assert re.search(r"total_length +9,609", first.output()), "the result of the example job"
        assert "Report" in first.output()
        assert f"http://127.0.0.1:{first.port}/services/ee" in first.output()
        assert str(first.data / "tokens.json") in first.output()
        [job] = first.call("list_jobs")["jobs"]
        assert job["status"] == "completed"
        log = first.call("get_logs", job_id=job["job_id"])["lines"]
        assert log
        long = first.call(
            "run_job", method="sequence_tools.long_task", params=[{"seconds": 600, "lines_per_second": 5}]
        )
        while first.call("check_job", job_id=long)["status"] != "running":
            time.sleep(0.1)
        first.press_ctrl_c()
        assert f"Stopped. All jobs and logs are kept in {first.data}." in first.output()
        assert first.processes() == []

    with make_run() as second:
        second.wait_for("keeps running until Ctrl-C", seconds=60)
        assert "earlier jobs and their logs are still there" in second.output()
        while second.call("check_job", job_id=long)["status"] == "running":
            time.sleep(0.1)
        jobs = {found["job_id"]: found for found in second.call("list_jobs")["jobs"]}
        assert jobs[job["job_id"]]["status"] == "completed"
        assert jobs[long]["cause"]["code"] == "engine_stopped"
        assert second.call("get_logs", job_id=job["job_id"])["lines"] == log
        second.press_ctrl_c()
        assert f"Stopped. All jobs and logs are kept in {second.data}." in second.output()


def test_make_test_runs_tests_and_says_how_long_each_ring_took(clone: Path) -> None:
    one = "test/unit/test_cli_values.py"
    done = subprocess.run(
        ["make", "test", f"TESTS={one}"], cwd=clone, env=environment(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"^unit +\d+ tests +\d+\.\d s +\d+\.\d s$", done.stdout, re.MULTILINE)
    assert re.search(r"^\d+ passed in ", done.stdout.splitlines()[-1])


def test_make_alone_says_what_there_is(clone: Path) -> None:
    done = subprocess.run(["make"], cwd=clone, env=environment(), capture_output=True, text=True, check=True)
    for target in ("run", "test", "check", "bench", "docs", "clean"):
        assert re.search(rf"^  make {target} +\w", done.stdout, re.MULTILINE)


@pytest.mark.parametrize(
    ("python", "complaint"),
    [
        ('case "$2" in *ensurepip*) exit 1;; esac', "apt install python3-venv"),
        ('case "$2" in *version_info*) exit 1;; esac', "Python 3.11 or newer is needed"),
    ],
)
def test_make_says_what_the_machine_lacks(clone: Path, tmp_path: Path, python: str, complaint: str) -> None:
    bare = tmp_path / "clone"
    bare.mkdir()
    for name in ("Makefile", "pyproject.toml"):
        shutil.copy(clone / name, bare)
    stand_in = tmp_path / "python"
    stand_in.write_text(f"#!/bin/sh\n{python}\n")
    stand_in.chmod(0o755)
    done = subprocess.run(
        ["make", "run", f"PYTHON={stand_in}"], cwd=bare, env=environment(), capture_output=True, text=True, check=False
    )
    assert done.returncode != 0
    assert complaint in done.stderr
