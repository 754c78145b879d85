"""get_resources, get_usage, set_backend_state."""

from execution_engine.api.callers import Rules
from execution_engine.api.views import with_ms
from execution_engine.jobs.draining import set_backend_state
from execution_engine.jobs.engine import Engine
from execution_engine.jobs.identity import Admin, User
from execution_engine.jobs.resources import backend_resources, group_resources
from execution_engine.jobs.usage import usage
from execution_engine.rpc.registry import Registry
from execution_engine.store.database import Document


def register(registry: Registry, engine: Engine, rules: Rules) -> None:
    """Bind the methods of this module."""

    def get_resources(user: User, _: Document) -> Document:
        result: Document = {"groups": [with_ms(group) for group in group_resources(engine)]}
        if user.admin >= Admin.READ:
            result["backends"] = [with_ms(backend) for backend in backend_resources(engine)]
        return result

    def get_usage(user: User, _: Document) -> Document:
        everybody = usage(engine)
        mine = [numbers for numbers in everybody if numbers["user"] == user.name]
        return {"mine": mine, "people": everybody} if user.admin >= Admin.READ else {"mine": mine}

    def set_state(user: User, params: Document) -> Document:
        name, state = params["backend"], params["state"]
        drained = set_backend_state(engine, user, name, state, params.get("reason"))
        return {"backend": name, "state": state} | with_ms(drained or {})

    registry.add("get_resources", get_resources, rules.user)
    registry.add("get_usage", get_usage, rules.user)
    registry.add("set_backend_state", set_state, rules.full_administrator)
