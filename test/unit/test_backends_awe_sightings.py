"""What becomes of each of AWE's states, for both versions where they differ."""

from dataclasses import replace
from typing import Any

import pytest
from awe_documents import job, worker
from store_dispatch import Clock

from execution_engine.backends.awe.documents import AweJob, Worker
from execution_engine.backends.awe.sightings import Delays, Judge, Since
from execution_engine.backends.awe.workers import Workers
from execution_engine.backends.base import Sighting, SightingState
from test.awe_simulator.model import Version

DELAYS = Delays(drop=45, stop=25, lost=900)
STARTED = "2026-11-22T17:57:08.638Z"
WAITING, RUNNING, HELD = SightingState.WAITING, SightingState.RUNNING, SightingState.HELD
GONE, UNKNOWN = SightingState.GONE, SightingState.UNKNOWN


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def judge(clock: Clock) -> Judge:
    return Judge(DELAYS, Since(clock))


def see(judge: Judge, job: AweJob, *workers: Worker, cancelled: bool = False, notes: str = "") -> Sighting:
    return judge.sighting(job, Workers(workers), cancelled=cancelled, notes=notes)


def begun(state: str, **changes: Any) -> AweJob:
    return job(state=state, started=STARTED, **changes)


def has(one: AweJob) -> Worker:
    return worker(current=[f"{one.id}_0_0"])


def was_given(one: AweJob) -> Worker:
    return worker(assigned=[f"{one.id}_0_0"])


@pytest.mark.parametrize("state", ["init", "queued"])
def test_what_waits(judge: Judge, state: str) -> None:
    assert see(judge, job(state=state)).state is WAITING
    assert see(judge, job(state=state)).reason == "It waits for a worker of its group."


@pytest.mark.parametrize("witness", [has, was_given])
def test_what_runs_has_a_host(judge: Judge, witness: Any) -> None:
    one = begun("in-progress")
    assert see(judge, one, witness(one)) == Sighting(RUNNING, host="WORKER_HOST")


def test_a_job_whose_worker_was_lost_runs_until_it_is_known_better(judge: Judge, clock: Clock) -> None:
    one = begun("in-progress")
    clock.seconds += 10_000
    seen = see(judge, one, worker())
    assert seen.state is RUNNING
    assert "lost the worker" in seen.reason


@pytest.mark.parametrize("state", ["completed", "suspend", "queued", "in-progress"])
def test_a_finished_job_is_gone_whatever_somebody_made_of_it_since(judge: Judge, state: str) -> None:
    finished = begun(state, remaining=0, task_state="completed")
    seen = see(judge, finished)
    assert (seen.state, seen.exit_code, seen.reason) == (GONE, 0, None)


@pytest.mark.parametrize("state", ["suspend", "failed-permanent"])
def test_a_failed_job_is_gone_with_its_exit_code(judge: Judge, state: str) -> None:
    failed = replace(begun(state), failed=True, notes="workunit failed 1 time(s); err=exit status 7")
    seen = see(judge, failed)
    assert (seen.state, seen.exit_code) == (GONE, 7)
    assert "err=exit status 7" in seen.detail
    old = replace(failed, notes="workunit failed 1 time(s).")
    assert see(judge, old, notes="###[processor#RunWorkunit]wait_cmd=ee-runner, err=exit status 9").exit_code == 9
    assert see(judge, old).exit_code is None


def test_a_second_run_that_the_engine_refused_says_nothing_of_the_first(judge: Judge, clock: Clock) -> None:
    refused = replace(begun("suspend"), failed=True, notes="err=exit status 3")
    assert see(judge, refused).state is UNKNOWN
    clock.seconds += DELAYS.lost - 1
    assert see(judge, refused).state is UNKNOWN
    clock.seconds += 1
    assert see(judge, refused).state is GONE
    assert see(judge, refused).reason == "runner_lost"


def test_a_cancelled_one_of_those_is_not_waited_for_as_long(judge: Judge, clock: Clock) -> None:
    refused = replace(begun("suspend"), failed=True, notes="err=exit status 3")
    assert see(judge, refused, cancelled=True).state is UNKNOWN
    clock.seconds += DELAYS.stop
    assert see(judge, refused, cancelled=True).state is GONE


