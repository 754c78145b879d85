"""Who may do what. This module decides; nothing else does.

- read record, log, input, output: the owner; who can read the job's workspace; people whom the owner named (jobs
  without a workspace only); administrators, also read-only ones.
- a job of a public workspace: everybody sees record and status (setting public-shows-record): whose it is, what it
  runs, its state and its times; not its log, input, output, cause, reports, requirements or history.
- cancel: the owner; who can write the workspace (setting cancel-needs: write or admin); full administrators.
- retry: as cancel, with permission to write the workspace now; the new job runs as the caller.
- submit into a workspace: who can write it.
- run a job in a client group: whom its open-to names; full administrators; everybody the apps that the Catalog sends
  there.
- share a job without a workspace with people by name, and take that back: the owner; full administrators. Those people
  may read, nothing else.
- hide an ended job from one's own lists: who may read it; nobody else notices.
- start, log, finish: the attempt's own credential (module attempts).
- set limits, and remove them: full administrators; of the run time of an app's methods also the owners of its module,
  who may lower what the administrators allow. Everybody sees the limits that apply to them; administrators see all.
- read the audit and the routes: administrators, also read-only ones.
- drain a backend, let it take jobs again; set and remove routes: full administrators.
- a job of a deleted workspace: the owner and administrators.
- a job that the caller may not read answers as an unknown one.
- while the Workspace can't be reached, owners and administrators go on; others are told that it is down.
"""

from collections.abc import Iterable, Mapping, Sequence
from enum import IntEnum, StrEnum

from bson import ObjectId

from execution_engine.config import ClientGroupSettings, Settings
from execution_engine.core.errors import EngineError, JobNotFound, PermissionDenied, WorkspaceNotFound
from execution_engine.jobs.engine import Engine
from execution_engine.jobs.identity import Admin, User
from execution_engine.kbase.permissions import Permission, WorkspaceAccess
from execution_engine.store.database import Document


class Role(StrEnum):
    """By which right somebody acts on a job; the first that applies, in this order."""

    OWNER = "owner"
    ADMIN = "admin"
    READ_ADMIN = "read_admin"
    SHAREE = "sharee"
    WORKSPACE_ADMIN = "workspace_admin"
    WORKSPACE_WRITE = "workspace_write"
    WORKSPACE_READ = "workspace_read"
    PUBLIC = "public"
    APP_OWNER = "app_owner"


_MAYBE_MORE = (Role.READ_ADMIN, Role.WORKSPACE_WRITE, Role.WORKSPACE_READ, Role.PUBLIC)


class Sight(IntEnum):
    """How much of a job somebody may see."""

    NONE = 0
    RECORD = 1
    ALL = 2


MAY_SHARE = frozenset({Role.OWNER, Role.ADMIN})
_OF_ADMIN = {Admin.FULL: Role.ADMIN, Admin.READ: Role.READ_ADMIN}
_OF_PERMISSION = {
    Permission.ADMIN: Role.WORKSPACE_ADMIN,
    Permission.WRITE: Role.WORKSPACE_WRITE,
    Permission.READ: Role.WORKSPACE_READ,
}


def unknown_job(job_id: ObjectId | str) -> JobNotFound:
    """The one answer for jobs that don't exist and jobs that the caller may not read."""
    return JobNotFound(f"There is no job {job_id}, or you may not read it.")


def roles(engine: Engine, user: User, jobs: Iterable[Document]) -> dict[ObjectId, Role | None]:
    """The user's role for each of the jobs, None where there is none, with at most one question to the Workspace.

    Raises:
        WorkspaceUnavailable: only the workspace's permissions could tell.
    """
    jobs = list(jobs)
    found: dict[ObjectId, Role | None] = {job["_id"]: role_by_name(user, job) for job in jobs}
    unsure = [job for job in jobs if found[job["_id"]] is None and "wsid" in job]
    if unsure:
        wsids = {job["wsid"] for job in unsure}
        permissions = engine.permissions.permissions(user.name, wsids, user.token)
        found |= {job["_id"]: _workspace_role(engine, job, permissions) for job in unsure}
    return found


def roles_or_errors(
    engine: Engine, user: User, jobs: Iterable[Document]
) -> tuple[dict[ObjectId, Role | None], dict[ObjectId, EngineError]]:
    """As :func:`roles`; where the Workspace can't tell, that is the error of those jobs alone."""
    jobs = list(jobs)
    certain = [job for job in jobs if "wsid" not in job or role_by_name(user, job)]
    found = roles(engine, user, certain)
    unsure = [job for job in jobs if job["_id"] not in found]
    try:
        return found | roles(engine, user, unsure), {}
    except EngineError as error:
        return found, {job["_id"]: error for job in unsure}


def role_by_name(user: User, job: Document) -> Role | None:
    """The role that needs no look at the workspace: owner, administrator, or named by the owner."""
    if job["user"] == user.name:
        return Role.OWNER
    if user.admin in _OF_ADMIN:
        return _OF_ADMIN[user.admin]
    return Role.SHAREE if "wsid" not in job and user.name in job.get("shared_with", ()) else None


def _workspace_role(engine: Engine, job: Document, permissions: Mapping[int, WorkspaceAccess]) -> Role | None:
    granted = permissions[job["wsid"]]
    if granted.permission in _OF_PERMISSION:
        return _OF_PERMISSION[granted.permission]
    return Role.PUBLIC if granted.public and engine.settings.public_shows_record else None


def sight_of(role: Role | None) -> Sight:
    """How much of a job a role shows."""
    if role is None:
        return Sight.NONE
    return Sight.RECORD if role == Role.PUBLIC else Sight.ALL


