"""What becomes of a job when nothing of its attempt runs any more and no report of the end came."""

import datetime as dt
from typing import Any

from execution_engine.backends.base import Sighting
from execution_engine.core import transitions
from execution_engine.core.causes import CAUSES, describe
from execution_engine.core.states import NOT_STARTED, Status
from execution_engine.core.transitions import Transition
from execution_engine.store.database import Document

# Somebody has decided that the job is not to run; another attempt would go against that.
_DECIDED = frozenset({"removed", "backend_refused"})
# The engine knows better of an attempt that has begun.
_BEFORE_START = frozenset({"never_started", "backend_lost", "cancelled_before_start"})
_NEVER_BEGAN = "the backend lost the attempt before it began"


def end_of_attempt(at: dt.datetime, job: Document, gone: Sighting, tries: int) -> Transition:
    """Another attempt, or the job's end and why; ``gone`` is the backend's confirmation.

    Another attempt is made of one that never began, and of one that was taken away for a cause that neither the app
    nor a person has; ``tries``: how many attempts may be lost in all, the last of them with the job.
    """
    attempt, started = job["attempt"]["n"], "runner" in job["attempt"]
    if "cancel_requested" in job:
        return confirm_cancel(at, attempt, started=started)
    if not started:
        return _never_began(at, job, gone, tries)
    cause = _cause(job, gone)
    if CAUSES[cause["code"]].engine_may_retry:
        losses = job.get("losses", 0) + 1
        if losses < tries:
            return transitions.lose(at, attempt=attempt, note=f"{cause['message']} It is tried again.", losses=losses)
    return transitions.settle(at, attempt=attempt, to=Status.ERROR, cause=cause, where={"cancel_requested": None})


def give_up(at: dt.datetime, job: Document, tries: int, why: str) -> Transition:
    """Back to the queue, of an attempt that never began; the job fails with the ``tries``-th that is lost."""
    attempt, losses = job["attempt"]["n"], job.get("losses", 0) + 1
    if losses < tries:
        return transitions.release(at, attempt=attempt, note=why, losses=losses)
    return _fail_before_start(at, attempt, describe("start_failed", detail=f"Attempt {attempt}: {why}"))


def confirm_cancel(at: dt.datetime, attempt: int, *, started: bool, where: dict[str, Any] | None = None) -> Transition:
    """End a job that was to be cancelled and of which nothing runs any more."""
    cause = describe("cancelled" if started else "cancelled_before_start")
    where = {"cancel_requested": {"$ne": None}, **(where or {})}
    return transitions.settle(at, attempt=attempt, to=Status.TERMINATED, cause=cause, where=where)


def _never_began(at: dt.datetime, job: Document, gone: Sighting, tries: int) -> Transition:
    if gone.reason in _DECIDED:
        return _fail_before_start(at, job["attempt"]["n"], describe(str(gone.reason), detail=gone.detail))
    stopped = job["attempt"].get("stop_cause")
    return give_up(at, job, tries, stopped["message"] if stopped else gone.detail or _NEVER_BEGAN)


def _fail_before_start(at: dt.datetime, attempt: int, cause: Document) -> Transition:
    where = {"attempt.runner": None, "cancel_requested": None}
    return transitions.settle(at, attempt=attempt, to=Status.ERROR, cause=cause, leaves=NOT_STARTED, where=where)


def _cause(job: Document, gone: Sighting) -> Document:
    """Why a started attempt ended: the engine's own reason before the backend's, the backend's before the runner's."""
    attempt = job["attempt"]
    if "stop_cause" in attempt:
        return dict(attempt["stop_cause"])
    if gone.reason in CAUSES and gone.reason not in _BEFORE_START:
        return describe(gone.reason, detail=gone.detail)
    if "interrupted" in attempt:
        return dict(attempt["interrupted"])
    if gone.exit_code == 0:
        return describe("report_lost", detail=gone.detail, exit_code=0)
    message = None
    if gone.signal is not None:
        message = f"The job's runner was killed (signal {gone.signal})."
    elif gone.exit_code:
        message = f"The job's runner died (exit code {gone.exit_code}) without reporting the job's end."
    return describe("runner_lost", message, detail=gone.detail, exit_code=gone.exit_code)
