"""One backend as the dispatcher deals with it: calls that may fail, and what is known of its health."""

import logging
import time
from collections.abc import Callable
from dataclasses import asdict
from typing import TypeVar

from execution_engine.backends.base import Backend, QueueEntry, Resources, SightingState
from execution_engine.core.clock import now
from execution_engine.core.errors import BackendUnavailable
from execution_engine.store.backends import BackendStore

T = TypeVar("T")
LEAST_AHEAD = 4
_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 30.0
_REPORT_SECONDS = 10.0
_WAITS = (SightingState.WAITING, SightingState.HELD)
_ORDERED = 5_000  # a report has to stay small
_log = logging.getLogger("execution_engine.dispatch")


class _Pause:
    """A time to wait, longer each time until all is well again."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._seconds = _FIRST_PAUSE
        self._until = 0.0

    @property
    def over(self) -> bool:
        return self._clock() >= self._until

    def begin(self) -> None:
        self._until = self._clock() + self._seconds
        self._seconds = min(self._seconds * 2, _LONGEST_PAUSE)

    def reset(self) -> None:
        self._seconds = _FIRST_PAUSE


class Desk:
    """A backend, whether it answers and takes jobs, and how many waiting jobs it should hold.

    A backend that does not answer is left alone for a pause that grows; one that takes no more jobs, or that an
    administrator drains, is handed none. Its jobs wait, those of others go on.
    """

    def __init__(self, backend: Backend, store: BackendStore, clock: Callable[[], float] = time.monotonic) -> None:
        self.backend = backend
        self._store = store
        self._clock = clock
        self._reason: str | None = None
        self._outage = _Pause(clock)
        self._full = _Pause(clock)
        self._reported_at = float("-inf")
        self._resources: Resources | None = None
        self._order: list[str] | None = None
        self.drained = False
        """Whether an administrator wants it to take no new jobs."""

    @property
    def open(self) -> bool:
        """Whether it is worth calling the backend now."""
        return self._outage.over

    @property
    def takes_jobs(self) -> bool:
        """Whether it is worth handing jobs to the backend now."""
        return self._outage.over and self._full.over and not self.drained

    def note_handover(self, *, full: bool) -> None:
        """The backend was handed jobs; ``full``: it has refused some of them for now."""
        if full:
            self._full.begin()
        else:
            self._full.reset()

    def ask(self, call: Callable[[Backend], T]) -> T | None:
        """The answer of a call to the backend; None if it does not answer now.

        A defect of the code that talks to it counts as an outage of this backend: the others must not wait for a mend.
        """
        if not self.open:
            return None
        try:
            answer = call(self.backend)
        except BackendUnavailable as error:
            self._down(error.message)
            return None
        except Exception as error:  # noqa: BLE001  whatever it is, the other backends have to go on
            _log.exception("backend %s: a call failed in a way that nobody foresaw", self.backend.name)
            self._down(f"The engine's own part failed ({type(error).__name__}); the dispatcher's log has the details.")
            return None
        self._up()
        return answer

    def queue(self) -> list[QueueEntry]:
        """What the backend holds for us; the order of what waits there is written down for the other processes."""
        listed = self.ask(lambda backend: backend.queue()) or []
        order = [entry.backend_id for entry in listed if entry.state in _WAITS][:_ORDERED]
        if order != self._order:
            self._store.report_order(self.backend.name, order)
            self._order = order
        return listed

    def ahead(self, setting: int | None) -> int:
        """How many jobs may wait inside the backend: the setting, else as many as it has slots, at least four."""
        if setting is not None:
            return setting
        slots = self._resources.slots_total if self._resources else None
        return max(LEAST_AHEAD, slots or 0)

    def report(self) -> None:
        """Say how the backend is, now and then, for the processes that never call one."""
        if self._clock() < self._reported_at + _REPORT_SECONDS:
            return
        self._resources = self.ask(lambda backend: backend.resources()) or self._resources
        self._write_report()

    def _down(self, reason: str) -> None:
        if self._reason is None:
            _log.warning("backend %s is down: %s", self.backend.name, reason)
        changed, self._reason = self._reason != reason, reason
        self._outage.begin()
        if changed:
            self._write_report()

    def _up(self) -> None:
        self._outage.reset()
        if self._reason is not None:
            _log.info("backend %s is up again", self.backend.name)
            self._reason = None
            self._write_report()

    def _write_report(self) -> None:
        self._reported_at = self._clock()
        state = "up" if self._reason is None else "down"
        resources = asdict(self._resources) if self._resources else {}
        self._store.report(self.backend.name, now(), state, self._reason, resources, self.backend.notice)