def sight(engine: Engine, user: User, job: Document) -> Sight:
    """How much of one job the user may see.

    Raises:
        WorkspaceUnavailable: only the workspace's permissions could tell.
    """
    return sights(engine, user, [job])[job["_id"]]


def sights(engine: Engine, user: User, jobs: Iterable[Document]) -> dict[ObjectId, Sight]:
    """As :func:`sight`, for many jobs with one question to the Workspace."""
    return {job_id: sight_of(role) for job_id, role in roles(engine, user, jobs).items()}


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
        raise only_record(job_id)
    return job


def only_record(job_id: ObjectId) -> PermissionDenied:
    """The refusal of more than the record of a job of a public workspace."""
    return PermissionDenied(f"Job {job_id} belongs to a public workspace: only its record and status are public.")


def require_control(
    engine: Engine, user: User, job: Document | None, job_id: ObjectId, act: str
) -> tuple[Document, Role]:
    """The job, and by which right the user may cancel it; ``act`` is the verb for the message.

    Raises:
        JobNotFound: there is none, or the user may not read it.
        PermissionDenied: the user may read it, but not ``act``.
    """
    role = roles(engine, user, [job])[job["_id"]] if job else None
    if job is None or role is None:
        raise unknown_job(job_id)
    needed = Permission.WRITE if engine.settings.cancel_needs == "write" else Permission.ADMIN
    if role in _MAYBE_MORE and "wsid" in job:
        # Who may only look as administrator may do more as anybody else; who could read may write by now.
        role = _workspace_role(engine, job, {job["wsid"]: _access(engine, user, job["wsid"], needed)})
    allowed = {Role.OWNER, Role.ADMIN, Role.WORKSPACE_ADMIN}
    if needed == Permission.WRITE:
        allowed.add(Role.WORKSPACE_WRITE)
    if role in allowed:
        return job, role
    raise PermissionDenied(
        f"You may not {act} job {job_id}: that needs its owner ({job['user']}), permission to "
        f"{engine.settings.cancel_needs} its workspace, or an administrator."
    )


def require_sharing(engine: Engine, user: User, job: Document | None, job_id: ObjectId) -> tuple[Document, Role]:
    """The job, and by which right the user may say whom it is shared with.

    Raises:
        JobNotFound: there is none, or the user may not read it.
        PermissionDenied: the user may read it, but not share it.
    """
    role = roles(engine, user, [job])[job["_id"]] if job else None
    if job is None or role is None:
        raise unknown_job(job_id)
    if role not in MAY_SHARE:
        raise PermissionDenied(
            f"You may not say whom job {job_id} is shared with: that needs its owner ({job['user']}) "
            "or an administrator."
        )
    return job, role


def require_submit(engine: Engine, user: User, wsid: int | None) -> Role:
    """By which right the user may run jobs in the workspace; without one everybody may, as the new jobs' owner.

    Raises:
        WorkspaceNotFound: it does not exist, or the user may not read it.
        PermissionDenied: the user may read it, but not write.
    """
    if wsid is None:
        return Role.OWNER
    granted = _access(engine, user, wsid, Permission.WRITE)
    if granted.permission >= Permission.WRITE:
        return _OF_PERMISSION[granted.permission]
    if granted.permission == Permission.READ or granted.public:
        raise PermissionDenied(f"You may read workspace {wsid}, but running jobs there needs permission to write it.")
    raise WorkspaceNotFound(
        f"There is no workspace {wsid}, or you may not use it; running jobs there needs permission to write it."
    )


def may_choose(user: User, group: ClientGroupSettings) -> bool:
    """Whether the user may run jobs in the client group, whatever the app."""
    admitted = {"*", user.name, *(f"role:{role}" for role in user.roles)}
    return user.admin == Admin.FULL or not admitted.isdisjoint(group.open_to)


def open_groups(settings: Settings, user: User) -> list[ClientGroupSettings]:
    """The client groups that the user may choose, the default one first."""
    groups = [group for group in settings.client_groups.values() if may_choose(user, group)]
    return sorted(groups, key=lambda group: group.name != settings.default_client_group)


def require_read_workspaces(engine: Engine, user: User, wsids: Sequence[int]) -> dict[int, Sight]:
    """How much of each workspace's jobs the user may see, of every one at least something.

    Raises:
        WorkspaceNotFound: some do not exist, or the user may not read them; the message names them.
        WorkspaceUnavailable
    """
    if user.admin >= Admin.READ:
        return dict.fromkeys(wsids, Sight.ALL)
    granted = engine.permissions.permissions(user.name, wsids, user.token)
    seen = {wsid: _workspace_sight(engine, granted[wsid]) for wsid in wsids}
    if refused := [wsid for wsid, sight in seen.items() if sight == Sight.NONE]:
        named = f"is no workspace {refused[0]}" if len(refused) == 1 else f"are no workspaces {_listed(refused)}"
        them = "it" if len(refused) == 1 else "them"
        raise WorkspaceNotFound(f"There {named}, or you may not read {them}.", wsids=refused)
    return seen


def _listed(numbers: Iterable[int]) -> str:
    return ", ".join(str(number) for number in numbers)


def _workspace_sight(engine: Engine, granted: WorkspaceAccess) -> Sight:
    if granted.permission >= Permission.READ:
        return Sight.ALL
    return Sight.RECORD if granted.public and engine.settings.public_shows_record else Sight.NONE


def _access(engine: Engine, user: User, wsid: int, needed: Permission) -> WorkspaceAccess:
    return engine.permissions.permissions(user.name, [wsid], user.token, needed)[wsid]
