import pytest
from slurm_recorded import rows

from execution_engine.backends.base import Sighting, SightingState
from execution_engine.backends.slurm import reasons
from execution_engine.backends.slurm.session import JobRow, decode
from execution_engine.backends.slurm.states import sighting
from execution_engine.core.causes import CAUSES

WAITING, RUNNING, HELD, GONE, UNKNOWN = SightingState


def row(state: str, **values: object) -> JobRow:
    return JobRow(7, "ee.68e5f0a1b2c3d4e5f6a70001.1", state, **{"nodes": "n1", "exit_code": 0, **values})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("what", "expected"),
    [
        ("completed", Sighting(GONE, None, "db1", 0, None, "The runner ended with exit code 0.")),
        ("failed", Sighting(GONE, None, "db1", 3, None, "The runner ended with exit code 3.")),
        ("killed", Sighting(GONE, None, "db1", None, 9, "The runner was ended by SIGKILL.")),
        ("oom", Sighting(GONE, "out_of_memory", "db1")),
        ("timeout", Sighting(GONE, "time_limit", "db1")),
        ("cancelled", Sighting(GONE, "removed", "db1")),
        ("cancelled_waiting", Sighting(GONE, "removed")),
        ("running", Sighting(RUNNING, None, "db2")),
        ("waiting2", Sighting(WAITING)),
        ("held", Sighting(HELD, "An administrator of Slurm holds it.")),
    ],
)
def test_jobs_as_a_real_slurm_listed_them(what: str, expected: Sighting) -> None:
    seen = sighting(rows()[what])
    assert (seen.state, seen.host) == (expected.state, expected.host)
    if expected.reason or seen.state is GONE:
        assert seen.reason == expected.reason
    if expected.detail:
        assert (seen.exit_code, seen.signal, seen.detail) == (expected.exit_code, expected.signal, expected.detail)
    assert seen.detail or seen.reason or seen.state is RUNNING


def test_a_node_that_failed() -> None:
    seen = sighting(rows("jobs after a node failed")["node"])
    assert (seen.state, seen.reason) == (GONE, "node_died")
    assert seen.detail == "Slurm ended it because a node failed: db1."


def test_what_the_engine_cancelled_was_not_removed_by_somebody() -> None:
    assert sighting(row("CANCELLED", exit_code=4), cancelled=True).reason == "cancelled"
    assert sighting(row("CANCELLED", nodes=""), cancelled=True).reason == "cancelled_before_start"
    assert sighting(row("CANCELLED", exit_code=4)).reason == "removed"


def test_a_job_that_a_node_threw_out_was_removed_by_nobody() -> None:
    seen = sighting(row("CANCELLED", exit_code=0))
    assert (seen.state, seen.reason, seen.exit_code) == (GONE, "node_died", None)


@pytest.mark.parametrize(
    ("job", "state", "reason"),
    [
        (row("FAILED", nodes="", reason="BadConstraints"), GONE, "never_started"),
        (row("FAILED", reason="JobLaunchFailure", exit_code=1), GONE, "never_started"),
        (row("FAILED", exit_code=127), GONE, "never_started"),
        (row("COMPLETED", restarts=1), GONE, "node_died"),
        (row("PREEMPTED"), GONE, "preempted"),
        (row("BOOT_FAIL"), GONE, "never_started"),
        (row("DEADLINE"), GONE, "time_limit"),
        (row("COMPLETING"), RUNNING, "Its last processes are being ended."),
        (row("CONFIGURING"), WAITING, "Its nodes are being made ready."),
        (row("SUSPENDED"), RUNNING, "Slurm has suspended it."),
        (
            row("REQUEUE_HOLD", reason="launch failed requeued held"),
            HELD,
            reasons.in_words("launch failed requeued held"),
        ),
        (row("NEW_STATE"), UNKNOWN, "Slurm says NEW_STATE, which the engine does not know."),
    ],
)
def test_other_states(job: JobRow, state: SightingState, reason: str) -> None:
    seen = sighting(job)
    assert (seen.state, seen.reason) == (state, reason)
    assert state is not GONE or seen.detail
    assert state is not GONE or reason in CAUSES


@pytest.mark.parametrize(
    "reason", ["JobHeldAdmin", "QOSMaxCpuPerJobLimit", "AssocMaxWallDurationPerJobLimit", "BadConstraints"]
)
def test_reasons_that_somebody_must_mend(reason: str) -> None:
    seen = sighting(row("PENDING", reason=reason, nodes=""))
    assert seen.state is HELD
    assert seen.reason
    assert seen.reason.endswith(".")


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        ("Priority", "Jobs with a higher priority are ahead of it."),
        ("(Resources)", "It is next, and waits until enough CPUs and memory are free."),
        (
            "ReqNodeNotAvail, UnavailableNodes:n1",
            "The nodes that it needs are down, drained, or reserved for more urgent jobs.",
        ),
        ("QOSMaxGRESPerUser", "Slurm says: QOSMaxGRESPerUser."),
        ("", "Slurm gives no reason."),
    ],
)
def test_reasons_in_words(reason: str, words: str) -> None:
    assert reasons.in_words(reason) == words
    assert sighting(row("PENDING", reason=reason, nodes="")) == Sighting(WAITING, words)


@pytest.mark.parametrize(
    ("status", "ended"), [(0, (0, None)), (768, (3, None)), (9, (None, 9)), (137 << 8, (None, 9)), (15, (None, 15))]
)
def test_exit_codes_are_wait_statuses(status: int, ended: tuple[int | None, int | None]) -> None:
    assert decode(status) == ended
