"""Look-ups by key that come at the same time go to the database as one.

A single look-up costs the driver far more than one more key in a query. So the first caller asks alone; keys that
arrive while it waits are asked for together by the next one. Nobody waits on a timer, and nobody is given what was read
before they asked.
"""

import threading
from collections.abc import Callable, Iterable, Mapping
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class _Ask(Generic[K, V]):
    """One caller's keys and answer; ``turn`` is held until the answer is there or the caller has to lead."""

    __slots__ = ("error", "keys", "leads", "turn", "values")

    def __init__(self, keys: list[K]) -> None:
        self.keys = keys
        self.values: dict[K, V] = {}
        self.error: BaseException | None = None
        self.leads = False
        # A bare lock, because an Event costs more than all the rest here.
        self.turn = threading.Lock()
        self.turn.acquire()


class Coalescer(Generic[K, V]):
    """Answers look-ups through ``load``, which takes many keys and leaves unknown ones out.

    Callers that ask for the same key share the value: they must not change it.
    """

    def __init__(self, load: Callable[[list[K]], Mapping[K, V]]) -> None:
        self._load = load
        self._lock = threading.Lock()
        self._waiting: list[_Ask[K, V]] = []
        self._busy = False

    def get(self, key: K) -> V | None:
        """The value, or None. Raises what ``load`` raises."""
        return self.get_many([key]).get(key)

    def get_many(self, keys: Iterable[K]) -> dict[K, V]:
        """The values by key; unknown keys are left out. Raises what ``load`` raises."""
        ask: _Ask[K, V] = _Ask(list(keys))
        if not ask.keys:
            return {}
        with self._lock:
            ask.leads = not self._busy
            self._busy = True
            self._waiting.append(ask)
        if not ask.leads:
            ask.turn.acquire()
        if ask.leads:
            self._lead()
        if ask.error is not None:
            raise ask.error
        return ask.values

    def _lead(self) -> None:
        with self._lock:
            batch, self._waiting = self._waiting, []
        try:
            values = self._load(list({key for ask in batch for key in ask.keys}))
            for ask in batch:
                ask.values = {key: values[key] for key in ask.keys if key in values}
        except BaseException as error:  # noqa: BLE001  every caller is given it, none may be left waiting
            for ask in batch:
                ask.error = error
        self._pass_on()
        for ask in batch:
            if not ask.leads:
                ask.turn.release()

    def _pass_on(self) -> None:
        with self._lock:
            if not self._waiting:
                self._busy = False
                return
            heir = self._waiting[0]
            heir.leads = True
        heir.turn.release()
