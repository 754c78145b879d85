"""Looks that many share: each is believed for a second, and for longer where looking takes long."""

import time
from collections.abc import Callable
from typing import Generic, NamedTuple, TypeVar

from execution_engine.kbase.cache import SingleFlightCache

BELIEVED_SECONDS, LONGEST_SECONDS = 1.0, 60.0
SHARE = 20
"""A look is believed for so many times as long as it took: it costs a twentieth of the database's time at most."""

K = TypeVar("K")
T = TypeVar("T")


class _Look(NamedTuple, Generic[T]):
    found: T
    seconds: float


class Looks(Generic[K, T]):
    """By key; those who ask for the same at the same time share one look."""

    def __init__(self, max_size: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._cache: SingleFlightCache[K, _Look[T]] = SingleFlightCache(
            ttl=lambda look: min(max(BELIEVED_SECONDS, look.seconds * SHARE), LONGEST_SECONDS),
            max_size=max_size,
            clock=clock,
        )

    def get(self, key: K, look: Callable[[], T]) -> T:
        """What a look finds, or one that is still believed has found."""

        def timed() -> _Look[T]:
            begun = self._clock()
            return _Look(look(), self._clock() - begun)

        return self._cache.get(key, timed).found
