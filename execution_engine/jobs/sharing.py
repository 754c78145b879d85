"""Sharing jobs without a workspace, and batches of such, with people by name."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from bson import ObjectId

from execution_engine.core import transitions
from execution_engine.core.clock import now
from execution_engine.core.errors import Busy, InvalidParams, UserNotFound, WrongState
from execution_engine.jobs.access import Role, require_sharing
from execution_engine.jobs.audit import Act, note
from execution_engine.jobs.engine import Engine
from execution_engine.jobs.identity import User
from execution_engine.store.database import Document

MOST_SHAREES = 100
MOST_HISTORY = 1_000  # sharing and unsharing for ever must not fill the record
_ROUNDS = 20


def share(engine: Engine, user: User, job_id: ObjectId, names: Sequence[str]) -> list[str]:
    """Let these people (but the owner, who may anyway) read the job, or all jobs of the batch and the batch itself.

    Everybody whom it is shared with afterwards.

    Raises:
        JobNotFound, PermissionDenied: who may share is the owner and full administrators.
        WrongState: its workspace shares it.
        UserNotFound: there is no such person.
        InvalidParams: that would be too many people.
        AuthUnavailable
    """
    shared = _sharable(engine, user, job_id)
    known = engine.tokens.users(user.token, names)
    if unknown := [name for name in dict.fromkeys(names) if name not in known]:
        raise UserNotFound(f"params.users: the Auth service knows no {', '.join(unknown[:10])}.")
    added = [name for name in dict.fromkeys(names) if name != shared.record["user"]]
    result = _change(engine, user, shared, Act.SHARE, lambda held: held + [it for it in added if it not in held])
    if shared.is_batch and added:
        said = note(Act.SHARE, user, shared.role, after={"shared_with": added})
        step = transitions.share_also(now(), by=user.name, role=shared.role, names=added, audit=said)
        engine.jobs.apply_to_batch(job_id, step)
    return result


def unshare(engine: Engine, user: User, job_id: ObjectId, names: Sequence[str]) -> list[str]:
    """Take that back; everybody whom the job, or the batch, is shared with afterwards.

    Raises:
        JobNotFound, PermissionDenied, WrongState: as :func:`share`.
    """
    shared = _sharable(engine, user, job_id)
    result = _change(engine, user, shared, Act.UNSHARE, lambda held: [name for name in held if name not in names])
    if shared.is_batch:
        said = note(Act.UNSHARE, user, shared.role, before={"shared_with": list(names)})
        step = transitions.unshare_also(now(), by=user.name, role=shared.role, names=list(names), audit=said)
        engine.jobs.unshare_in_batch(job_id, step)
    return result


class _Shared(NamedTuple):
    """What is shared, and by which right."""

    record: Document
    role: Role
    is_batch: bool


def _sharable(engine: Engine, user: User, job_id: ObjectId) -> _Shared:
    job = engine.jobs.get(job_id)
    is_batch = job is None
    job, role = require_sharing(engine, user, job or engine.jobs.get_batch(job_id), job_id)
    if "wsid" in job:
        kind = "Batch" if is_batch else "Job"
        raise WrongState(f"{kind} {job_id} is shared by the permissions of workspace {job['wsid']}; change them there.")
    return _Shared(job, role, is_batch)


def _change(
    engine: Engine, user: User, shared: _Shared, act: Act, change: Callable[[list[str]], list[str]]
) -> list[str]:
    """Write exactly this change; where somebody else was faster, make it anew from what they left."""
    record, role = shared.record, shared.role
    job_id = record["_id"]
    read = engine.jobs.get_batch if shared.is_batch else engine.jobs.get
    apply = engine.jobs.apply_to_batch_itself if shared.is_batch else engine.jobs.apply
    for _ in range(_ROUNDS):
        held: list[str] = record.get("shared_with", [])
        wanted = change(held)
        if wanted == held:
            return held
        _check_bounds(record, wanted)
        said = note(act, user, role, before={"shared_with": held}, after={"shared_with": wanted})
        step = transitions.share(now(), event=f"{act}d", by=user.name, role=role, held=held, wanted=wanted, audit=said)
        if apply(job_id, step):
            return wanted
        record = read(job_id) or record
    raise Busy(f"Who job {job_id} is shared with is just being changed; try again.")


def _check_bounds(job: Document, wanted: list[str]) -> None:
    if len(wanted) > MOST_SHAREES:
        raise InvalidParams(
            f"params.users: job {job['_id']} would be shared with {len(wanted)} people; up to {MOST_SHAREES} are "
            "possible. Run jobs that many should see in a workspace."
        )
    if len(job.get("history", ())) >= MOST_HISTORY:
        raise WrongState(
            f"The history of job {job['_id']} has {MOST_HISTORY:,} entries; its sharing is no longer changed."
        )
