"""Limits of concurrent jobs while dispatchers are killed: never exceeded, and no slot is lost for good."""

import random
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from test.conftest import Stack, wait_until
from test.resilience.conftest import MakeEngine
from test.resilience.crowd import PATIENCE_SECONDS, Crowd
from test.resilience.dispatchers import acting_dispatcher, halted, start_dispatcher
from test.resilience.stack_processes import kill

EACH_USER, GROUP = 2, 3
FAULT_POINTS = Path(__file__).parent / "outage" / "points"
POINTS = [
    "dispatcher-claimed-before",
    "dispatcher-claimed-after",
    "dispatcher-slots-taken",
    "dispatcher-submit-before-local",
    "dispatcher-submit-half-local",
    "dispatcher-submit-after-local",
    "dispatcher-queued-after",
    "dispatcher-slots-freed",
]
KILLS = 6


@pytest.fixture(scope="module")
def engine(make_engine: MakeEngine) -> Stack:
    """One for all tests here, with limits."""
    made = make_engine(lease_seconds="1")
    made.call("set_limit", {"kind": "running", "each_user": 1, "value": EACH_USER}, "admin")
    made.call("set_limit", {"kind": "running", "client_group": "local", "value": GROUP}, "admin")
    return made


@contextmanager
def watched(engine: Stack) -> Iterator[None]:
    """Looks all the time how many jobs are at work, and fails at the end if there ever were too many."""
    jobs, over, excess = engine.database().jobs, threading.Event(), []

    def look() -> None:
        while not over.wait(0.01):
            # In one read, so that no job is seen both before it ended and another one after it began.
            found = list(jobs.find({"active": True, "claimed": True}, {"user": 1}))
            of_alice = sum(job["user"] == "alice" for job in found)
            if of_alice > EACH_USER or len(found) > GROUP:
                excess.append((of_alice, len(found)))

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        yield
    finally:
        over.set()
        watcher.join()
    assert excess == []


def check_no_slot_is_left(engine: Stack) -> None:
    slots = engine.database().slots
    wait_until(lambda: slots.count_documents({}) == 0, PATIENCE_SECONDS, "the return of all slots")


@pytest.mark.parametrize("point", POINTS)
def test_a_dispatcher_that_dies_leaves_the_limit_whole(engine: Stack, point: str, tmp_path: Path) -> None:
    (tmp_path / f"{point}.1").touch()
    armed = {"EE_FAULT_POINTS": str(tmp_path), "PYTHONPATH": str(FAULT_POINTS)}
    crowd = Crowd(engine, 5, gated=False)
    with watched(engine):
        with halted(engine):
            crowd.submit()
            crasher = start_dispatcher(engine, variables=armed)
            try:
                assert crasher.wait(PATIENCE_SECONDS) == -signal.SIGKILL
            finally:
                crasher.kill()
                crasher.wait()
        crowd.wait_finished()
    crowd.check_all_completed_once()
    check_no_slot_is_left(engine)


def test_dispatchers_are_killed_at_random_moments_under_limits(engine: Stack) -> None:
    crowd = Crowd(engine, gated=False)
    further = [start_dispatcher(engine)]
    try:
        with watched(engine):
            for _ in range(KILLS):
                crowd.submit(4)
                time.sleep(random.uniform(0.0, 0.5))
                pid = wait_until(lambda: acting_dispatcher(engine), PATIENCE_SECONDS, "a dispatcher that acts")
                if pid in (engine.pid("dispatcher"), *(process.pid for process in further)):
                    kill(pid)
                    further.append(start_dispatcher(engine))
            crowd.wait_finished()
    finally:
        for process in further:
            process.kill()
            process.wait()
    crowd.check_all_completed_once()
    check_no_slot_is_left(engine)
