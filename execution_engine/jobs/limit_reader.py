"""The limits, and what of them is in use, for processes that ask often and never hand out jobs."""

import time
from collections import Counter
from collections.abc import Iterable

from execution_engine.jobs.limits import Limits, counters_of
from execution_engine.kbase.cache import SingleFlightCache
from execution_engine.store.database import Document
from execution_engine.store.jobs import JobStore
from execution_engine.store.limits import LimitStore

FRESH_SECONDS = 0.5
"""How old what is answered may be."""
_MARGIN_SECONDS = 0.1


class LimitReader:
    """Reads both; all that ask within FRESH_SECONDS share one look."""

    def __init__(self, limits: LimitStore, jobs: JobStore) -> None:
        self._limits = limits
        self._jobs = jobs
        self._read: SingleFlightCache[None, Limits] = SingleFlightCache(ttl=FRESH_SECONDS, max_size=1)
        self._counted: SingleFlightCache[None, Counter[str]] = SingleFlightCache(ttl=FRESH_SECONDS, max_size=1)

    def read(self) -> Limits:
        """The limits."""
        return self._read.get(None, lambda: Limits(self._limits.all()))

    def in_use(self) -> Counter[str]:
        """How many concurrent jobs there are in each counter."""
        return self._counted.get(None, lambda: _count(self._jobs.in_flight_counts()))

    def wait_for_all(self) -> None:
        """Return once what was written before is what every process reads."""
        time.sleep(FRESH_SECONDS + _MARGIN_SECONDS)


def _count(rows: Iterable[Document]) -> Counter[str]:
    counted: Counter[str] = Counter()
    for row in rows:
        for counter in counters_of(row["user"], row["client_group"]):
            counted[counter] += row["n"]
    return counted
