"""Handing chosen jobs to a backend: claim, submit, record; a crash between any two is mended later (see reconcile)."""

import datetime as dt
import uuid
from collections.abc import Mapping, Sequence

from bson import ObjectId
from pymongo.client_session import ClientSession

from execution_engine.backends.base import Accepted, Backend, Refused, Requirements, Submission, Unknown
from execution_engine.core import transitions
from execution_engine.core.causes import describe
from execution_engine.core.clock import now
from execution_engine.core.ids import attempt_tag, hash_secret, new_ticket
from execution_engine.core.states import NOT_STARTED, Status
from execution_engine.core.transitions import Transition
from execution_engine.dispatch.desk import Desk
from execution_engine.dispatch.places import Places
from execution_engine.dispatch.post import Post
from execution_engine.jobs.limits import Limits
from execution_engine.store.database import Document


def hand_over(post: Post, places: Places, desk: Desk, chosen: Sequence[Document]) -> int:
    """Give the jobs to the backend; how many of them were still to be had.

    Raises:
        NoRoom: a limit would be exceeded; nothing was done.
    """
    submissions = {job["_id"]: _submission(job, places.limits) for job in chosen}
    claimed = _claim(post, places, desk.backend, submissions)
    if not claimed:
        return 0
    outcomes = desk.ask(lambda backend: backend.submit(list(claimed.values())))
    if outcomes is None:
        # Nobody knows what the backend has of them: recovery asks for their tags.
        return 0
    _record(post, claimed, outcomes)
    desk.note_handover(full=any(isinstance(it, Refused) and it.transient for it in outcomes.values()))
    return len(claimed)


def _claim(
    post: Post, places: Places, backend: Backend, submissions: Mapping[ObjectId, Submission]
) -> dict[ObjectId, Submission]:
    """Write the attempts down, with their slots, before the backend hears of them; those that were still to be had."""
    claim_id = uuid.uuid4().hex
    at = now()
    writes = [(job_id, _taken(at, it, claim_id, backend.name)) for job_id, it in submissions.items()]

    def write(session: ClientSession | None) -> dict[ObjectId, Submission]:
        post.jobs.apply_many(writes, session)
        got = post.jobs.claimed_by(claim_id, list(submissions), session)
        claimed = {job_id: it for job_id, it in submissions.items() if job_id in got}
        places.take(claimed.items(), session)
        return claimed

    return post.act(write)


def _record(
    post: Post, claimed: Mapping[ObjectId, Submission], outcomes: Mapping[str, Accepted | Refused | Unknown]
) -> None:
    writes: list[tuple[ObjectId, Transition]] = []
    backend_ids: dict[tuple[ObjectId, int], str] = {}
    at = now()
    for job_id, submission in claimed.items():
        outcome, attempt = outcomes.get(submission.tag), submission.attempt
        if outcome is None or isinstance(outcome, Unknown):
            continue  # recovery asks for its tag
        if isinstance(outcome, Accepted):
            writes.append((job_id, transitions.submitted(at, attempt=attempt, backend_id=outcome.backend_id)))
            backend_ids[job_id, attempt] = outcome.backend_id
        elif outcome.transient:
            writes.append((job_id, transitions.release(at, attempt=attempt, note=outcome.message)))
        else:
            cause = describe("backend_refused", outcome.message)
            end = transitions.settle(at, attempt=attempt, to=Status.ERROR, cause=cause, leaves=NOT_STARTED)
            writes.append((job_id, end))
    post.write(writes)
    # A quick runner may have begun before its job was recorded as queued; the id belongs there all the same.
    post.jobs.note_backend_id(backend_ids)


def _taken(at: dt.datetime, submission: Submission, claim_id: str, backend: str) -> Transition:
    return transitions.claim(
        at,
        attempt=submission.attempt,
        tag=submission.tag,
        ticket_hash=hash_secret(submission.ticket),
        claim_id=claim_id,
        backend=backend,
        time_limit_s=submission.time_limit_s,
    )


def _submission(job: Document, limits: Limits) -> Submission:
    attempt = job["attempt"]["n"] + 1
    needs = job["requirements"]
    return Submission(
        tag=attempt_tag(job["_id"], attempt),
        job_id=str(job["_id"]),
        attempt=attempt,
        ticket=new_ticket(),
        requirements=Requirements(needs["cpus"], needs["memory_mb"], needs["disk_gb"]),
        client_group=job["client_group"],
        user=job["user"],
        time_limit_s=limits.run_time(job["method"], job["user"], job["client_group"]),
        constraints=job.get("constraints", {}),
    )
