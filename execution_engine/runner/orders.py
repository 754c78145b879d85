"""What others want of this attempt: cancel, stop, time limit; and the waiting for any of it."""

from __future__ import annotations

import contextlib
import os
import select
import signal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .calls import Refused

CANCELLED = "cancelled"
TIME_LIMIT = "time_limit"
STOPPED = "stopped"
DISOWNED = "disowned"
FAILED = "failed"


class Wakeup:
    """A wait that any thread, and a signal, can end."""

    def __init__(self) -> None:
        self._read, self._write = os.pipe()
        os.set_blocking(self._read, False)
        os.set_blocking(self._write, False)

    def fileno(self) -> int:
        """Readable while a wake waits to be noticed."""
        return self._read

    def wake(self) -> None:
        """End the wait; if nobody waits, the next one."""
        with contextlib.suppress(BlockingIOError):  # full: it will wake anyway
            os.write(self._write, b"!")

    def wait(self, seconds: float | None) -> None:
        """Wait until woken, at most so long."""
        select.select([self._read], [], [], seconds)
        with contextlib.suppress(BlockingIOError):
            os.read(self._read, 4096)

    def wake_on_signals(self) -> None:
        """Every signal that has a handler ends the wait. Main thread only."""
        signal.set_wakeup_fd(self._write, warn_on_full_buffer=False)

    def close(self) -> None:
        """Give both ends of the pipe back."""
        os.close(self._read)
        os.close(self._write)


class Orders:
    """The orders so far, written by any thread or signal handler and read by the main thread.

    ``deadline``: when the app must end, by the monotonic clock. ``refusal``: why the engine wants nothing more of this
    attempt. ``failure``: what broke a thread of the runner itself.
    """

    def __init__(self) -> None:
        self.cancelled = False
        self.stopped = False
        self.deadline: float | None = None
        self.refusal: Refused | None = None
        self.failure: BaseException | None = None
        self._wakeup = Wakeup()

    def listen_to_signals(self) -> None:
        """TERM and INT mean stop; the end of a child wakes; a closed terminal means nothing. Main thread only."""
        self._wakeup.wake_on_signals()
        signal.signal(signal.SIGTERM, lambda *_: self.stop())
        signal.signal(signal.SIGINT, lambda *_: self.stop())
        for harmless in (signal.SIGCHLD, signal.SIGHUP):
            signal.signal(harmless, lambda *_: None)  # not SIG_IGN, which the app would inherit

    def obey(self, answer: dict[str, Any]) -> None:
        """Take over what an answer of the engine says about cancel."""
        if answer.get("cancel_requested") and not self.cancelled:
            self.cancelled = True
            self._wakeup.wake()

    def stop(self) -> None:
        """The runner itself shall end."""
        self.stopped = True
        self._wakeup.wake()

    def disown(self, refusal: Refused) -> None:
        """The engine wants nothing more of this attempt."""
        self.refusal = refusal
        self._wakeup.wake()

    def fail(self, failure: BaseException) -> None:
        """A thread of the runner broke; without it the attempt can't go on."""
        self.failure = failure
        self._wakeup.wake()

    def reason(self, now: float) -> str | None:
        """Why the app has to end, or None. ``now``: seconds of the monotonic clock."""
        if self.refusal is not None:
            return DISOWNED
        if self.cancelled:
            return CANCELLED
        if self.deadline is not None and now >= self.deadline:
            return TIME_LIMIT
        if self.stopped:
            return STOPPED
        return FAILED if self.failure is not None else None

    def wait(self, seconds: float) -> None:
        """Wait until something happens, at most so long."""
        self._wakeup.wait(seconds)

    def close(self) -> None:
        """Give the files back."""
        self._wakeup.close()
