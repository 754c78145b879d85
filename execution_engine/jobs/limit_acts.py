"""Setting and removing limits (what they mean: module limits).

Administrators set any. The owners of a module, as the Catalog names them, may set the run time of its methods: a limit
of their own beside that of the administrators, and not above it. The lower one counts, so theirs can only lower.
"""

from dataclasses import replace

from execution_engine.core.clock import now
from execution_engine.core.errors import (
    AppNotFound,
    Busy,
    ClientGroupNotFound,
    InvalidParams,
    LimitNotFound,
    PermissionDenied,
    UserNotFound,
)
from execution_engine.jobs.access import Role
from execution_engine.jobs.audit import Act, note
from execution_engine.jobs.engine import Engine
from execution_engine.jobs.identity import Admin, User
from execution_engine.jobs.limits import Kind, Target, target_of
from execution_engine.store.database import Document

_ROUNDS = 20


def set_limit(engine: Engine, user: User, asked: Document) -> Document:
    """Set a limit, in place of the one for the same target; the limit as it is kept, known to every process.

    Raises:
        InvalidParams: there are no such limits, or the value makes no sense.
        PermissionDenied, ClientGroupNotFound, UserNotFound
        AuthUnavailable, CatalogUnavailable: something could not be checked.
    """
    target, role = _changeable(engine, user, asked, "set")
    value: int = asked["value"]
    if target.kind == Kind.RUN_TIME and value < 1:
        raise InvalidParams(f"params.value is {value}; a run time is at least 1 second.")
    _require_known(engine, user, target)
    if target.by_owner:
        _require_not_above(engine, target, value)
    limit = target.fields() | {"value": value, "set_by": user.name, "set_at": now()}
    if "reason" in asked:
        limit["reason"] = asked["reason"]
    for _ in range(_ROUNDS):
        held = engine.limits.value(target.name)
        before = None if held is None else {"value": held}
        said = note(
            Act.SET_LIMIT,
            user,
            role,
            before=before,
            after={"value": value},
            reason=asked.get("reason"),
            subject=target.words,
        )
        if engine.limits.put(target.name, held, limit, said):
            engine.limit_reader.wait_for_all()
            return limit
    raise _busy(target)


def remove_limit(engine: Engine, user: User, asked: Document) -> Document:
    """Take a limit away; as it was.

    Raises:
        InvalidParams: there are no such limits.
        LimitNotFound: there is none for exactly this target.
        PermissionDenied
        CatalogUnavailable: whose the method is could not be checked.
    """
    target, role = _changeable(engine, user, asked, "removed")
    for _ in range(_ROUNDS):
        held = engine.limits.get(target.name)
        if held is None:
            raise LimitNotFound(f"There is no {target.words}; get_limits lists those that there are.")
        said = note(
            Act.REMOVE_LIMIT,
            user,
            role,
            before={"value": held["value"]},
            reason=asked.get("reason"),
            subject=target.words,
        )
        if engine.limits.remove(target.name, held["value"], said):
            engine.limit_reader.wait_for_all()
            return held
    raise _busy(target)


def _changeable(engine: Engine, user: User, asked: Document, done: str) -> tuple[Target, Role]:
    """The target, and by which right the user may change its limit."""
    target = target_of(asked)
    if user.admin == Admin.FULL:
        return target, Role.ADMIN
    if target.method is None or target.user is not None:
        raise PermissionDenied(f"A {target.words} is {done} by full administrators only.")
    module = target.method.partition(".")[0]
    if user.name not in _owners(engine, module):
        raise PermissionDenied(
            f"A {target.words} is {done} by full administrators and by the owners of the module {module}."
        )
    return replace(target, by_owner=True), Role.APP_OWNER


def _owners(engine: Engine, module: str) -> tuple[str, ...]:
    try:
        return engine.modules.owners(module)
    except AppNotFound:
        return ()


def _require_known(engine: Engine, user: User, target: Target) -> None:
    groups = engine.settings.client_groups
    if target.client_group is not None and target.client_group not in groups:
        raise ClientGroupNotFound(
            f"params.client_group: there is no client group {target.client_group!r}; "
            f"there are {', '.join(sorted(groups))}."
        )
    if target.user is not None and target.user not in engine.tokens.users(user.token, [target.user]):
        raise UserNotFound(f"params.user: the Auth service knows no {target.user}.")


def _require_not_above(engine: Engine, target: Target, value: int) -> None:
    """So that owners are told; were it written all the same, the lower limit would count."""
    allowed = engine.limits.value(replace(target, by_owner=False).name)
    if allowed is not None and value > allowed:
        raise InvalidParams(
            f"params.value is {value:,}; the administrators let {target.method} run for {allowed:,} seconds. "
            "The owners of its module may lower that, not raise it."
        )


def _busy(target: Target) -> Busy:
    return Busy(f"The {target.words} is just being changed by others; try again.")
