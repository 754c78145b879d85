import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from runner_engine import RunnerEngine

Start = Callable[..., Any]
OK = """echo '{"version":"1.1","result":[1]}' > output.json"""
DAEMON = """
import os, signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.environ["WHO"] = "daemon"
        for fd in (0, 1, 2):
            os.close(fd)
        open("daemon.pid", "w").write(str(os.getpid()))
        time.sleep(1000)
    os._exit(0)
while not os.path.exists("daemon.pid"):
    time.sleep(0.01)
print("ready", flush=True)
"""


def daemon_app(app: Start, tmp_path: Path, then: str) -> None:
    app(f"""{sys.executable} {tmp_path}/daemon.py; {then}""")
    (tmp_path / "daemon.py").write_text(DAEMON)


def alive(pid: str) -> bool:
    try:
        return Path("/proc", pid, "stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_cancel_ends_the_whole_tree_even_a_daemon_that_ignores_it(
    engine: RunnerEngine, app: Start, start_runner: Start, wait_until: Start, tmp_path: Path
) -> None:
    daemon_app(app, tmp_path, "trap '' TERM; echo $$; sleep 1000 & echo $!; wait; sleep 1000")
    runner = start_runner("--grace", "0.3")
    wait_until(lambda: len(engine.lines()) == 3)
    daemon = (runner.work / "daemon.pid").read_text()
    pids = [daemon, *engine.lines()[1:]]
    assert all(map(alive, pids))
    engine.cancel_requested = 1
    assert runner.exit_code() == 0
    assert not any(map(alive, pids))
    assert engine.finishes[0]["outcome"] == "terminated"
    assert engine.cause() == {"code": "cancelled"}
    assert engine.lines("system") == [
        "The job was cancelled: the app is stopped.",
        "Not ended within 0.3 s: ended by force.",
    ]


def test_an_app_may_use_the_grace_to_tidy_up(
    engine: RunnerEngine, app: Start, start_runner: Start, wait_until: Start
) -> None:
    app(f"trap 'echo tidy; {OK}; exit 0' TERM; echo ready; while :; do sleep 0.05; done")
    runner = start_runner("--grace", "30")
    wait_until(engine.lines)
    engine.cancel_requested = 1
    assert runner.exit_code() == 0
    assert engine.lines() == ["ready", "tidy"]
    assert engine.finishes[0]["outcome"] == "terminated"


def test_a_stopped_process_is_ended_too(
    engine: RunnerEngine, app: Start, start_runner: Start, wait_until: Start
) -> None:
    app("echo $$; kill -STOP $$")
    runner = start_runner("--grace", "30")
    wait_until(engine.lines)
    engine.cancel_requested = 1
    assert runner.exit_code() == 0
    assert engine.lines("system") == ["The job was cancelled: the app is stopped."]


def test_what_the_app_left_running_is_ended_at_its_end(
    engine: RunnerEngine, app: Start, start_runner: Start, tmp_path: Path
) -> None:
    daemon_app(app, tmp_path, OK)
    runner = start_runner("--grace", "0.2")
    assert runner.exit_code() == 0
    assert not alive((runner.work / "daemon.pid").read_text())
    assert engine.finishes[0]["output"] == [1]
    assert engine.lines("system")[0] == "Processes that the app left running are ended."


def test_children_that_end_with_the_app_are_no_news(engine: RunnerEngine, app: Start, start_runner: Start) -> None:
    app(f"for n in 1 2 3 4 5 6 7 8; do (sleep 0.01; echo $n) & done; wait; {OK}")
    assert start_runner().exit_code() == 0
    assert sorted(engine.lines()) == list("12345678")
    assert engine.lines("system") == []


def test_the_time_limit_ends_the_app(engine: RunnerEngine, app: Start, start_runner: Start, wait_until: Start) -> None:
    app("echo $$; echo waiting for a server >&2; sleep 1000", time_left_ms=2000)
    runner = start_runner()
    wait_until(lambda: len(engine.log) == 2)
    assert runner.exit_code() == 0
    assert engine.finishes[0]["outcome"] == "error"
    assert engine.cause() == {"code": "time_limit", "detail": "waiting for a server"}
    assert not alive(engine.lines()[0])