@pytest.mark.parametrize(
    ("state", "cancelled", "reason"),
    [
        ("suspend", True, "cancelled"),
        ("deleted", True, "cancelled"),
        ("suspend", False, "runner_stopped"),
        ("deleted", False, "removed"),
    ],
)
def test_a_stopped_job_is_gone_when_its_worker_dropped_it_and_the_rest_has_ended(
    judge: Judge, clock: Clock, state: str, cancelled: bool, reason: str
) -> None:
    one = begun(state)
    for _ in range(3):
        clock.seconds += 100
        assert see(judge, one, has(one), cancelled=cancelled).state is RUNNING
    assert see(judge, one, cancelled=cancelled).state is RUNNING
    clock.seconds += DELAYS.stop - 1
    assert see(judge, one, cancelled=cancelled).state is RUNNING
    clock.seconds += 1
    seen = see(judge, one, cancelled=cancelled)
    assert (seen.state, seen.reason) == (GONE, reason)


def test_a_worker_that_was_given_the_job_may_still_run_it_without_having_said_so(judge: Judge, clock: Clock) -> None:
    one = begun("suspend")
    assert not judge.dropped(one, Workers([was_given(one)]))
    clock.seconds += DELAYS.drop
    assert see(judge, one, was_given(one), cancelled=True).state is RUNNING
    assert judge.dropped(one, Workers([was_given(one)]))
    clock.seconds += DELAYS.stop
    assert see(judge, one, was_given(one), cancelled=True).state is GONE


def test_a_worker_that_says_so_late_starts_the_wait_anew(judge: Judge, clock: Clock) -> None:
    one = begun("suspend")
    judge.dropped(one, Workers([was_given(one)]))
    clock.seconds += DELAYS.drop - 1
    assert not judge.dropped(one, Workers([has(one)]))
    clock.seconds += 1
    assert not judge.dropped(one, Workers([was_given(one)]))


def test_a_job_deleted_in_awe_while_it_runs_is_running(judge: Judge, clock: Clock) -> None:
    one = begun("deleted")
    clock.seconds += 10_000
    seen = see(judge, one, has(one))
    assert seen.state is RUNNING
    assert "deleted in AWE while it ran" in seen.reason


def test_what_somebody_suspended_before_it_began_is_held(judge: Judge) -> None:
    seen = see(judge, job(state="suspend", notes="manually suspended", version=Version.OLD))
    assert (seen.state, seen.cause) == (HELD, "held")
    assert "manually suspended" in seen.reason


def test_what_was_ended_before_it_began(judge: Judge) -> None:
    assert see(judge, job(state="suspend"), cancelled=True).state is WAITING
    assert see(judge, job(state="deleted"), cancelled=True).reason == "cancelled_before_start"
    assert see(judge, job(state="deleted")).reason == "removed"
    assert see(judge, job(state="deleted")).state is GONE


def test_after_a_restart_without_recovery_what_waits_is_held(judge: Judge, clock: Clock) -> None:
    forgotten = job(state="queued", in_queue=False)
    assert see(judge, forgotten).state is WAITING
    clock.seconds += DELAYS.drop - 1
    assert see(judge, replace(forgotten, registered=True)).state is WAITING
    assert see(judge, forgotten).state is WAITING
    clock.seconds += DELAYS.drop
    seen = see(judge, forgotten)
    assert (seen.state, seen.cause) == (HELD, "held")
    assert "recoverall" in seen.reason


def test_after_a_restart_without_recovery_nobody_knows_of_what_ran(judge: Judge, clock: Clock) -> None:
    one = begun("in-progress", in_queue=False)
    assert see(judge, one, has(one)).state is RUNNING
    assert see(judge, one).state is UNKNOWN
    clock.seconds += DELAYS.lost - 1
    assert see(judge, one, has(one)).state is RUNNING
    assert see(judge, one).state is UNKNOWN
    clock.seconds += DELAYS.lost
    assert see(judge, one).reason == "runner_lost"


def test_queued_again_while_its_worker_still_runs_it(judge: Judge) -> None:
    one = begun("queued")
    assert see(judge, one, has(one)).state is RUNNING


def test_without_a_record_it_is_gone_unless_a_worker_has_it(judge: Judge) -> None:
    assert judge.missing("an id", worker()).state is RUNNING
    assert judge.missing("an id", None).state is GONE
