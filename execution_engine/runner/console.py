"""The app's console: reads what it prints as it comes and puts it, line by line, into the spool."""

from __future__ import annotations

import os
import selectors
import threading
import time
from collections import deque

from .lines import LineSplitter, encode_line, now_ms
from .orders import Wakeup

TYPE_CHECKING = False
if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable

    from .spool import Spool

READ_BYTES = 1 << 14
TAIL_LINES = 40


class Console(threading.Thread):
    """Reads stdout and stderr until both are closed, or until ``finish`` says how long to go on.

    When the spool takes no more, nothing is read: the app waits in its next write, and no line is lost.
    """

    def __init__(self, spool: Spool, longest: int, on_failure: Callable[[BaseException], None]) -> None:
        super().__init__(name="console", daemon=True)
        self._spool = spool
        self._longest = longest
        self._on_failure = on_failure
        self._selector = selectors.DefaultSelector()
        self._wakeup = Wakeup()
        self._end_by: float | None = None
        self._held_back = False
        self._tail: deque[str] = deque(maxlen=TAIL_LINES)

    def attach(self, app: subprocess.Popen[bytes]) -> None:
        """Read the pipes of ``app``; before the start."""
        for name, pipe in (("stdout", app.stdout), ("stderr", app.stderr)):
            if pipe is not None:
                self._selector.register(pipe, selectors.EVENT_READ, (name, LineSplitter(self._longest)))

    def say(self, text: str) -> None:
        """Put a line of the runner's own into the log."""
        self._spool.force([encode_line(text, "system", now_ms())])

    def finish(self, seconds: float) -> None:
        """The app is gone: read what is left, for at most so long should somebody still hold a pipe open."""
        self._end_by = time.monotonic() + seconds
        self._wakeup.wake()
        self.join()
        self._wakeup.close()

    def last_errors(self) -> str:
        """The last lines of stderr: what a failed program usually says why in."""
        return "\n".join(self._tail)

    def run(self) -> None:
        """The thread's body."""
        try:
            self._selector.register(self._wakeup, selectors.EVENT_READ)
            while len(self._selector.get_map()) > 1 and self._read_some():
                pass
            self._give_up_rest()
        except Exception as error:  # noqa: BLE001 - the main thread decides what a failure means
            self._on_failure(error)
        finally:
            self._selector.close()

    def _read_some(self) -> bool:
        wait = None if self._end_by is None else self._end_by - time.monotonic()
        if wait is not None and wait <= 0:
            return False
        ready = self._selector.select(wait)
        for key, _ in ready:
            if key.data is None:
                self._wakeup.wait(0)
                continue
            name, splitter = key.data
            data = os.read(key.fd, READ_BYTES)
            if data:
                self._store(name, splitter.feed(data))
            else:
                self._selector.unregister(key.fileobj)
                self._store(name, splitter.close())
        return bool(ready)

    def _give_up_rest(self) -> None:
        """Lines begun on pipes that somebody still holds."""
        for key in self._selector.get_map().values():
            if key.data is not None:
                name, splitter = key.data
                self._store(name, splitter.close())

    def _store(self, name: str, lines: list[str]) -> None:
        if not lines:
            return
        if name == "stderr":
            self._tail.extend(lines)
        ts = now_ms()
        encoded = [encode_line(line, name, ts) for line in lines]
        while not self._spool.offer(encoded):
            if not self._held_back:
                self._held_back = True
                self.say(
                    f"The log can't be stored on this machine at the moment ({self._spool.problem}): the app is held"
                    " back in its printing until lines have been delivered. Nothing is lost."
                )
            if self._end_by is not None:  # what pipes hold is little
                self._spool.force(encoded)
                return
            self._spool.wait_for_room(1.0)