def test_the_time_limit_holds_without_the_engine(
    engine: RunnerEngine, app: Start, start_runner: Start, wait_until: Start
) -> None:
    begun = time.monotonic()
    app("echo $$; sleep 1000", time_left_ms=2000)
    runner = start_runner()
    wait_until(engine.lines)
    engine.down()
    pid = engine.lines()[0]
    wait_until(lambda: not alive(pid))
    assert time.monotonic() >= begun + 2
    engine.up()
    assert runner.exit_code() == 0
    assert engine.cause()["code"] == "time_limit"


def test_a_signal_with_a_cancel_behind_it(
    engine: RunnerEngine, app: Start, start_runner: Start, wait_until: Start
) -> None:
    engine.heartbeat_ms = 60_000
    app("echo $$; sleep 1000")
    runner = start_runner()
    wait_until(engine.lines)
    engine.cancel_requested = 1
    runner.process.terminate()
    assert runner.exit_code() == 0
    assert engine.finishes[0]["outcome"] == "terminated"
    assert engine.cause() == {"code": "cancelled"}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_of_the_machine(
    engine: RunnerEngine, app: Start, start_runner: Start, wait_until: Start, number: int
) -> None:
    engine.heartbeat_ms = 60_000
    app("echo $$; sleep 1000")
    runner = start_runner()
    wait_until(engine.lines)
    runner.process.send_signal(number)
    assert runner.exit_code() == 0
    assert engine.finishes[0]["outcome"] == "error"
    assert engine.cause()["code"] == "runner_stopped"
    assert engine.cause()["message"].endswith("was told to stop.")
    assert not alive(engine.lines()[0])


def test_a_scheduler_that_signals_the_app_too(
    engine: RunnerEngine, app: Start, start_runner: Start, wait_until: Start
) -> None:
    app("echo $$; exec sleep 1000")
    runner = start_runner()
    wait_until(engine.lines)
    engine.cancel_requested = 1
    os.kill(int(engine.lines()[0]), signal.SIGTERM)
    runner.process.terminate()
    assert runner.exit_code() == 0
    assert engine.finishes[0]["outcome"] == "terminated"


def test_an_app_that_is_killed_by_somebody(
    engine: RunnerEngine, app: Start, start_runner: Start, wait_until: Start
) -> None:
    app("echo $$; exec sleep 1000")
    runner = start_runner()
    wait_until(engine.lines)
    os.kill(int(engine.lines()[0]), signal.SIGKILL)
    assert runner.exit_code() == 0
    assert engine.cause() == {
        "code": "app_error",
        "message": "The app was ended by signal 9 (SIGKILL); often the system's answer when memory runs out.",
        "exit_code": 137,
    }


def test_progress_travels_with_the_signs_of_life(
    engine: RunnerEngine, app: Start, start_runner: Start, wait_until: Start
) -> None:
    app(
        """echo '{"percent": 40, "message": "half way"}' > new; mv new $EE_PROGRESS
        while ! [ -e go ]; do sleep 0.02; done; """
        + OK
    )
    runner = start_runner()
    told = {"percent": 40.0, "message": "half way"}
    wait_until(lambda: any(params.get("progress") == told for _, params in engine.calls))
    (runner.work / "go").touch()
    assert runner.exit_code() == 0


def test_lines_come_while_the_app_runs(
    engine: RunnerEngine, app: Start, start_runner: Start, wait_until: Start
) -> None:
    app(f"for n in 1 2 3; do echo $n; while ! [ -e go$n ]; do sleep 0.02; done; done; {OK}")
    runner = start_runner()
    for n in (1, 2, 3):
        wait_until(lambda: engine.lines()[-1:] == [str(n)])  # noqa: B023 - waited for within the round
        (runner.work / f"go{n}").touch()
    assert runner.exit_code() == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can switch to another account")
