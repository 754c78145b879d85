"""Brings the log to the engine: in order, each line once, whatever happens in between."""

from __future__ import annotations

import threading
import time

from .calls import FINAL, Refused, Unreachable, encode
from .lines import encode_line, now_ms
from .patience import Backoff

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .calls import Engine
    from .orders import Orders
    from .spool import Spool

PACE_SECONDS = 0.25
BATCH_BYTES = 1_000_000


class Delivery(threading.Thread):
    """Sends the spool's lines from ``first_line`` on until the spool is closed and empty, or the engine says no.

    The first line goes at once; then what has come goes every ``PACE_SECONDS``, sooner when it is much. A batch
    without answer is sent again: the engine drops what it holds.
    """

    def __init__(
        self, engine: Engine, spool: Spool, orders: Orders, *, ids: dict[str, Any], first_line: int, most: int
    ) -> None:
        """``ids``: job_id and attempt, as every call has them. ``most``: lines a call."""
        super().__init__(name="delivery", daemon=True)
        self._engine = engine
        self._spool = spool
        self._orders = orders
        self._ids = encode(ids)[1:-1]
        self._next_line = first_line
        self._most = most
        self._batch_lines = most
        self._backoff = Backoff()

    def finish(self) -> None:
        """No more lines will come; returns when all are delivered or can't be."""
        self._spool.close()
        self.join()

    def run(self) -> None:
        """The thread's body."""
        try:
            while self._spool.wait_for_lines(1, None):
                next_due = time.monotonic() + PACE_SECONDS
                if not self._send_batch():
                    self._spool.wait_for_lines(self._most, max(0.0, next_due - time.monotonic()))
        except Refused as refusal:
            self._orders.disown(refusal)
        except Exception as error:  # noqa: BLE001 - the main thread decides what a failure means
            self._orders.fail(error)

    def _send_batch(self) -> bool:
        """One call with the next lines; True: there is reason to make the next one at once."""
        waiting = len(self._spool)
        batch = self._spool.peek(self._batch_lines, BATCH_BYTES)
        params = b'{%s,"first_line":%d,"lines":[%s]}' % (self._ids, self._next_line, b",".join(batch))
        try:
            answer = self._engine.call_encoded("add_job_logs", params)
            taken = min(answer["next_line"] - self._next_line, len(batch))
        except (Unreachable, KeyError, TypeError):
            taken = 0
        except Refused as refusal:
            self._cope(refusal, batch)
            return True
        if taken <= 0:
            time.sleep(self._backoff.delay())
            return True
        self._backoff.reset()
        self._batch_lines = self._most
        self._spool.delivered(taken)
        self._next_line += taken
        self._orders.obey(answer)
        return waiting > len(batch)

    def _cope(self, refusal: Refused, batch: list[bytes]) -> None:
        """After a refusal: send from where the engine is, or send less, or leave one line out."""
        if refusal.reason in FINAL:
            raise refusal
        next_line = refusal.data.get("next_line")
        if refusal.reason == "log_gap" and isinstance(next_line, int):
            self._go_back(max(0, self._next_line - next_line))
        elif len(batch) > 1:
            self._batch_lines = len(batch) // 2
        else:
            note = f"A line was left out here, which the engine refuses: {refusal.message}"
            self._spool.replace_first(encode_line(note, "system", now_ms()))
            time.sleep(self._backoff.delay())

    def _go_back(self, count: int) -> None:
        """The engine has lost ``count`` lines that it had acknowledged."""
        time.sleep(self._backoff.delay())
        kept = self._spool.undeliver(count)
        if kept < count:
            note = f"{count - kept} lines were lost here, between the runner and the engine's database."
            self._spool.insert_first(encode_line(note, "system", now_ms()))
        self._next_line -= count
