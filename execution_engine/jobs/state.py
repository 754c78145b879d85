"""Is what the engine depends on well?"""

import datetime as dt

from pymongo.errors import PyMongoError

from execution_engine.core.clock import now
from execution_engine.jobs.engine import Engine
from execution_engine.jobs.holds import DISPATCH_LEASE
from execution_engine.store.database import Document

_STALE = dt.timedelta(seconds=60)


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
        states[f"backend {name}"] = _backend(reports.get(name))
    return states


def _backend(report: Document | None) -> Document:
    if report is None:
        return _state("down", "The dispatcher has not reported it yet.")
    if now() - report["at"] > _STALE:
        return _state("down", f"Last reported at {report['at']:%Y-%m-%d %H:%M:%S} UTC.")
    return _state(report["state"], report.get("reason") or report["notice"] or "answers")


def _state(state: str, message: str) -> Document:
    return {"state": state, "message": message}
