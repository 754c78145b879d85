"""A cache for answers of other services: each is believed for a stated time, and asked for once at a time."""

import copy
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import CancelledError, Future
from typing import Generic, NamedTuple, TypeVar

K = TypeVar("K")
V = TypeVar("V")
T = TypeVar("T")


class _Kept(NamedTuple, Generic[T]):
    content: T
    expires: float


class SingleFlightCache(Generic[K, V]):
    """Values by key, for any number of threads of one process.

    Threads that miss the same key at the same time share one load and its outcome, also its error. Errors of the types
    in ``negative`` are kept like values, for ``negative_ttl`` seconds, in a table of their own, so that a flood of bad
    keys pushes out no good one; all other errors (a service out of reach) are forgotten at once. An answer's age counts
    from before it was asked for: what changed at the source is seen after the time to live at the latest.

    Make one after a fork, not before: threads that load do not survive it.
    """

    def __init__(
        self,
        *,
        ttl: float | Callable[[V], float],
        max_size: int,
        negative: tuple[type[Exception], ...] = (),
        negative_ttl: float = 0.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``ttl``: seconds, or a function of the value; zero or less keeps nothing. ``clock``: monotonic seconds."""
        self._ttl = ttl
        self._max_size = max_size
        self._negative = negative
        self._negative_ttl = negative_ttl
        self._clock = clock
        self._values: dict[K, _Kept[V]] = {}
        self._errors: dict[K, _Kept[Exception]] = {}
        self._flights: dict[K, Future[V]] = {}
        self._lock = threading.Lock()

    def get(self, key: K, load: Callable[[], V]) -> V:
        """The value of ``key``; ``load`` is called if none is held.

        Raises:
            Exception: whatever ``load`` raised, here or in the thread that this one waited for.
        """
        kept = self._values.get(key)
        if kept is not None and kept.expires > self._clock():
            return kept.content
        return self.get_many([key], lambda _: {key: load()})[key]

    def get_many(self, keys: Iterable[K], load: Callable[[list[K]], Mapping[K, V]]) -> dict[K, V]:
        """The values of ``keys``; those that are not held are loaded in one call, which must answer every key.

        Raises:
            Exception: as :meth:`get`; one key's error is the error of the whole.
        """
        found: dict[K, V] = {}
        missing = list(dict.fromkeys(keys))
        while missing:
            mine, others = self._board(missing, found)
            if mine:
                found.update(self._fly(mine, load))
            missing = []
            for key, flight in others.items():
                try:
                    found[key] = flight.result()
                except CancelledError:  # the thread that loaded it was stopped: take over
                    missing.append(key)
        return found

    def _board(self, keys: list[K], found: dict[K, V]) -> tuple[dict[K, Future[V]], dict[K, Future[V]]]:
        """Puts what is held into ``found``; for the rest the flights that this thread leads, and those it waits for."""
        mine: dict[K, Future[V]] = {}
        others: dict[K, Future[V]] = {}
        with self._lock:
            now = self._clock()
            for key in keys:
                value, error = self._values.get(key), self._errors.get(key)
                if value is not None and value.expires > now:
                    found[key] = value.content
                elif error is not None and error.expires > now:
                    raise copy.copy(error.content)  # a raised error holds on to the frames it went through
            for key in keys:
                if key in found:
                    continue
                if (flight := self._flights.get(key)) is not None:
                    others[key] = flight
                else:
                    mine[key] = self._flights[key] = Future()
        return mine, others

    def _fly(self, flights: dict[K, Future[V]], load: Callable[[list[K]], Mapping[K, V]]) -> dict[K, V]:
        asked = self._clock()
        try:
            loaded = load(list(flights))
            values = {key: loaded[key] for key in flights}
            kept = {key: _Kept(value, asked + self._seconds(value)) for key, value in values.items()}
        except BaseException as error:
            self._fail(flights, error, asked)
            raise
        with self._lock:
            for key, entry in kept.items():
                self._keep(self._values, key, entry)
                self._errors.pop(key, None)
                del self._flights[key]
        for key, flight in flights.items():
            flight.set_result(values[key])
        return values

    def _fail(self, flights: dict[K, Future[V]], error: BaseException, asked: float) -> None:
        with self._lock:
            for key in flights:
                if isinstance(error, self._negative):
                    self._keep(self._errors, key, _Kept(copy.copy(error), asked + self._negative_ttl))
                del self._flights[key]
        for flight in flights.values():
            if isinstance(error, Exception):
                flight.set_exception(error)
            else:  # this thread is being stopped, which is no answer for the others
                flight.cancel()

    def _seconds(self, value: V) -> float:
        return self._ttl(value) if callable(self._ttl) else self._ttl

    def _keep(self, table: dict[K, _Kept[T]], key: K, kept: _Kept[T]) -> None:
        table.pop(key, None)  # the order of the table is the order of keeping, so the first is the oldest
        if kept.expires > self._clock():
            table[key] = kept
        while len(table) > self._max_size:
            del table[next(iter(table))]
