"""The ads are a real pool's, see test/exchanges/condor.json: each job was brought to its state or end by hand."""

import json
from pathlib import Path
from typing import Any

import pytest

from execution_engine.backends.base import SightingState
from execution_engine.backends.condor import listing
from execution_engine.backends.condor.codes import meaning
from execution_engine.backends.condor.endings import ended
from execution_engine.backends.condor.sightings import FILES_MISSING, lacks_files, sighting, why_waiting
from execution_engine.core.causes import CAUSES

RECORDED: dict[str, Any] = json.loads((Path(__file__).parents[1] / "exchanges" / "condor.json").read_text())
WAITING, RUNNING, HELD, GONE = (
    SightingState.WAITING,
    SightingState.RUNNING,
    SightingState.HELD,
    SightingState.GONE,
)


@pytest.mark.parametrize(
    ("what", "reason", "exit_code", "signal"),
    [
        ("ended well", None, 0, None),
        ("ended badly", None, 7, None),
        ("ended after a restart of the schedd", None, 5, None),
        ("killed by a signal", None, None, 9),
        ("cancelled", "cancelled", None, None),
        ("cancelled before start", "cancelled_before_start", None, None),
        ("removed by an operator", "removed", None, None),
        ("removed by an operator while held", "removed", None, None),
        ("held while it ran", "held", None, None),
        ("evicted", "preempted", None, None),
        ("evicted at once", "preempted", None, None),
        ("starter died", "node_died", None, None),
        ("shadow died", "node_died", None, None),
        ("startd died", "node_died", None, None),
        ("no python", "never_started", None, None),
        ("out of memory", "out_of_memory", None, None),
        ("over its time", "time_limit", None, None),
    ],
)
def test_each_end_has_its_cause(what: str, reason: str | None, exit_code: int | None, signal: int | None) -> None:
    seen = ended(RECORDED[what])
    assert (seen.state, seen.reason, seen.exit_code, seen.signal) == (GONE, reason, exit_code, signal)
    assert seen.detail
    assert reason is None or reason in CAUSES


def test_the_words_of_htcondor_follow_ours() -> None:
    assert ended(RECORDED["held while it ran"]).detail == (
        "An operator holds the job. HTCondor says: via condor_hold (by user nobody)"
    )
    assert ended(RECORDED["startd died"]).detail == (
        "The machine that ran the job failed, or can't be reached any more. "
        "HTCondor says: Job disconnected too long: JobLeaseDuration (20 seconds) expired"
    )


def test_a_job_whose_files_never_came_has_never_started() -> None:
    ad = {**RECORDED["over its time"], "NumShadowStarts": 0}
    assert ended(ad).reason == "never_started"


@pytest.mark.parametrize(
    ("what", "state", "reason"),
    [
        ("waiting, not looked at", WAITING, "HTCondor has not looked for a slot yet."),
        ("waiting, no slot", WAITING, "No free slot of the pool fits it now."),
        ("running", RUNNING, None),
        ("out of contact", RUNNING, "HTCondor has lost contact with its machine."),
        ("held by an operator", HELD, "An operator holds the job. HTCondor says: via condor_hold (by user nobody)"),
    ],
)
def test_each_state_of_the_queue_has_its_words(what: str, state: SightingState, reason: str | None) -> None:
    seen = sighting(RECORDED[what])
    assert (seen.state, seen.reason) == (state, reason)


def test_a_limit_of_the_pool_is_named() -> None:
    [ad] = RECORDED["waiting, concurrency limit"]
    assert sighting(ad).reason == "A concurrency limit of the pool is reached."


def test_a_reason_that_is_not_known_is_passed_on() -> None:
    assert why_waiting({"LastRejMatchReason": "the moon is full "}) == "HTCondor says: the moon is full."


def test_a_held_job_has_the_cause_that_it_ends_with() -> None:
    assert sighting(RECORDED["held by an operator"]).cause == "held"
    assert sighting({"JobStatus": 5, "HoldReasonCode": 34}).cause == "out_of_memory"
    assert sighting({"JobStatus": 5, "HoldReasonCode": 34, "HoldReasonSubCode": 104}).cause == "disk_limit"


def test_a_job_that_was_put_off_its_slot_is_gone_though_it_is_idle() -> None:
    seen = sighting(RECORDED["evicted, still in the queue"])
    assert (seen.state, seen.reason, seen.host) == (GONE, "preempted", "127-0-0-1.test")


def test_a_job_whose_files_are_on_their_way_waits() -> None:
    ad = {"JobStatus": 5, "HoldReasonCode": 16, "HoldReason": "Spooling input data files"}
    assert lacks_files(ad)
    assert (sighting(ad).state, sighting(ad).reason) == (WAITING, FILES_MISSING)


@pytest.mark.parametrize(
    ("status", "words"), [(3, "removed"), (4, "tidying up"), (6, "tidying up"), (7, "has suspended it")]
)
def test_what_still_occupies_a_slot_runs(status: int, words: str) -> None:
    seen = sighting({"JobStatus": status, "NumShadowStarts": 1, "RemoteHost": "slot1_1@far.example.org"})
    assert seen.state is RUNNING
    assert seen.host == "far.example.org"
    assert words in str(seen.reason)


def test_every_code_means_a_cause_that_exists() -> None:
    for code in (None, *range(60), *range(1000, 1030)):
        assert meaning(code).cause in CAUSES
        assert meaning(code).words.endswith(".")


def test_the_queue_has_those_that_wait_first_in_their_order() -> None:
    first, second = RECORDED["waiting, no slot"], RECORDED["waiting, not looked at"]
    urgent = {**second, "JobPrio": 5, "GlobalJobId": "schedd#99.0#1"}
    ads = [RECORDED["evicted, still in the queue"], RECORDED["running"], second, urgent, first]
    assert [(entry.backend_id, entry.state, entry.position) for entry in listing.entries(ads)] == [
        ("schedd#99.0#1", WAITING, 1),
        (first["GlobalJobId"], WAITING, 2),
        (second["GlobalJobId"], WAITING, 3),
        (RECORDED["running"]["GlobalJobId"], RUNNING, None),
    ]
    assert {entry.client_group for entry in listing.entries(ads)} == {"njs"}
