"""set_backend_state."""

from execution_engine.api.callers import Rules
from execution_engine.api.views import with_ms
from execution_engine.jobs.draining import set_backend_state
from execution_engine.jobs.engine import Engine
from execution_engine.jobs.identity import User
from execution_engine.rpc.registry import Registry
from execution_engine.store.database import Document


def register(registry: Registry, engine: Engine, rules: Rules) -> None:
    """Bind the methods of this module."""

    def set_state(user: User, params: Document) -> Document:
        name, state = params["backend"], params["state"]
        drained = set_backend_state(engine, user, name, state, params.get("reason"))
        return {"backend": name, "state": state} | with_ms(drained or {})

    registry.add("set_backend_state", set_state, rules.full_administrator)
