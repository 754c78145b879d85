"""get_queue."""

from execution_engine.api.callers import Rules
from execution_engine.api.views import place_view
from execution_engine.core.clock import to_ms
from execution_engine.jobs.engine import Engine
from execution_engine.jobs.identity import User
from execution_engine.jobs.queue.overview import GroupQueue, find_queue
from execution_engine.rpc.registry import Registry
from execution_engine.store.database import Document


def register(registry: Registry, engine: Engine, rules: Rules) -> None:
    """Bind the method of this module."""

    def get_queue(user: User, params: Document) -> Document:
        return _view(find_queue(engine, user, params.get("client_group")))

    registry.add("get_queue", get_queue, rules.user)


def _view(found: GroupQueue) -> Document:
    view: Document = {
        "client_group": found.client_group,
        "waiting": found.waiting,
        "inside": found.inside,
        "running": found.running,
        "users": found.users,
        "mine": [{"job_id": str(job_id), "place": place_view(place)} for job_id, place in found.mine],
        "next": place_view(found.next),
    }
    if found.oldest is not None:
        view["oldest"] = to_ms(found.oldest)
    if found.closed is not None:
        view["closed"] = found.closed
    return view if found.people is None else view | {"people": found.people}
