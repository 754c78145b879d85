"""set_limit, remove_limit, get_limits."""

from execution_engine.api.callers import Rules
from execution_engine.api.views import with_ms
from execution_engine.jobs import limit_acts, limit_views
from execution_engine.jobs.engine import Engine
from execution_engine.jobs.identity import User
from execution_engine.rpc.registry import Registry
from execution_engine.store.database import Document


def register(registry: Registry, engine: Engine, rules: Rules) -> None:
    """Bind the methods of this module."""

    def set_limit(user: User, params: Document) -> Document:
        return with_ms(limit_acts.set_limit(engine, user, params))

    def remove_limit(user: User, params: Document) -> Document:
        held = limit_acts.remove_limit(engine, user, params)
        return with_ms({name: value for name, value in held.items() if name != "_id"})

    def get_limits(user: User, params: Document) -> Document:
        return {"limits": [with_ms(limit) for limit in limit_views.get_limits(engine, user, params.get("user"))]}

    registry.add("set_limit", set_limit, rules.limiter)
    registry.add("remove_limit", remove_limit, rules.limiter)
    registry.add("get_limits", get_limits, rules.user)
