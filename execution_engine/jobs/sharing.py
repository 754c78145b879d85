"""Sharing jobs without a workspace with people by name; hiding ended jobs from one's own lists."""

from collections.abc import Callable, Sequence

from bson import ObjectId

from execution_engine.core import transitions
from execution_engine.core.clock import now
from execution_engine.core.errors import Busy, EngineError, InvalidParams, UserNotFound, WrongState
from execution_engine.core.states import FINAL
from execution_engine.jobs.access import (
    Role,
    Sight,
    only_record,
    require_sharing,
    roles_or_errors,
    sight_of,
    unknown_job,
)
from execution_engine.jobs.audit import Act, note
from execution_engine.jobs.engine import Engine
from execution_engine.jobs.identity import User
from execution_engine.store.database import Document

MOST_SHAREES = 100
MOST_HIDERS = 1_000
MOST_HISTORY = 1_000  # sharing and unsharing for ever must not fill the record
_ROUNDS = 20


def share(engine: Engine, user: User, job_id: ObjectId, names: Sequence[str]) -> list[str]:
    """Let these people (but the owner, who may anyway) read the job; everybody whom it is shared with afterwards.

    Raises:
        JobNotFound, PermissionDenied: who may share is the owner and full administrators.
        WrongState: its workspace shares it, or it is a batch.
        UserNotFound: there is no such person.
        InvalidParams: that would be too many people.
        AuthUnavailable
    """
    job, role = _sharable(engine, user, job_id)
    known = engine.tokens.users(user.token, names)
    if unknown := [name for name in dict.fromkeys(names) if name not in known]:
        raise UserNotFound(f"params.users: the Auth service knows no {', '.join(unknown[:10])}.")
    added = [name for name in dict.fromkeys(names) if name != job["user"]]
    return _change(engine, user, role, job, Act.SHARE, lambda held: held + [it for it in added if it not in held])


def unshare(engine: Engine, user: User, job_id: ObjectId, names: Sequence[str]) -> list[str]:
    """Take that back; everybody whom the job is shared with afterwards.

    Raises:
        JobNotFound, PermissionDenied, WrongState: as :func:`share`.
    """
    job, role = _sharable(engine, user, job_id)
    return _change(engine, user, role, job, Act.UNSHARE, lambda held: [name for name in held if name not in names])


def _sharable(engine: Engine, user: User, job_id: ObjectId) -> tuple[Document, Role]:
    job = engine.jobs.get(job_id)
    is_batch = job is None
    job, role = require_sharing(engine, user, job or engine.jobs.get_batch(job_id), job_id)
    if "wsid" in job:
        raise WrongState(f"Job {job_id} is shared by the permissions of workspace {job['wsid']}; change them there.")
    if is_batch:
        raise WrongState(f"{job_id} is a batch; share those of its jobs that people should see.")
    return job, role


def _change(
    engine: Engine, user: User, role: Role, job: Document, act: Act, change: Callable[[list[str]], list[str]]
) -> list[str]:
    """Write exactly this change; where somebody else was faster, make it anew from what they left."""
    job_id = job["_id"]
    for _ in range(_ROUNDS):
        held: list[str] = job.get("shared_with", [])
        wanted = change(held)
        if wanted == held:
            return held
        _check_bounds(job, wanted)
        said = note(act, user, role, before={"shared_with": held}, after={"shared_with": wanted})
        step = transitions.share(now(), event=f"{act}d", by=user.name, role=role, held=held, wanted=wanted, audit=said)
        if engine.jobs.apply(job_id, step):
            return wanted
        job = engine.jobs.get(job_id) or job
    raise Busy(f"Who job {job_id} is shared with is just being changed; try again.")


def _check_bounds(job: Document, wanted: list[str]) -> None:
    if len(wanted) > MOST_SHAREES:
        raise InvalidParams(
            f"params.users: job {job['_id']} would be shared with {len(wanted)} people; up to {MOST_SHAREES} are "
            "possible. Run jobs that many should see in a workspace."
        )
    if len(job["history"]) >= MOST_HISTORY:
        raise WrongState(
            f"The history of job {job['_id']} has {MOST_HISTORY:,} entries; its sharing is no longer changed."
        )


def hide(engine: Engine, user: User, job_ids: Sequence[ObjectId]) -> tuple[list[ObjectId], dict[ObjectId, EngineError]]:
    """Leave ended jobs out of the user's own lists; those that are hidden now, and why the others are not.

    The errors are JobNotFound, PermissionDenied (only the record is public), WrongState (active, or a batch) and
    WorkspaceUnavailable.
    """
    seen, errors = _readable(engine, user, job_ids)
    for job_id, (job, _) in list(seen.items()):
        if job["status"] not in FINAL:
            errors[job_id] = WrongState(
                f"Job {job_id} is {job['status']}; only a job that has ended can be hidden.", status=job["status"]
            )
        elif len(job.get("hidden_by", ())) >= MOST_HIDERS and user.name not in job["hidden_by"]:
            errors[job_id] = WrongState(f"Job {job_id} is hidden by {MOST_HIDERS:,} people; that is all it can note.")
        else:
            continue
        del seen[job_id]
    for role, ids in _by_role(seen).items():
        engine.jobs.hide(ids, user.name, note(Act.HIDE, user, role, before={"hidden": 0}, after={"hidden": 1}))
    return list(seen), errors


def unhide(
    engine: Engine, user: User, job_ids: Sequence[ObjectId]
) -> tuple[list[ObjectId], dict[ObjectId, EngineError]]:
    """Take that back; those that are not hidden now, and why the others can't be said to be."""
    seen, errors = _readable(engine, user, job_ids)
    for role, ids in _by_role(seen).items():
        engine.jobs.unhide(ids, user.name, note(Act.UNHIDE, user, role, before={"hidden": 1}, after={"hidden": 0}))
    return list(seen), errors


def _readable(
    engine: Engine, user: User, job_ids: Sequence[ObjectId]
) -> tuple[dict[ObjectId, tuple[Document, Role]], dict[ObjectId, EngineError]]:
    """Jobs that the user may read whole, with the right; the errors of all others."""
    jobs = engine.jobs.get_many(job_ids)
    batches = engine.jobs.get_batches([job_id for job_id in job_ids if job_id not in jobs])
    found, errors = roles_or_errors(engine, user, [*jobs.values(), *batches.values()])
    seen: dict[ObjectId, tuple[Document, Role]] = {}
    for job_id in job_ids:
        role = found.get(job_id)
        if job_id in errors:
            continue
        if role is None:
            errors[job_id] = unknown_job(job_id)
        elif sight_of(role) < Sight.ALL:
            errors[job_id] = only_record(job_id)
        elif job_id in batches:
            errors[job_id] = WrongState(f"{job_id} is a batch; hide its jobs.")
        else:
            seen[job_id] = jobs[job_id], role
    return seen, errors


def _by_role(seen: dict[ObjectId, tuple[Document, Role]]) -> dict[Role, list[ObjectId]]:
    grouped: dict[Role, list[ObjectId]] = {}
    for job_id, (_, role) in seen.items():
        grouped.setdefault(role, []).append(job_id)
    return grouped
