"""Asks services now and then whether they answer; what was found last can be read at once."""

import logging
import threading
import time
from collections.abc import Callable, Mapping

from execution_engine.core.errors import EngineError

PAUSE_SECONDS = 10.0
FIRST_SECONDS = 3.0

_log = logging.getLogger(__name__)


class Lookout:
    """One thread for each service, from the first question on; nobody who asks waits for a service that hangs."""

    def __init__(self, pings: Mapping[str, Callable[[], None]], *, pause_seconds: float = PAUSE_SECONDS) -> None:
        """``pings``: by service, returns if it answers and raises an error with the reason if not."""
        self._pings = pings
        self._pause_seconds = pause_seconds
        self._problems: dict[str, str | None] = {}
        self._first = {name: threading.Event() for name in pings}
        self._starting = threading.Lock()
        self._started = False

    def problems(self) -> dict[str, str | None]:
        """What is wrong with each service, None with one that answers.

        Right after the start it waits for the first answers, up to FIRST_SECONDS.
        """
        self._start()
        deadline = time.monotonic() + FIRST_SECONDS
        for asked in self._first.values():
            asked.wait(max(0.0, deadline - time.monotonic()))
        return {name: self._problems.get(name, "It has not answered yet.") for name in self._pings}

    def _start(self) -> None:
        with self._starting:
            if self._started:
                return
            self._started = True
        for name in self._pings:
            threading.Thread(target=self._watch, args=(name,), name=f"look at {name}", daemon=True).start()

    def _watch(self, name: str) -> None:
        while True:
            self._problems[name] = self._ask(name)
            self._first[name].set()
            time.sleep(self._pause_seconds)

    def _ask(self, name: str) -> str | None:
        try:
            self._pings[name]()
        except EngineError as error:
            return error.message
        except Exception:  # noqa: BLE001 - the thread has to go on
            _log.exception("%s could not be looked at", name)
            return "It could not be looked at; the log says why."
        return None
