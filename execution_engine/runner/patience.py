"""Repeating a call until the engine answers."""

from __future__ import annotations

import random

from .calls import Unreachable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeVar

    T = TypeVar("T")


class Backoff:
    """Seconds to wait before each repetition: doubling from ``first`` to ``most``, each between half and all of it."""

    def __init__(self, first: float = 0.2, most: float = 10.0) -> None:
        self._first = first
        self._most = most
        self._next = first

    def delay(self) -> float:
        """How long to wait now; the next time it is longer."""
        ceiling = self._next
        self._next = min(self._most, ceiling * 2)
        return ceiling * random.uniform(0.5, 1.0)  # noqa: S311 - spreads the runners' calls, hides nothing

    def reset(self) -> None:
        """Begin again with the shortest wait: the last call was answered."""
        self._next = self._first


def until_answered(call: Callable[[], T], pause: Callable[[float], object]) -> T:
    """The answer of ``call``, repeated for ever while the engine gives none; ``pause`` waits and may raise to give up.

    Raises:
        Refused: the engine's answer is an error.
    """
    backoff = Backoff()
    while True:
        try:
            return call()
        except Unreachable:
            pause(backoff.delay())
