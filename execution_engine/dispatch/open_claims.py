"""Claims without a backend's id: a dispatcher died, or the backend did not answer, between claim and record."""

import datetime as dt
from collections.abc import Sequence

from execution_engine.backends.base import Absent, Found, Sighting, SightingState
from execution_engine.core import transitions
from execution_engine.core.clock import now
from execution_engine.core.transitions import Transition
from execution_engine.dispatch.desk import Desk
from execution_engine.dispatch.giving_up import end_of_attempt
from execution_engine.dispatch.post import Post
from execution_engine.store.database import Document


def recover(post: Post, desk: Desk, jobs: Sequence[Document], submit_seconds: float, tries: int) -> None:
    """Ask the backend for the attempts by their tags: what it has is adopted, what it never had is released.

    That it has none counts only ``submit_seconds``, and the time that it needs to settle, after the claim.
    """
    if not jobs:
        return
    tags = {job["attempt"]["tag"]: job for job in jobs}
    answers = desk.ask(lambda backend: backend.find(tags))
    if not answers:
        return
    at = now()
    patience = dt.timedelta(seconds=submit_seconds + desk.backend.settle_seconds)
    writes = []
    for tag, job in tags.items():
        answer, attempt = answers.get(tag), job["attempt"]["n"]
        if isinstance(answer, Found):
            writes.append((job["_id"], transitions.submitted(at, attempt=attempt, backend_id=answer.backend_id)))
            post.jobs.note_backend_id({(job["_id"], attempt): answer.backend_id})
        elif isinstance(answer, Absent) and at > job["attempt"]["claimed_at"] + patience:
            writes.append((job["_id"], _end(at, job, tries)))
    post.write(writes)


def _end(at: dt.datetime, job: Document, tries: int) -> Transition:
    if "cancel_requested" in job or "runner" in job["attempt"]:
        return end_of_attempt(at, job, Sighting(SightingState.GONE), tries)
    # No backend has lost it, so it does not count as lost: during a long outage a job would use up all its tries.
    return transitions.release(at, attempt=job["attempt"]["n"], note="the attempt never reached the backend")
