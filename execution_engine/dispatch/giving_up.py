"""What becomes of a job whose attempt came to nothing before it began."""

import datetime as dt

from execution_engine.core import transitions
from execution_engine.core.causes import describe
from execution_engine.core.states import NOT_STARTED, Status
from execution_engine.core.transitions import Transition
from execution_engine.store.database import Document


def give_up(at: dt.datetime, job: Document, tries: int, why: str) -> Transition:
    """Back to the queue for another attempt; the job fails with the ``tries``-th that is lost."""
    attempt, losses = job["attempt"]["n"], job.get("losses", 0) + 1
    if losses < tries:
        return transitions.release(at, attempt=attempt, note=why, losses=losses)
    cause = describe("start_failed", detail=f"Attempt {attempt}: {why}")
    return transitions.settle(
        at,
        attempt=attempt,
        to=Status.ERROR,
        cause=cause,
        leaves=NOT_STARTED,
        where={"attempt.runner": None, "cancel_requested": None},
    )


def confirm_cancel(at: dt.datetime, attempt: int, *, started: bool) -> Transition:
    """End a job that was to be cancelled and of which nothing runs any more."""
    cause = describe("cancelled" if started else "cancelled_before_start")
    return transitions.settle(
        at, attempt=attempt, to=Status.TERMINATED, cause=cause, where={"cancel_requested": {"$ne": None}}
    )
