"""What waiting jobs can hope for: whether a dispatcher is at work, and which backends are up."""

import datetime as dt
from typing import NamedTuple

from execution_engine.core.clock import EPOCH, now
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
    """Reads the outlook, once for all who ask at the same time: it is the same for every waiting job.

    A lease that is held until a time is taken to be held until then: a dispatcher that stops of its own accord is
    missed as late as one that was killed.
    """

    def __init__(self, backends: BackendStore, leases: LeaseStore) -> None:
        self._backends = backends
        self._leases = leases
        self._held_until = EPOCH
        self._reads: Coalescer[None, Outlook] = Coalescer(self._load)

    def read(self) -> Outlook:
        """The outlook now."""
        return self._reads.get_many([None])[None]

    def _load(self, _: list[None]) -> dict[None, Outlook]:
        time = now() - _CLOCK_SKEW
        if self._held_until <= time:
            self._held_until = self._leases.held_until(DISPATCH_LEASE)
        return {None: Outlook(self._held_until > time, self._backends.all())}
