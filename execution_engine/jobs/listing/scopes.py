"""Whose jobs a list is of, and how much of them the caller sees."""

from collections.abc import Sequence
from dataclasses import dataclass

from execution_engine.core.errors import InvalidParams, PermissionDenied
from execution_engine.jobs.access import Sight, require_read_workspaces
from execution_engine.jobs.engine import Engine
from execution_engine.jobs.identity import Admin, User
from execution_engine.store.database import Document, one_of

# What the record of a public workspace's job does not show, and a filter must not tell either.
_NOT_IN_RECORD = ("words", "client_group", "backend")


@dataclass(frozen=True, slots=True)
class Part:
    """Whose jobs: of ``user``, not of ``without``, in one of ``workspaces``, shared with ``sharee``; None: any."""

    user: str | None = None
    without: str | None = None
    workspaces: Sequence[int] | None = None
    sharee: str | None = None

    def conditions(self) -> Document:
        """The same for MongoDB."""
        found: Document = {}
        if self.user is not None:
            found["user"] = self.user
        elif self.without is not None:
            found["user"] = {"$ne": self.without}
        if self.workspaces is not None:
            found["wsid"] = one_of(self.workspaces)
        if self.sharee is not None:
            found["shared_with"] = self.sharee
        return found


@dataclass(frozen=True, slots=True)
class Scope:
    """The jobs of all ``parts``, of which no two have a job in common.

    ``record_only``: those of the workspaces of whose jobs the caller sees nothing but the record.
    """

    parts: Sequence[Part]
    record_only: frozenset[int] = frozenset()

    def sight(self, job: Document, reader: str) -> Sight:
        """How much of one of the list's jobs ``reader`` sees."""
        return Sight.RECORD if job.get("wsid") in self.record_only and job["user"] != reader else Sight.ALL


def scope_name(params: Document) -> str:
    """The scope that is meant: a workspace without a scope means that workspace."""
    return str(params.get("scope", "workspace" if _asked_workspaces(params) else "mine"))


def resolve_scope(engine: Engine, user: User, params: Document) -> Scope:
    """The scope, as the user may see it now; asked again for every page, so that revoked access ends with the next one.

    Raises:
        InvalidParams: parameters that contradict each other.
        PermissionDenied: the scope all without being administrator; a filter on what is not public.
        WorkspaceNotFound: a workspace that does not exist or that the user may not read; the message names all such.
        WorkspaceUnavailable: the Workspace alone could tell.
    """
    return _RESOLVE[scope_name(params)](engine, user, params)


def _asked_workspaces(params: Document) -> list[int]:
    return sorted({*params.get("wsids", []), *([params["wsid"]] if "wsid" in params else [])})


def _mine(_engine: Engine, user: User, params: Document) -> Scope:
    if params.get("user", user.name) != user.name:
        raise InvalidParams(
            f"params.user is {params['user']!r}, but the scope mine has only the jobs of {user.name}; "
            "expected another scope, or no user."
        )
    return Scope([Part(user=user.name, workspaces=_asked_workspaces(params) or None)])


def _shared(engine: Engine, user: User, params: Document) -> Scope:
    if _asked_workspaces(params):
        raise InvalidParams("params.wsid does not go with the scope shared; expected the scope workspace.")
    readable = engine.permissions.readable_workspaces(user.token)
    whose = params.get("user")
    if whose == user.name:
        return Scope([])  # the own jobs are what this scope is without
    # A job is shared with people by name only while it has no workspace, so it is in one of the two.
    by_name = Part(user=whose, sharee=user.name)
    return Scope([by_name, Part(user=whose, without=user.name, workspaces=readable)] if readable else [by_name])


def _workspace(engine: Engine, user: User, params: Document) -> Scope:
    asked = _asked_workspaces(params)
    if not asked:
        raise InvalidParams("params.wsid is missing; the scope workspace needs it, or wsids.")
    seen = require_read_workspaces(engine, user, asked)
    record_only = frozenset(wsid for wsid, sight in seen.items() if sight == Sight.RECORD)
    if record_only and (hidden := [name for name in _NOT_IN_RECORD if name in params]):
        raise PermissionDenied(
            f"params.{hidden[0]} looks at what is not public: of the jobs of workspace "
            f"{', '.join(map(str, sorted(record_only)))} you may see record and status."
        )
    return Scope([Part(user=params.get("user"), workspaces=asked)], record_only)


def _all(_engine: Engine, user: User, params: Document) -> Scope:
    if user.admin < Admin.READ:
        raise PermissionDenied("The scope all is for administrators; expected mine, shared or workspace.")
    return Scope([Part(user=params.get("user"), workspaces=_asked_workspaces(params) or None)])


_RESOLVE = {"mine": _mine, "shared": _shared, "workspace": _workspace, "all": _all}
