"""Hiding ended jobs, and all jobs of ended batches, from one's own lists; nobody else notices."""

from collections.abc import Sequence

from bson import ObjectId

from execution_engine.core.errors import EngineError, InvalidParams, WrongState
from execution_engine.core.states import FINAL
from execution_engine.jobs.access import Role, Sight, only_record, roles_or_errors, sight_of, unknown_job
from execution_engine.jobs.audit import Act, note
from execution_engine.jobs.engine import Engine
from execution_engine.jobs.identity import User
from execution_engine.jobs.lookup import find_batches
from execution_engine.store.database import Document

MOST_HIDERS = 1_000
MOST_AT_ONCE = 10_000  # jobs, with those of batches: the largest batch

Seen = dict[ObjectId, tuple[Document, Role]]
Errors = dict[ObjectId, EngineError]


def hide(engine: Engine, user: User, job_ids: Sequence[ObjectId]) -> tuple[list[ObjectId], Errors]:
    """Leave ended jobs, and the jobs of ended batches, out of the user's own lists.

    Those ids that are hidden now, and why the others are not: JobNotFound, PermissionDenied (only the record is
    public), WrongState (active), InvalidParams (too much for one call) and WorkspaceUnavailable.
    """
    seen, errors = _readable(engine, user, job_ids)
    for job_id, (record, _) in list(seen.items()):
        if error := _why_not(user, record):
            errors[job_id] = error
            del seen[job_id]
    for role, ids in _by_role(seen).items():
        said = note(Act.HIDE, user, role, before={"hidden": 0}, after={"hidden": 1})
        engine.jobs.hide(ids, user.name, MOST_HIDERS, said)
    return list(seen), errors


def unhide(engine: Engine, user: User, job_ids: Sequence[ObjectId]) -> tuple[list[ObjectId], Errors]:
    """Take that back; those that are not hidden now, and why the others can't be said to be."""
    seen, errors = _readable(engine, user, job_ids)
    for role, ids in _by_role(seen).items():
        engine.jobs.unhide(ids, user.name, note(Act.UNHIDE, user, role, before={"hidden": 1}, after={"hidden": 0}))
    return list(seen), errors


def _why_not(user: User, record: Document) -> EngineError | None:
    job_id, status = record["_id"], record["status"]
    if status not in FINAL:
        what = "Batch" if "batch" in record else "Job"
        return WrongState(f"{what} {job_id} is {status}; only what has ended can be hidden.", status=status)
    hiders = record.get("hidden_by", ())
    if len(hiders) >= MOST_HIDERS and user.name not in hiders:
        return WrongState(f"Job {job_id} is hidden by {MOST_HIDERS:,} people; that is all it can note.")
    return None


def _readable(engine: Engine, user: User, job_ids: Sequence[ObjectId]) -> tuple[Seen, Errors]:
    """Jobs and batches that the user may read whole, with the right, up to MOST_AT_ONCE; the errors of all others."""
    records = engine.jobs.get_many(job_ids)
    records |= find_batches(engine, [job_id for job_id in job_ids if job_id not in records])
    found, errors = roles_or_errors(engine, user, records.values())
    seen: Seen = {}
    jobs = 0
    for job_id in job_ids:
        role = found.get(job_id)
        if job_id in errors:
            continue
        if role is None:
            errors[job_id] = unknown_job(job_id)
        elif sight_of(role) < Sight.ALL:
            errors[job_id] = only_record(job_id)
        elif (jobs := jobs + _size(records[job_id])) > MOST_AT_ONCE:
            errors[job_id] = InvalidParams(
                f"params.job_ids: with {job_id} this would be {jobs:,} jobs; one call takes up to {MOST_AT_ONCE:,}, "
                "those of batches included. Send the rest in further calls."
            )
        else:
            seen[job_id] = records[job_id], role
    return seen, errors


def _size(record: Document) -> int:
    return sum(record["children"].values()) if "batch" in record else 1


def _by_role(seen: Seen) -> dict[Role, list[ObjectId]]:
    grouped: dict[Role, list[ObjectId]] = {}
    for job_id, (_, role) in seen.items():
        grouped.setdefault(role, []).append(job_id)
    return grouped
