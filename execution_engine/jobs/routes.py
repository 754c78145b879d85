"""Setting, removing and showing routes (what they mean: module routing)."""

from execution_engine.core.clock import now
from execution_engine.core.errors import (
    BackendNotFound,
    Busy,
    ClientGroupNotFound,
    InvalidParams,
    RouteNotFound,
    UserNotFound,
)
from execution_engine.jobs.access import Role
from execution_engine.jobs.audit import Act, note
from execution_engine.jobs.engine import Engine
from execution_engine.jobs.identity import User
from execution_engine.jobs.limits import canonical
from execution_engine.jobs.routing import Subject
from execution_engine.store.database import Document
from execution_engine.store.routes import SUBJECTS

_ROUNDS = 20


def set_route(engine: Engine, user: User, asked: Document) -> Document:
    """Send the jobs that the route is about to these backends from now on; the route as it is kept.

    Jobs that are with a backend stay there.

    Raises:
        InvalidParams: it is about nothing.
        BackendNotFound, ClientGroupNotFound, UserNotFound
        AuthUnavailable: it is about a user, who can't be looked up.
    """
    subject = _subject(asked)
    known = engine.settings.backends
    if unknown := [name for name in asked["backends"] if name not in known]:
        raise BackendNotFound(
            f"params.backends: there is no backend {', '.join(map(repr, unknown))}; there are {', '.join(known)}."
        )
    _require_known(engine, user, subject)
    route: Document = {"backends": list(dict.fromkeys(asked["backends"])), "set_by": user.name, "set_at": now()}
    if "reason" in asked:
        route["reason"] = asked["reason"]
    _write(engine, user, Act.SET_ROUTE, subject, route, asked.get("reason"))
    return subject | route


def remove_route(engine: Engine, user: User, asked: Document) -> Document:
    """Take a route back; as it was.

    Raises:
        InvalidParams: it is about nothing.
        RouteNotFound: no route is about exactly this.
    """
    return _write(engine, user, Act.REMOVE_ROUTE, _subject(asked), None, asked.get("reason"))


def get_routes(engine: Engine) -> list[Document]:
    """All routes, the most specific first, each with its backends that are ``missing`` in the configuration."""
    routes = engine.routes.all()
    for route in routes:
        if missing := [name for name in route["backends"] if name not in engine.settings.backends]:
            route["missing"] = missing
    routes.sort(key=lambda route: [str(route.get(name, "")) for name in SUBJECTS])
    return sorted(routes, key=lambda route: Subject.of(route).rank, reverse=True)


def _subject(asked: Document) -> Document:
    subject = {name: asked[name] for name in SUBJECTS if name in asked}
    if not subject:
        raise InvalidParams(f"params: a route is about at least one of {', '.join(SUBJECTS)}; none of them is given.")
    if "method" in subject:
        subject["method"] = canonical(subject["method"])
    return subject


def _require_known(engine: Engine, user: User, subject: Document) -> None:
    groups = engine.settings.client_groups
    if "client_group" in subject and subject["client_group"] not in groups:
        raise ClientGroupNotFound(
            f"params.client_group: there is no client group {subject['client_group']!r}; "
            f"there are {', '.join(sorted(groups))}."
        )
    if "user" in subject and subject["user"] not in engine.tokens.users(user.token, [subject["user"]]):
        raise UserNotFound(f"params.user: the Auth service knows no {subject['user']}.")


def _write(
    engine: Engine, user: User, act: Act, subject: Document, route: Document | None, reason: str | None
) -> Document:
    """Write it in the place of what is there, whoever else writes at the same time; what was there."""
    about = "route " + ", ".join(f"{name} {value}" for name, value in subject.items())
    for _ in range(_ROUNDS):
        held = engine.routes.get(subject)
        before = {"backends": held["backends"]} if held and "backends" in held else None
        if route is None and before is None:
            raise RouteNotFound(f"There is no {about}; get_routes lists those that there are.")
        after = {"backends": route["backends"]} if route else None
        said = note(act, user, Role.ADMIN, before=before, after=after, reason=reason, subject=about)
        if engine.routes.write(subject, held, route, said):
            return held or {}
    raise Busy(f"The {about} is just being changed by others; try again.")
