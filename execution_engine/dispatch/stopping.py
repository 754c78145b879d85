"""Which attempts the engine ends by itself: those over their time, and those that their backend holds for too long."""

import datetime as dt

from execution_engine.backends.base import Sighting, SightingState
from execution_engine.core import transitions
from execution_engine.core.causes import CAUSES, describe
from execution_engine.core.transitions import Transition
from execution_engine.store.database import Document

LIMIT_MARGIN = dt.timedelta(seconds=60)
"""The runner enforces the run time, and the backend besides; after this the engine does."""


def stop_overdue(at: dt.datetime, job: Document) -> Transition | None:
    """The order to stop a job that has run for longer than its attempt may."""
    attempt = job["attempt"]
    limit = attempt.get("time_limit_s")
    if limit is None or "runner" not in attempt or not _may_stop(job):
        return None
    if at <= job["running"] + dt.timedelta(seconds=limit) + LIMIT_MARGIN:
        return None
    message = f"The job ran longer than it may ({limit} s)."
    return transitions.stop(at, attempt=attempt["n"], cause=describe("time_limit", message))


def stop_held(at: dt.datetime, job: Document, sighting: Sighting, held_seconds: float) -> Transition | None:
    """The order to stop an attempt that its backend has held for so long that nobody will help it any more.

    One that had begun and whose hold has a known cause waits for nobody: its end is just that.
    """
    attempt = job["attempt"]
    if sighting.state != SightingState.HELD or not _may_stop(job):
        return None
    known = sighting.cause if sighting.cause in CAUSES else None
    since = attempt.get("held_since")
    overdue = since is not None and at > since + dt.timedelta(seconds=held_seconds)
    if not overdue and not (known and "runner" in attempt):
        return None
    cause = describe(known, detail=sighting.reason) if known else describe("held", sighting.reason)
    return transitions.stop(at, attempt=attempt["n"], cause=cause)


def _may_stop(job: Document) -> bool:
    return "stop_cause" not in job["attempt"] and "cancel_requested" not in job
