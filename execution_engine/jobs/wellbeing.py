"""How what the engine depends on is, and since when."""

import datetime as dt
import logging
import threading
from collections.abc import Callable, Mapping

import pymongo
from pymongo.errors import PyMongoError

from execution_engine.config import Settings
from execution_engine.core.clock import now, to_ms
from execution_engine.core.errors import ConfigurationError
from execution_engine.jobs.engine import Engine
from execution_engine.jobs.lookout import Lookout
from execution_engine.jobs.state import dependencies
from execution_engine.kbase.auth import Auth
from execution_engine.kbase.cache import SingleFlightCache
from execution_engine.kbase.catalog import Catalog
from execution_engine.kbase.workspace import Workspace
from execution_engine.store.database import Document
from execution_engine.store.dependencies import DependencyStore
from execution_engine.store.schema import is_prepared, prepare

DATABASE = "database"
_BELIEVED_SECONDS = 1.0
_DATABASE_SECONDS = 2.0
_PING_SECONDS = 5.0

_log = logging.getLogger(__name__)


def service_pings(settings: Settings) -> dict[str, Callable[[], None]]:
    """How to ask KBase's services whether they are there, on connections that nobody else waits for."""
    return {
        "auth": Auth(settings.auth_url, _PING_SECONDS, connections=1).ping,
        "workspace": Workspace(settings.workspace_url, _PING_SECONDS, connections=1).ping,
        "catalog": Catalog(settings.catalog_url, _PING_SECONDS, connections=1).ping,
    }


class Wellbeing:
    """The states of database, dispatcher, backends and services: each look is shared and believed for a second."""

    def __init__(self, engine: Engine, pings: Mapping[str, Callable[[], None]]) -> None:
        self._engine = engine
        # One look more than the services: so a change is noticed in time though nobody asks.
        self._lookout = Lookout({**pings, DATABASE: self._look_at_own})
        self._store = DependencyStore(engine.database)
        self._known: dict[str, tuple[str, dt.datetime]] = {}
        self._noting = threading.Lock()
        self._looks: SingleFlightCache[str, dict[str, Document]] = SingleFlightCache(ttl=_BELIEVED_SECONDS, max_size=1)
        self._readiness: SingleFlightCache[str, str | None] = SingleFlightCache(ttl=_BELIEVED_SECONDS, max_size=1)

    def states(self) -> dict[str, Document]:
        """``{state, message, since}`` by dependency; ``since`` in milliseconds, when the state was first noticed."""
        problems = self._lookout.problems()
        states = self._own()
        for name, problem in problems.items():
            if name != DATABASE:
                state, message = ("up", "answers") if problem is None else ("down", problem)
                states[name] = {"state": state, "message": message}
        return self._with_since(states)

    def not_ready(self) -> str | None:
        """Why this process can't serve calls; None: it can. A database that is new is prepared on the way."""
        return self._readiness.get("", self._why_not_ready)

    def _own(self) -> dict[str, Document]:
        return dict(self._looks.get("", self._look))

    def _look(self) -> dict[str, Document]:
        with pymongo.timeout(_DATABASE_SECONDS):
            return dependencies(self._engine)

    def _look_at_own(self) -> None:
        self._with_since(self._own())

    def _with_since(self, states: dict[str, Document]) -> dict[str, Document]:
        reachable = states[DATABASE]["state"] == "up"
        return {
            name: state | {"since": to_ms(self._since(name, state["state"], stored=reachable and name != DATABASE))}
            for name, state in states.items()
        }

    def _since(self, name: str, state: str, *, stored: bool) -> dt.datetime:
        with self._noting:
            known = self._known.get(name)
            if known is not None and known[0] == state:
                return known[1]
            since = now()
            if stored:
                try:
                    with pymongo.timeout(_DATABASE_SECONDS):
                        since = self._store.note(name, state, since)
                except PyMongoError:
                    _log.warning("when %s came to be %s could not be written down", name, state, exc_info=True)
            if known is not None or state != "up":
                _log.warning("%s is %s", name, state, extra={"dependency": name, "state": state})
            self._known[name] = state, since
            return since

    def _why_not_ready(self) -> str | None:
        try:
            with pymongo.timeout(_DATABASE_SECONDS):
                if not is_prepared(self._engine.database):
                    prepare(self._engine.database)
        except ConfigurationError as error:
            return error.message
        except PyMongoError as error:
            _log.warning("not ready: %s", error)
            return "The database can't be used."
        return None
