"""The engine on one machine stops, by order, by accident or with the machine: what that means for running jobs."""

import signal
import threading

import pytest

from test.conftest import Stack, wait_until
from test.resilience.conftest import MakeEngine
from test.resilience.crowd import Crowd, check_history
from test.resilience.stack_processes import kill, processes_of, processes_of_jobs


@pytest.fixture(scope="module")
def one_engine(make_engine: MakeEngine) -> Stack:
    return make_engine()


@pytest.fixture
def engine(one_engine: Stack) -> Stack:
    """One for all tests here: each leaves it running."""
    if one_engine.process is None or one_engine.process.poll() is not None:
        one_engine.start()
    return one_engine


def test_sigterm_leaves_jobs_running_and_the_next_start_finds_everything(engine: Stack) -> None:
    ended, quick, slow = Crowd(engine, 3, gated=False), Crowd(engine, 5), Crowd(engine, 5)
    for crowd in (ended, quick, slow):
        crowd.submit()
        crowd.wait_running()
    ended.wait_finished()
    before = ended.records()
    assert engine.stop(signal.SIGTERM) == 0
    assert set(processes_of(engine.folder)) == set(processes_of_jobs(engine.folder)) != set()
    quick.release()  # these end while there is no engine
    apps = lambda: [line for line in processes_of_jobs(engine.folder).values() if "/drill.py" in line]  # noqa: E731
    wait_until(lambda: len(apps()) == slow.size, what="the end of some apps")
    engine.start()
    assert ended.records() == before
    slow.submit(3)
    slow.wait_running()
    slow.release()
    for crowd in (ended, quick, slow):
        crowd.wait_finished()
        crowd.check_all_completed_once()


def test_supervisor_is_killed(engine: Stack) -> None:
    crowd = Crowd(engine, 10)
    crowd.submit()
    crowd.wait_running()
    assert engine.process is not None
    mongod = engine.pid("mongod")
    kill(mongod, number=signal.SIGSTOP)  # slow to end: the next start must wait for it
    kill(engine.process.pid)
    engine.process.wait()
    waking = threading.Timer(2, kill, [mongod], {"number": signal.SIGCONT})
    waking.start()
    engine.start()
    waking.join()
    crowd.submit(5)
    crowd.wait_running()
    crowd.release()
    crowd.wait_finished()
    crowd.check_all_completed_once()


def test_sigint_ends_everything(engine: Stack) -> None:
    crowd = Crowd(engine, 10)
    crowd.submit()
    crowd.wait_running()
    assert engine.stop(signal.SIGINT) == 0
    assert processes_of(engine.folder) == {}
    engine.start()
    crowd.wait_finished()
    for job in crowd.records().values():
        check_history(job)
        crowd.check_started_once(job)
        assert job["status"] == "error"
        assert job["cause"]["code"] == "engine_stopped"
        assert job["cause"]["message"] == "The engine on this machine was stopped while the job ran."
        assert job["cause"]["advice"] == "Run it again."


def test_machine_reboots(engine: Stack) -> None:
    crowd = Crowd(engine, 10)
    crowd.submit()
    crowd.wait_running()
    engine.stop(signal.SIGTERM)
    pretend_reboot(engine)
    engine.start()
    wait_until(lambda: all(len(crowd.starts(job_id)) == 2 for job_id in crowd.ids), what="the second attempts")
    crowd.release()
    crowd.wait_finished()
    for job in crowd.records().values():
        assert job["status"] == "completed"
        assert crowd.starts(job["job_id"]) == [f"ee.{job['job_id']}.{n}" for n in (1, 2)]
        (lost,) = [entry for entry in job["history"] if entry["event"] == "lost"]
        assert lost["note"] == "The machine that ran the job was restarted. It is tried again."
        log = engine.call("get_logs", {"job_id": job["job_id"], "limit": 10_000}, "alice")["lines"]
        assert [line["line"] for line in log if line["stream"] == "system"] == [
            "--- attempt 2 begins; attempt 1 was lost ---"
        ]


def pretend_reboot(engine: Stack) -> None:
    """All processes vanish at once, and what began in the boot before says so."""
    kill(*processes_of(engine.folder))
    wait_until(lambda: not processes_of(engine.folder), what="the end of all processes")
    for started in (engine.data / "local").glob("ee.*/started"):
        group, boot = started.read_text().split()
        started.write_text(f"{group} {boot.replace('-', '')}\n")
