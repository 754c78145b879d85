"""How a backend is, from its record (store/backends.py), in words for people."""

import datetime as dt
from typing import NamedTuple

from execution_engine.core.clock import now
from execution_engine.store.database import Document

UP, DRAINING, DOWN = "up", "draining", "down"
_STALE = dt.timedelta(seconds=60)


class BackendState(NamedTuple):
    """``state``: up, draining or down; ``since`` when, None where nobody knows."""

    state: str
    message: str
    since: dt.datetime | None = None


def state_of(record: Document | None) -> BackendState:
    """The state of a backend; an old report says nothing but that."""
    if record is None or "state" not in record:
        return BackendState(DOWN, "The dispatcher has not reported it yet.")
    if now() - record["at"] > _STALE:
        return BackendState(DOWN, f"Last reported at {_time(record['at'])}.", record["at"])
    if obstacle := obstacle_of(record):
        return obstacle
    return BackendState(UP, record["notice"] or "answers", record.get("since"))


def obstacle_of(record: Document | None) -> BackendState | None:
    """Why the backend is handed no jobs, as far as its record tells; None: nothing speaks against it."""
    if record is None:
        return None
    if record.get("state") == DOWN:
        return BackendState(DOWN, record.get("reason", "no reason given"), record.get("since"))
    if drained := record.get("drained"):
        words = f"It takes no new jobs since {_time(drained['since'])} by {drained['by']}: {drained['reason']}"
        return BackendState(DRAINING, words, drained["since"])
    return None


def _time(time: dt.datetime) -> str:
    return f"{time:%Y-%m-%d %H:%M:%S} UTC"
