import errno
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from runner_engine import RunnerEngine

Start = Callable[..., Any]
OK = """echo '{"version":"1.1","result":[1]}' > output.json"""


def numbers(last: int) -> list[str]:
    return [str(n) for n in range(1, last + 1)]


@pytest.mark.parametrize(
    "faults", [["drop answer"], ["drop answer", "drop request", "unavailable", "captive", "half an answer"]]
)
def test_a_bad_network_costs_no_line_and_doubles_none(
    engine: RunnerEngine, app: Start, start_runner: Start, faults: list[str]
) -> None:
    app(f"for part in 1 2 3 4 5 6 7 8; do seq $((part * 2000 - 1999)) $((part * 2000)); sleep 0.05; done; {OK}")
    engine.faults, engine.fault_rate = faults, 0.3
    assert start_runner().exit_code() == 0
    assert engine.lines() == numbers(16_000)
    assert len({str(report) for report in engine.finishes}) == 1
    assert engine.finishes[0]["output"] == [1]


def test_an_outage_of_the_engine_holds_nothing_up_and_loses_nothing(
    engine: RunnerEngine, app: Start, start_runner: Start, wait_until: Start
) -> None:
    app(f"echo first; while ! [ -e go ]; do sleep 0.02; done; seq 1 300000; {OK}; touch done")
    runner = start_runner("--spool-mb", "100")
    wait_until(lambda: engine.lines() == ["first"])
    engine.down()
    (runner.work / "go").touch()
    wait_until((runner.work / "done").exists)
    assert [*(runner.dir / "spool").iterdir()]
    engine.up()
    assert runner.exit_code() == 0
    assert engine.lines() == ["first", *numbers(300_000)]
    assert engine.finishes[0]["output"] == [1]
    assert not [*(runner.dir / "spool").iterdir()]
    assert "gives no usable answer" in runner.errors()
    assert "answers again" in runner.errors()


def test_a_full_spool_holds_the_app_back_until_the_engine_is_there_again(
    engine: RunnerEngine, app: Start, start_runner: Start, wait_until: Start
) -> None:
    app(f"echo first; while ! [ -e go ]; do sleep 0.02; done; seq 1 400000; {OK}; touch done")
    runner = start_runner("--spool-mb", "1")
    wait_until(lambda: engine.lines() == ["first"])
    engine.down()
    (runner.work / "go").touch()
    spool = runner.dir / "spool"
    wait_until(lambda: spool.exists() and sum(file.stat().st_size for file in spool.iterdir()) > 500_000)
    assert not (runner.work / "done").exists()
    engine.up()
    assert runner.exit_code() == 0
    assert engine.lines() == ["first", *numbers(400_000)]
    (notice,) = engine.lines("system")
    assert "the bound of 1 MiB for waiting lines is reached" in notice


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MiB."""
    place = tmp_path / "job"
    place.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(place)], capture_output=True, check=False
    )
    if made.returncode:
        pytest.skip(f"a small file system can't be mounted here: {made.stderr.decode().strip()}")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def test_a_full_disk_under_the_spool_is_said_and_loses_nothing(
    engine: RunnerEngine, app: Start, start_runner: Start, wait_until: Start, small_disk: Path
) -> None:
    app(f"echo first; while ! [ -e go ]; do sleep 0.02; done; {OK}; seq 1 400000")
    runner = start_runner()
    wait_until(lambda: engine.lines() == ["first"])
    engine.down()
    (runner.work / "go").touch()
    wait_until(lambda: shutil.disk_usage(small_disk).free < 200_000)
    engine.up()
    assert runner.exit_code() == 0
    assert engine.lines() == ["first", *numbers(400_000)]
    (notice,) = engine.lines("system")
    assert f"({os.strerror(errno.ENOSPC)})" in notice
    assert engine.finishes[0]["output"] == [1]


def test_a_disk_that_is_full_before_the_start(
    engine: RunnerEngine, app: Start, start_runner: Start, small_disk: Path
) -> None:
    app("echo never")
    (small_disk / "other people's data").write_bytes(b"x" * shutil.disk_usage(small_disk).free)
    assert start_runner().exit_code() == 0
    assert engine.cause()["code"] == "disk_full"
    assert str(small_disk) in engine.cause()["message"]


@pytest.mark.usefixtures("small_disk")
def test_an_app_that_fills_its_disk(engine: RunnerEngine, app: Start, start_runner: Start) -> None:
    app("cat /dev/zero > tmp/big")
    assert start_runner().exit_code() == 0
    assert engine.cause()["code"] == "disk_full"
    assert "No space left on device" in engine.cause()["detail"]


def test_a_runner_waits_for_an_engine_that_is_not_there_yet(
    engine: RunnerEngine, app: Start, start_runner: Start, wait_until: Start
) -> None:
    app(OK)
    engine.down()
    runner = start_runner()
    wait_until(lambda: "gives no usable answer" in runner.errors())
    engine.up()
    assert runner.exit_code() == 0
    assert engine.count("start_job") == 1


def test_a_runner_that_is_told_to_stop_before_it_could_start(
    engine: RunnerEngine, app: Start, start_runner: Start, wait_until: Start
) -> None:
    app("echo never")
    engine.down()
    runner = start_runner()
    wait_until(lambda: "gives no usable answer" in runner.errors())
    runner.process.terminate()
    assert runner.exit_code() == 4
    assert not runner.work.exists()


def test_a_start_whose_answer_is_lost_is_repeated_by_the_same_runner(
    engine: RunnerEngine, app: Start, start_runner: Start
) -> None:
    app(OK)
    engine.faults, engine.fault_rate = ["drop answer"], 0.6
    assert start_runner().exit_code() == 0
    starts = [params["runner"] for name, params in engine.calls if name == "start_job"]
    assert len(starts) > 1
    assert len(set(starts)) == 1


def test_an_engine_that_forgets_the_attempt_ends_it(
    engine: RunnerEngine, app: Start, start_runner: Start, wait_until: Start
) -> None:
    app("echo $$; exec sleep 1000")
    runner = start_runner()
    wait_until(engine.lines)
    engine.refuse = dict.fromkeys(["heartbeat", "add_job_logs", "finish_job"], "credential_invalid")
    assert runner.exit_code() == 5
    assert not Path("/proc", engine.lines()[0]).exists()
    assert "credential_invalid" in runner.errors()
    assert engine.count("finish_job") == 0


def test_an_engine_that_refuses_the_output(engine: RunnerEngine, app: Start, start_runner: Start) -> None:
    app(OK)
    engine.takes_outputs = False
    assert start_runner().exit_code() == 0
    assert engine.cause() == {"code": "output_too_large", "message": "Refused here.", "exit_code": 0}
