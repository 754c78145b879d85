"""Where jobs go: the backends of each client group as configured, and the routes that administrators set over them.

A route is about an app (a method), a user, both, or all jobs of a client group; the first two may be for one client
group only. The most specific that fits a job decides: app and user, app, user, client group; of two that are equal in
this, the one that names the job's client group. Where none fits, the configuration decides.

Backends that the configuration does not have are passed over, and so is a route that names no others.
"""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from execution_engine.config import Settings
from execution_engine.jobs.limits import canonical
from execution_engine.kbase.cache import SingleFlightCache
from execution_engine.store.database import Document
from execution_engine.store.routes import RouteStore

FRESH_SECONDS = 1.0
"""How old the routes may be that a job is handed out by."""


class Subject(NamedTuple):
    """Which jobs a route is about; None: whatever they have there."""

    client_group: str | None
    method: str | None
    user: str | None

    @property
    def rank(self) -> tuple[bool, bool, bool]:
        """The greater, the more specific."""
        return self.method is not None, self.user is not None, self.client_group is not None

    @classmethod
    def of(cls, record: Document) -> "Subject":
        """From a route, as it is stored or asked for."""
        method = record.get("method")
        return cls(record.get("client_group"), method and canonical(method), record.get("user"))


class Routing:
    """The configuration's lists and the routes, as they were at one moment. Fast: made for every waiting job."""

    def __init__(self, settings: Settings, routes: Iterable[Document]) -> None:
        self._known = settings.backends.keys()
        self._configured = {name: group.backends for name, group in settings.client_groups.items()}
        self._routes = {Subject.of(route): tuple(route["backends"]) for route in routes}
        usable = {subject: tuple(it for it in named if it in self._known) for subject, named in self._routes.items()}
        self._usable = {subject: backends for subject, backends in usable.items() if backends}

    def backends(self, client_group: str, user: str, method: str) -> tuple[str, ...]:
        """The names of the backends that may take such a job, best first.

        All of them are in the configuration; none, if the client group is not.
        """
        if not self._usable or client_group not in self._configured:
            return self._configured.get(client_group, ())
        for subject in _subjects(client_group, user, method):
            if subject in self._usable:
                return self._usable[subject]
        return self._configured[client_group]

    def passed_over(self, client_group: str, user: str, method: str) -> list[str]:
        """The backends of the routes that would decide about such a job, if the configuration had any of them."""
        names: list[str] = []
        if not self._routes or client_group not in self._configured:
            return names
        for subject in _subjects(client_group, user, method):
            if subject in self._usable:
                break
            names += self._routes.get(subject, ())
        return list(dict.fromkeys(names))


def _subjects(client_group: str, user: str, method: str) -> Iterator[Subject]:
    """All that a route for such a job may be about, the most specific first."""
    method = canonical(method)
    for about in ((method, user), (method, None), (None, user), (None, None)):
        yield Subject(client_group, *about)
        yield Subject(None, *about)


class RoutingReader:
    """Reads the routing; all that ask within FRESH_SECONDS share it."""

    def __init__(self, settings: Settings, routes: RouteStore) -> None:
        self._settings = settings
        self._routes = routes
        self._read: SingleFlightCache[None, Routing] = SingleFlightCache(ttl=FRESH_SECONDS, max_size=1)

    def read(self) -> Routing:
        """The routing, FRESH_SECONDS old at most."""
        return self._read.get(None, lambda: Routing(self._settings, self._routes.all()))
