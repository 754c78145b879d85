"""Is what the engine depends on well?"""

from pymongo.errors import PyMongoError

from execution_engine.core.clock import now
from execution_engine.jobs.backend_states import state_of
from execution_engine.jobs.engine import Engine
from execution_engine.jobs.holds import DISPATCH_LEASE
from execution_engine.store.database import Document


def dependencies(engine: Engine) -> dict[str, Document]:
    """``{state, message}`` by dependency: the database, the dispatcher, each backend as last reported."""
    try:
        reports = engine.backends.all()
        dispatching = engine.leases.is_held(DISPATCH_LEASE, now())
    except PyMongoError:
        return {"database": _state("down", "The database can't be reached.")}
    states = {
        "database": _state("up", "answers"),
        "dispatcher": _state("up", "runs") if dispatching else _state("down", "No dispatcher is running."),
    }
    for name in engine.settings.backends:
        found = state_of(reports.get(name))
        states[f"backend {name}"] = _state(found.state, found.message)
    return states


def _state(state: str, message: str) -> Document:
    return {"state": state, "message": message}
