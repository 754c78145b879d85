"""Administrators drain a backend (it takes no new jobs, those that it has go on) and let it take jobs again."""

from execution_engine.core.clock import now
from execution_engine.core.errors import BackendNotFound, InvalidParams
from execution_engine.jobs.access import Role
from execution_engine.jobs.audit import Act, note
from execution_engine.jobs.backend_states import DRAINING, UP
from execution_engine.jobs.engine import Engine
from execution_engine.jobs.identity import User
from execution_engine.store.database import Document


def set_backend_state(engine: Engine, user: User, name: str, state: str, reason: str | None) -> Document | None:
    """Drain a backend or let it take jobs; since when, by whom and why it is drained afterwards, None: it is not.

    ``state``: up or draining. A second order to drain replaces who and why, not since when. The dispatcher reads the
    order within a second or two.

    Raises:
        BackendNotFound: the configuration names no such backend.
        InvalidParams: there is no reason to drain it.
    """
    if name not in engine.settings.backends:
        raise BackendNotFound(f"There is no backend {name}; expected one of {', '.join(engine.settings.backends)}.")
    reason = (reason or "").strip()
    if state == DRAINING and not reason:
        raise InvalidParams("params.reason is missing: say why; people whose jobs wait for the backend are told.")
    while True:
        held = engine.backends.get_drained(name)
        wanted = _wanted(held, user, reason) if state == DRAINING else None
        if wanted == held or engine.backends.set_drained(name, held, wanted, _note(user, name, held, wanted, reason)):
            return wanted


def _wanted(held: Document | None, user: User, reason: str) -> Document:
    if held and held["reason"] == reason:
        return held
    return {"since": held["since"] if held else now(), "by": user.name, "reason": reason}


def _note(user: User, name: str, held: Document | None, wanted: Document | None, reason: str) -> Document:
    return note(
        Act.SET_BACKEND_STATE,
        user,
        Role.ADMIN,
        before=_said(held),
        after=_said(wanted),
        reason=reason or None,
        subject=f"backend {name}",
    )


def _said(drained: Document | None) -> Document:
    return {"state": DRAINING, "reason": drained["reason"]} if drained else {"state": UP}
