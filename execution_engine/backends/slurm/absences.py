"""Since when Slurm has not known attempts that it had: at first that proves nothing."""

import threading
from collections.abc import Callable, Collection

_FORGOTTEN_SECONDS = 3600.0


class Absences:
    """Remembers when ids were first missed.

    A controller that was killed comes back with what it knew some seconds before. A node may still run a job that it
    does not know then, until the node has reported it and was told to end it.
    """

    def __init__(self, patience_seconds: float, clock: Callable[[], float]) -> None:
        self._patience_seconds = patience_seconds
        self._clock = clock
        self._since: dict[str, float] = {}
        self._lock = threading.Lock()

    def seen(self, ids: Collection[str]) -> None:
        """Slurm knows them."""
        with self._lock:
            for backend_id in ids:
                self._since.pop(backend_id, None)

    def is_final(self, backend_id: str) -> bool:
        """Slurm does not know it: whether that has been so for long enough to be the truth."""
        now = self._clock()
        with self._lock:
            self._since = {it: since for it, since in self._since.items() if now - since < _FORGOTTEN_SECONDS}
            return now - self._since.setdefault(backend_id, now) >= self._patience_seconds