class TestAnotherAccount:
    def open_up(self, tmp_path: Path) -> None:
        for folder in (tmp_path, *tmp_path.parents):
            if folder.owner() == "root" and folder not in (Path("/"), Path("/tmp")):
                folder.chmod(0o755)

    def test_the_app_runs_under_it_and_reads_nothing_of_the_runners(
        self, engine: RunnerEngine, app: Start, start_runner: Start, tmp_path: Path
    ) -> None:
        self.open_up(tmp_path)
        script = """id -un; id -G; stat -c %U input.json token . tmp; touch tmp/mine; pwd
        cat ../runner.json; cat ../../ticket; ls ..
        """
        app(script + OK, token="tok")
        (tmp_path / "ticket").touch(mode=0o600)
        runner = start_runner("--run-as", "nobody")
        assert runner.exit_code() == 0
        lines = engine.lines()
        group = subprocess.run(["id", "-g", "nobody"], capture_output=True, text=True, check=True).stdout.strip()
        assert lines[:2] == ["nobody", group]
        assert lines[2:6] == ["nobody"] * 4
        assert lines[6:] == [str(runner.work)]
        errors = engine.lines("stderr")
        assert len([line for line in errors if "Permission denied" in line]) == 3
        assert engine.finishes[0]["output"] == [1]

    def test_a_number_is_an_account_too_and_keeps_from_others_what_is_its_own(
        self, engine: RunnerEngine, app: Start, start_runner: Start, tmp_path: Path
    ) -> None:
        self.open_up(tmp_path)
        other = subprocess.Popen(["sleep", "60"], user=61191, group=61191, extra_groups=[], env={"TOKEN": "another's"})
        try:
            app(f"id -u; id -G; cat /proc/{other.pid}/environ; kill {other.pid}; {OK}", token="tok")
            assert start_runner("--run-as", "61190").exit_code() == 0
            assert other.poll() is None
        finally:
            other.kill()
            other.wait()
        assert engine.lines() == ["61190", "61190"]
        assert len([line for line in engine.lines("stderr") if "not permitted" in line or "denied" in line]) == 2
        assert engine.finishes[0]["output"] == [1]

    def test_its_processes_end_with_the_job(
        self, engine: RunnerEngine, app: Start, start_runner: Start, wait_until: Start, tmp_path: Path
    ) -> None:
        self.open_up(tmp_path)
        app("echo $$; exec sleep 1000")
        runner = start_runner("--run-as", "nobody")
        wait_until(engine.lines)
        engine.cancel_requested = 1
        assert runner.exit_code() == 0
        assert not alive(engine.lines()[0])

    def test_a_folder_that_it_can_not_enter_is_named(
        self, engine: RunnerEngine, app: Start, start_runner: Start, tmp_path: Path
    ) -> None:
        app("echo never")
        tmp_path.chmod(0o700)
        assert start_runner("--run-as", "nobody").exit_code() == 0
        assert engine.cause()["code"] == "setup_failed"
        assert f"may not enter {tmp_path}: open the folder for it (chmod o+x {tmp_path})" in engine.cause()["message"]

    def test_an_account_that_does_not_exist(self, engine: RunnerEngine, app: Start, start_runner: Start) -> None:
        app("echo never")
        assert start_runner("--run-as", "nosuchuser").exit_code() == 0
        assert engine.cause() == {
            "code": "setup_failed",
            "message": "There is no account nosuchuser on this machine to run apps under.",
        }


def other_pythons() -> list[str]:
    names = ["3.8", "3.9", "3.10", "3.12", "3.13"]
    places = [*Path("/usr/bin").glob("python3.*"), *Path.home().glob(".pyenv/versions/*/bin/python3.*")]
    return sorted(str(place) for place in places if place.name.removeprefix("python") in names)


@pytest.mark.parametrize("python", other_pythons())
def test_other_pythons_of_workers(engine: RunnerEngine, app: Start, start_runner: Start, python: str) -> None:
    app(f"seq 1 100; {OK}")
    assert start_runner(python=python).exit_code() == 0
    assert engine.lines() == [str(n) for n in range(1, 101)]
    assert engine.finishes[0]["output"] == [1]
