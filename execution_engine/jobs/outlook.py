"""What waiting jobs can hope for: whether a dispatcher is at work, and which backends are up."""

import datetime as dt
from typing import NamedTuple

from execution_engine.core.clock import now
from execution_engine.store.backends import BackendStore
from execution_engine.store.coalesce import Coalescer
from execution_engine.store.database import Document
from execution_engine.store.leases import LeaseStore

DISPATCH_LEASE = "dispatch"
_CLOCK_SKEW = dt.timedelta(seconds=5)


class Outlook(NamedTuple):
    """``backends``: the last report of each by name."""

    dispatching: bool
    backends: dict[str, Document]


class OutlookReader:
    """Reads the outlook, once for all who ask at the same time: it is the same for every waiting job."""

    def __init__(self, backends: BackendStore, leases: LeaseStore) -> None:
        self._backends = backends
        self._leases = leases
        self._reads: Coalescer[None, Outlook] = Coalescer(self._load)

    def read(self) -> Outlook:
        """The outlook now."""
        return self._reads.get_many([None])[None]

    def _load(self, _: list[None]) -> dict[None, Outlook]:
        dispatching = self._leases.is_held(DISPATCH_LEASE, now() - _CLOCK_SKEW)
        return {None: Outlook(dispatching, self._backends.all())}
