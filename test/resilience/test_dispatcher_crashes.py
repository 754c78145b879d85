"""Dispatchers die at random moments, or stand still and come back: no job is lost, and none runs twice.

Their deaths at each single step are in the outage test.
"""

import random
import signal
import subprocess
import time
from collections.abc import Iterator

import pytest

from test.conftest import Stack, wait_until
from test.resilience.conftest import MakeEngine
from test.resilience.crowd import PATIENCE_SECONDS, Crowd
from test.resilience.dispatchers import CRASHING, acting_dispatcher, halted, start_dispatcher
from test.resilience.stack_processes import is_stopped, kill

ROUNDS = 10
JOBS_A_ROUND = 8

Further = dict[int, subprocess.Popen[bytes]]


@pytest.fixture(scope="module")
def engine(make_engine: MakeEngine) -> Stack:
    """One for all tests here."""
    return make_engine(lease_seconds="1")


@pytest.fixture
def further_dispatchers(engine: Stack) -> Iterator[Further]:
    """Two more that stand by, by pid."""
    running = {started.pid: started for started in (start_dispatcher(engine), start_dispatcher(engine))}
    yield running
    for process in running.values():
        process.kill()
        process.wait()


def test_dispatcher_hands_jobs_over_when_others_have_run_them_already(engine: Stack) -> None:
    crowd = Crowd(engine, 5, gated=False)
    with halted(engine):
        crowd.submit()
        late = start_dispatcher(engine, [CRASHING])
        wait_until(lambda: is_stopped(late.pid), PATIENCE_SECONDS, "the stop")
    try:
        crowd.wait_finished()
        kill(late.pid, number=signal.SIGCONT)
        assert late.wait(PATIENCE_SECONDS) == -signal.SIGKILL
    finally:
        late.kill()
        late.wait()
    first_attempts = {f"ee.{job_id}.1" for job_id in crowd.ids}
    ended = engine.data / "local" / "ended"
    wait_until(lambda: first_attempts <= {folder.name for folder in ended.iterdir()}, what="the end of the late ones")
    assert all(job["attempt"] == 2 for job in crowd.records().values())
    crowd.check_all_completed_once()


def test_dispatchers_are_killed_at_random_moments(engine: Stack, further_dispatchers: Further) -> None:
    crowd = Crowd(engine, gated=False)
    for _ in range(ROUNDS):
        crowd.submit(JOBS_A_ROUND)
        pid = one_that_acts(engine, further_dispatchers)
        time.sleep(random.uniform(0, 0.3))  # whatever it is doing then
        kill(pid)
        if pid in further_dispatchers:
            further_dispatchers.pop(pid).wait()
            another = start_dispatcher(engine)
            further_dispatchers[another.pid] = another
    crowd.wait_finished()
    crowd.check_all_completed_once()


def test_dispatchers_stand_still_and_come_back(engine: Stack, further_dispatchers: Further) -> None:
    crowd = Crowd(engine, gated=False)
    for _ in range(ROUNDS):
        crowd.submit(JOBS_A_ROUND // 2)
        pid = one_that_acts(engine, further_dispatchers)
        time.sleep(random.uniform(0, 0.3))
        kill(pid, number=signal.SIGSTOP)
        crowd.submit(JOBS_A_ROUND // 2)
        try:
            wait_until(lambda: acting_dispatcher(engine) not in (None, pid), PATIENCE_SECONDS, "a take-over")  # noqa: B023
        finally:
            kill(pid, number=signal.SIGCONT)
    crowd.wait_finished()
    crowd.check_all_completed_once()


def one_that_acts(engine: Stack, further: Further) -> int:
    """The pid of the dispatcher that holds the lease, one of ours that lives."""

    def find() -> int | None:
        pid = acting_dispatcher(engine)
        return pid if pid in (engine.pid("dispatcher"), *further) else None

    return int(wait_until(find, PATIENCE_SECONDS, "a dispatcher that acts"))
