"""Who may do what. This module decides; nothing else does.

- read record, log, input, output: the owner; who can read the job's workspace; administrators, also read-only ones.
- a job of a public workspace: everybody sees record and status (setting public-shows-record), nothing else.
- cancel: the owner; who can write the workspace (setting cancel-needs: write or admin); full administrators.
- retry: as cancel, with permission to write the workspace now; the new job runs as the caller.
- submit into a workspace: who can write it.
- start, log, finish: the attempt's own credential (module attempts).
- a job of a deleted workspace: the owner and administrators.
- a job that the caller may not read answers as an unknown one.
- while the Workspace can't be reached, owners and administrators go on; others are told that it is down.
"""

from collections.abc import Iterable, Mapping
from enum import IntEnum

from bson import ObjectId

from execution_engine.core.errors import JobNotFound, PermissionDenied, WorkspaceNotFound
from execution_engine.jobs.engine import Engine
from execution_engine.jobs.identity import Admin, User
from execution_engine.kbase.permissions import Permission, WorkspaceAccess
from execution_engine.store.database import Document


class Sight(IntEnum):
    """How much of a job somebody may see."""

    NONE = 0
    RECORD = 1
    ALL = 2


def unknown_job(job_id: ObjectId | str) -> JobNotFound:
    """The one answer for jobs that don't exist and jobs that the caller may not read."""
    return JobNotFound(f"There is no job {job_id}, or you may not read it.")


def sight(engine: Engine, user: User, job: Document) -> Sight:
    """How much of one job the user may see.

    Raises:
        WorkspaceUnavailable: only the workspace's permissions could tell.
    """
    return sights(engine, user, [job])[job["_id"]]


def sights(engine: Engine, user: User, jobs: Iterable[Document]) -> dict[ObjectId, Sight]:
    """As :func:`sight`, for many jobs with one question to the Workspace."""
    jobs = list(jobs)
    asked = {job["wsid"] for job in jobs if not _known(user, job) and "wsid" in job}
    permissions = engine.permissions.permissions(user.name, asked, user.token) if asked else {}
    return {job["_id"]: _sight(engine, user, job, permissions) for job in jobs}


def _known(user: User, job: Document) -> bool:
    return bool(job["user"] == user.name or user.admin >= Admin.READ)


def _sight(engine: Engine, user: User, job: Document, permissions: Mapping[int, WorkspaceAccess]) -> Sight:
    if _known(user, job):
        return Sight.ALL
    if "wsid" not in job:
        return Sight.NONE
    granted = permissions[job["wsid"]]
    if granted.permission >= Permission.READ:
        return Sight.ALL
    return Sight.RECORD if granted.public and engine.settings.public_shows_record else Sight.NONE


def require_all(engine: Engine, user: User, job: Document | None, job_id: ObjectId) -> Document:
    """The job, if the user may see all of it.

    Raises:
        JobNotFound: there is none, or the user may not read it.
        PermissionDenied: only its record is public.
    """
    seen = sight(engine, user, job) if job else Sight.NONE
    if job is None or seen == Sight.NONE:
        raise unknown_job(job_id)
    if seen == Sight.RECORD:
        raise PermissionDenied(f"Job {job_id} belongs to a public workspace: only its record and status are public.")
    return job


def require_control(engine: Engine, user: User, job: Document | None, job_id: ObjectId, act: str) -> Document:
    """The job, if the user may cancel it; ``act`` is the verb for the message.

    Raises:
        JobNotFound: there is none, or the user may not read it.
        PermissionDenied: the user may read it, but not ``act``.
    """
    if job is None or sight(engine, user, job) == Sight.NONE:
        raise unknown_job(job_id)
    if job["user"] == user.name or user.admin == Admin.FULL or _controls_workspace(engine, user, job):
        return job
    raise PermissionDenied(
        f"You may not {act} job {job_id}: that needs its owner ({job['user']}), permission to "
        f"{engine.settings.cancel_needs} its workspace, or an administrator."
    )


def _controls_workspace(engine: Engine, user: User, job: Document) -> bool:
    if "wsid" not in job:
        return False
    needed = Permission.ADMIN if engine.settings.cancel_needs == "admin" else Permission.WRITE
    return _access(engine, user, job["wsid"]).permission >= needed


def _access(engine: Engine, user: User, wsid: int) -> WorkspaceAccess:
    return engine.permissions.permissions(user.name, [wsid], user.token)[wsid]


def require_submit(engine: Engine, user: User, wsid: int | None) -> None:
    """The user may run jobs in the workspace; without one everybody may.

    Raises:
        WorkspaceNotFound: it does not exist, or the user may not read it.
        PermissionDenied: the user may read it, but not write.
    """
    if wsid is None:
        return
    granted = _access(engine, user, wsid)
    if granted.permission >= Permission.WRITE:
        return
    if granted.permission == Permission.READ or granted.public:
        raise PermissionDenied(f"You may read workspace {wsid}, but running jobs there needs permission to write it.")
    raise WorkspaceNotFound(
        f"There is no workspace {wsid}, or you may not use it; running jobs there needs permission to write it."
    )


def require_read_workspace(engine: Engine, user: User, wsid: int) -> Sight:
    """How much of the workspace's jobs the user may see, at least something.

    Raises:
        WorkspaceNotFound: it does not exist, or the user may not read it.
    """
    if user.admin >= Admin.READ:
        return Sight.ALL
    granted = _access(engine, user, wsid)
    if granted.permission >= Permission.READ:
        return Sight.ALL
    if granted.public and engine.settings.public_shows_record:
        return Sight.RECORD
    raise WorkspaceNotFound(f"There is no workspace {wsid}, or you may not read it.")
