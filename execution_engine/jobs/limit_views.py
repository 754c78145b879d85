"""Showing limits: to administrators all, to everybody those that apply to them, with what they use of them."""

from collections.abc import Iterator

from execution_engine.core.errors import PermissionDenied
from execution_engine.jobs.engine import Engine
from execution_engine.jobs.identity import Admin, User
from execution_engine.jobs.limits import Bound, Kind, Limits, Target, target_of
from execution_engine.store.database import Document

_SAID = ("set_by", "set_at", "reason")


def get_limits(engine: Engine, user: User, name: str | None) -> list[Document]:
    """All limits, or those that apply to the user ``name``; others than administrators see the latter, of themselves.

    Raises:
        PermissionDenied: somebody else's, and the caller is no administrator.
    """
    limits = Limits(engine.limits.all())
    if user.admin >= Admin.READ:
        return _all(engine, limits) if name is None else list(_applying(engine, limits, name, _SAID))
    if name not in (None, user.name):
        raise PermissionDenied(f"The limits of {name} are shown to {name} and to administrators.")
    return list(_applying(engine, limits, user.name, ()))


def _all(engine: Engine, limits: Limits) -> list[Document]:
    return [
        _shown(limits, target, _SAID) | _use_of(engine, target)
        for target in sorted(map(target_of, limits.records.values()), key=lambda target: target.name)
    ]


def _use_of(engine: Engine, target: Target) -> Document:
    """Of a limit for nobody in particular each user has a use of their own."""
    if target.each_user or target.kind == Kind.RUN_TIME:
        return {}
    if target.kind == Kind.QUEUED:
        return {"in_use": engine.jobs.submissions.count_waiting(str(target.user))}
    return {"in_use": engine.limit_reader.in_use()[target.counter]}


def _applying(engine: Engine, limits: Limits, user: str, said: tuple[str, ...]) -> Iterator[Document]:
    in_use = engine.limit_reader.in_use()
    bounds: dict[str, Bound] = {}
    for group in sorted(engine.settings.client_groups):
        bounds |= {bound.counter: bound for bound in limits.running(user, group)}
    for bound in bounds.values():
        yield _shown(limits, bound.target, said) | {"in_use": in_use[bound.counter]}
    if queued := limits.queued(user):
        yield _shown(limits, queued.target, said) | {"in_use": engine.jobs.submissions.count_waiting(user)}
    for target in map(target_of, limits.records.values()):
        if target.kind == Kind.RUN_TIME and target.user in (None, user):
            yield _shown(limits, target, said)


def _shown(limits: Limits, target: Target, said: tuple[str, ...]) -> Document:
    record = limits.records[target.name]
    return target.fields() | {name: record[name] for name in ("value", *said) if name in record}
