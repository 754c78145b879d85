"""set_route, remove_route, get_routes."""

from execution_engine.api.callers import Rules
from execution_engine.api.views import with_ms
from execution_engine.jobs import routes
from execution_engine.jobs.engine import Engine
from execution_engine.jobs.identity import User
from execution_engine.rpc.registry import Registry
from execution_engine.store.database import Document

_SHOWN = ("client_group", "method", "user", "backends", "missing", "reason", "set_by", "set_at")


def register(registry: Registry, engine: Engine, rules: Rules) -> None:
    """Bind the methods of this module."""

    def set_route(user: User, params: Document) -> Document:
        return _view(routes.set_route(engine, user, params))

    def remove_route(user: User, params: Document) -> Document:
        return _view(routes.remove_route(engine, user, params))

    def get_routes(_: User, __: Document) -> Document:
        groups = engine.settings.client_groups
        return {
            "routes": [_view(route) for route in routes.get_routes(engine)],
            "client_groups": {name: list(group.backends) for name, group in groups.items()},
        }

    registry.add("set_route", set_route, rules.full_administrator)
    registry.add("remove_route", remove_route, rules.full_administrator)
    registry.add("get_routes", get_routes, rules.administrator)


def _view(route: Document) -> Document:
    return with_ms({name: route[name] for name in _SHOWN if name in route})
