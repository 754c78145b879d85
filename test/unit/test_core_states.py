import pytest

from execution_engine.core.states import ACTIVE, FINAL, FOLLOWS, NOT_STARTED, Status, derive_batch_status


def test_the_states_are_the_words_of_the_api() -> None:
    assert [str(status) for status in Status] == [
        "created",
        "estimating",
        "queued",
        "running",
        "completed",
        "error",
        "terminated",
    ]


def test_every_state_is_active_or_final() -> None:
    assert set(ACTIVE) | FINAL == set(Status)
    assert not set(ACTIVE) & FINAL
    assert set(ACTIVE) - set(NOT_STARTED) == {Status.RUNNING}


def test_nothing_follows_a_final_state() -> None:
    assert {status for status in Status if not FOLLOWS[status]} == FINAL


def test_only_a_running_job_completes() -> None:
    assert [status for status in Status if Status.COMPLETED in FOLLOWS[status]] == [Status.RUNNING]


def test_a_job_that_has_begun_waits_again_only_for_a_new_attempt() -> None:
    assert FOLLOWS[Status.RUNNING] & set(ACTIVE) == {Status.CREATED}


@pytest.mark.parametrize(
    ("counts", "status"),
    [
        ({}, "completed"),
        ({"completed": 9}, "completed"),
        ({"completed": 9, "terminated": 1}, "terminated"),
        ({"completed": 9, "terminated": 1, "error": 1}, "error"),
        ({"error": 5, "created": 1}, "created"),
        ({"created": 5, "estimating": 1}, "estimating"),
        ({"created": 5, "estimating": 1, "queued": 1}, "queued"),
        ({"created": 5, "queued": 2, "running": 1, "error": 3}, "running"),
        ({"running": 0, "completed": 1}, "completed"),
    ],
)
def test_a_batch_shows_the_furthest_active_state_and_then_what_needs_a_look(
    counts: dict[str, int], status: str
) -> None:
    assert derive_batch_status(counts) == status
