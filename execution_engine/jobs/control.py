"""Cancelling and retrying."""

from bson import ObjectId

from execution_engine.core import transitions
from execution_engine.core.causes import describe
from execution_engine.core.clock import now
from execution_engine.core.errors import Busy, NotRetryable
from execution_engine.core.states import FINAL, derive_batch_status
from execution_engine.jobs.access import Role, require_control, require_submit
from execution_engine.jobs.audit import Act, note
from execution_engine.jobs.engine import Engine
from execution_engine.jobs.identity import User
from execution_engine.jobs.submission import run_job
from execution_engine.store.database import Document
from execution_engine.store.payloads import input_key

_ROUNDS = 20  # a job can change hands between two of our writes, but not for ever


def cancel(engine: Engine, user: User, job_id: ObjectId, reason: str | None) -> Document:
    """Ask a job, or all jobs of a batch, to stop; the answer of cancel_job.

    Raises:
        JobNotFound, PermissionDenied, WorkspaceUnavailable
    """
    job = engine.jobs.get(job_id)
    if job is None and (batch := engine.jobs.get_batch(job_id)):
        _, role = require_control(engine, user, batch, job_id, "cancel")
        return _cancel_batch(engine, user, role, job_id, reason)
    job, role = require_control(engine, user, job, job_id, "cancel")
    if job["status"] in FINAL or "cancel_requested" in job:
        return _cancel_result(job, cancelled=0)
    return _cancel_one(engine, user, role, job_id, reason)


def _cancel_one(engine: Engine, user: User, role: Role, job_id: ObjectId, reason: str | None) -> Document:
    """Ends the job if nobody has it yet, else notes the request, unless it has ended or has one meanwhile."""
    for _ in range(_ROUNDS):
        for transition in _cancel_transitions(user, role, reason):
            if job := engine.jobs.apply(job_id, transition):
                return _cancel_result(job, cancelled=1)
        job = engine.jobs.get(job_id)
        if job and (job["status"] in FINAL or "cancel_requested" in job):
            return _cancel_result(job, cancelled=0)
    raise Busy(f"Job {job_id} is changing hands right now; cancel it again.")


def _cancel_batch(engine: Engine, user: User, role: Role, batch_id: ObjectId, reason: str | None) -> Document:
    cancelled = 0
    for _ in range(2):  # twice: a job may have been claimed, or given up, between the two writes
        for transition in _cancel_transitions(user, role, reason):
            cancelled += engine.jobs.apply_to_batch(batch_id, transition)
    status = derive_batch_status(engine.jobs.batch_counts([batch_id])[batch_id])
    return {"job_id": str(batch_id), "status": status, "cancelled": cancelled}


def _cancel_transitions(
    user: User, role: Role, reason: str | None
) -> tuple[transitions.Transition, transitions.Transition]:
    cause = describe("cancelled_before_start")
    ended = note(Act.CANCEL, user, role, before={"status": "created"}, after={"status": "terminated"}, reason=reason)
    asked = note(Act.CANCEL, user, role, before={"cancel_requested": 0}, after={"cancel_requested": 1}, reason=reason)
    return (
        transitions.cancel_waiting(now(), by=user.name, reason=reason, cause=cause, role=role, audit=ended),
        transitions.request_cancel(now(), by=user.name, reason=reason, role=role, audit=asked),
    )


def _cancel_result(job: Document, cancelled: int) -> Document:
    result = {"job_id": str(job["_id"]), "status": job["status"], "cancelled": cancelled}
    if "cancel_requested" in job:
        result["cancel_requested"] = job["cancel_requested"]
    return result


def retry(engine: Engine, user: User, job_id: ObjectId) -> ObjectId:
    """Run an ended job again as a new job of the caller, with the same app version; the new job's id.

    Raises:
        NotRetryable: it is active, or a batch.
        JobNotFound, PermissionDenied, and as :func:`run_job`.
    """
    job = engine.jobs.get(job_id)
    if job is None and (batch := engine.jobs.get_batch(job_id)):
        require_control(engine, user, batch, job_id, "retry")
        raise NotRetryable(f"{job_id} is a batch; retry those of its jobs that should run again.")
    job, role = require_control(engine, user, job, job_id, "retry")
    if job["status"] not in FINAL:
        raise NotRetryable(f"Job {job_id} is {job['status']}; only a job that has ended can be retried.")
    require_submit(engine, user, job.get("wsid"))
    same = ("method", "wsid", "app_id", "service_ver", "source_ws_objects", "client_group", "requirements")
    again = {name: job[name] for name in same if name in job}
    again["params"] = engine.payloads.get(input_key(job_id))["params"]
    # Marked first: a look at the old job then also asks for its retries.
    engine.jobs.mark_retried(job_id)
    return run_job(engine, user, again, retry_of=job_id, retry_role=role)
