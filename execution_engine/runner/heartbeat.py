"""The signs of life, which bring orders back."""

from __future__ import annotations

import threading

from .calls import FINAL, Refused, Unreachable
from .patience import Backoff
from .progress import read_progress

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

    from .calls import Engine
    from .orders import Orders


class Heartbeat(threading.Thread):
    """Calls ``heartbeat`` every so many ms as the engine says, with the app's progress, until ``finish``."""

    def __init__(
        self, engine: Engine, orders: Orders, attempt: dict[str, Any], progress_file: Path, interval_ms: int
    ) -> None:
        """``attempt``: job_id and attempt, as every call has them."""
        super().__init__(name="heartbeat", daemon=True)
        self._engine = engine
        self._orders = orders
        self._attempt = attempt
        self._progress_file = progress_file
        self._seconds = max(0.1, interval_ms / 1000)
        self._finished = threading.Event()

    def finish(self) -> None:
        """No more signs of life; does not wait for one that is on its way."""
        self._finished.set()

    def run(self) -> None:
        """The thread's body."""
        backoff = Backoff()
        wait = self._seconds
        try:
            while not self._finished.wait(wait):
                try:
                    self._beat()
                    wait = self._seconds
                    backoff.reset()
                except Unreachable:
                    wait = min(self._seconds, backoff.delay())
        except Refused as refusal:
            self._orders.disown(refusal)
        except Exception as error:  # noqa: BLE001 - the main thread decides what a failure means
            self._orders.fail(error)

    def _beat(self) -> None:
        progress = read_progress(self._progress_file)
        params = {**self._attempt, "progress": progress} if progress else self._attempt
        try:
            answer = self._engine.call("heartbeat", **params)
        except Refused as refusal:
            if refusal.reason in FINAL:
                raise
            return  # a sign of life all the same
        self._orders.obey(answer)
        self._seconds = max(0.1, answer.get("heartbeat_ms", self._seconds * 1000) / 1000)
