"""Keeps the children of one data folder running, and stops them in order."""

import os
import select
import signal
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType, TracebackType
from typing import Self

from execution_engine.embedded.processes import NOTE_NAME, Child, RunningChild, bound_log, remember

FIRST_PAUSE_SECONDS = 0.2
LONGEST_PAUSE_SECONDS = 10.0
HEALTHY_SECONDS = 30.0


class StartFailed(Exception):
    """A child did not become ready; the message says why and shows the end of its log."""


class StopRequested(Exception):
    """A signal asked to stop while something was being started."""


class Supervisor:
    """Starts children one after the other, restarts those that end, stops all in reverse order on leaving.

    Use it as a context manager in the main thread: it takes over the signals meanwhile. The first SIGINT, SIGTERM
    or SIGHUP is noted in ``stop_signal`` and ends :meth:`watch`; one more raises KeyboardInterrupt, which makes the
    stopping quick.
    """

    def __init__(self, folder: Path, say: Callable[[str], None]) -> None:
        """``folder`` gets ``logs/`` and the note of the running children; ``say`` tells people what happens."""
        self._logs = folder / "logs"
        self._logs.mkdir(exist_ok=True)
        self._note = folder / NOTE_NAME
        self._say = say
        self._children: dict[str, RunningChild] = {}
        self._failures: dict[str, int] = {}
        self._restarts: dict[str, float] = {}
        self._signals = 0
        self.stop_signal: signal.Signals | None = None

    def __enter__(self) -> Self:
        self._wake_reader, self._wake_writer = os.pipe()
        os.set_blocking(self._wake_reader, False)
        os.set_blocking(self._wake_writer, False)
        self._old_wakeup = signal.set_wakeup_fd(self._wake_writer, warn_on_full_buffer=False)
        self._old_handlers = {number: signal.signal(number, self._on_stop_signal) for number in _stop_signals()}
        # A handler, even one that does nothing, makes the end of a child wake the loop.
        self._old_handlers[signal.SIGCHLD] = signal.signal(signal.SIGCHLD, lambda *_: None)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is not KeyboardInterrupt:
                for name in reversed(list(self._children)):
                    self.stop(name)
        finally:
            for running in self._children.values():  # there are some only after a second signal
                running.kill()
            for number, handler in self._old_handlers.items():
                signal.signal(number, handler)
            signal.set_wakeup_fd(self._old_wakeup)
            os.close(self._wake_reader)
            os.close(self._wake_writer)

    def start(self, child: Child) -> None:
        """Starts a child and waits until it is ready.

        Raises:
            StartFailed: it ended, or was not ready in time.
            StopRequested: a signal came meanwhile.
        """
        running = self._spawn(child)
        while True:
            is_ready = child.ready()
            if self.stop_signal:
                raise StopRequested
            if running.has_ended():  # also when ready: then somebody else answered
                raise StartFailed(_complaint(running, f"ended at once ({running.how_it_ended()})"))
            if is_ready:
                return
            if time.monotonic() - running.started > child.start_seconds:
                raise StartFailed(_complaint(running, f"was not ready within {child.start_seconds:g} s"))
            self._pause(0.05)

    def watch(self) -> None:
        """Keeps all children running until a signal asks to stop."""
        while not self.stop_signal:
            for name in list(self._children):
                self._look_after(name)
            self._pause(0.1 if self._restarts else 1.0)

    def stop(self, name: str) -> None:
        """Asks a child to end, waits, kills what is left; it is not restarted. Unknown names pass.

        Raises:
            KeyboardInterrupt: a further signal came; leaving the context then kills what still runs.
        """
        running = self._children.get(name)
        if running is None:
            return
        self._restarts.pop(name, None)
        running.terminate()
        deadline = time.monotonic() + running.child.stop_seconds
        while not running.has_ended() and time.monotonic() < deadline:
            self._pause(0.05)
        running.kill()
        del self._children[name]
        self._remember()

    def pids(self) -> dict[str, int]:
        """The process ids of the children by name."""
        return {name: running.pid for name, running in self._children.items()}

    def _look_after(self, name: str) -> None:
        running = self._children[name]
        now = time.monotonic()
        if name in self._restarts:
            if now >= self._restarts[name]:
                del self._restarts[name]
                self._spawn(running.child)
        elif running.has_ended():
            if now - running.started > HEALTHY_SECONDS:
                self._failures[name] = 0
            pause = min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2 ** self._failures.get(name, 0))
            self._failures[name] = min(self._failures.get(name, 0) + 1, 10)
            self._restarts[name] = now + pause
            self._say(
                f"{name} stopped ({running.how_it_ended()}); it starts again in {pause:.1f} s. Log: {running.log}"
            )
        bound_log(running.log)

    def _spawn(self, child: Child) -> RunningChild:
        running = RunningChild(child, self._logs / f"{child.name}.log")
        self._children[child.name] = running
        self._remember()
        return running

    def _remember(self) -> None:
        remember(self._note, self.pids())

    def _on_stop_signal(self, number: int, _frame: FrameType | None) -> None:
        self._signals += 1
        if self._signals == 1:
            self.stop_signal = signal.Signals(number)
        elif self._signals == 2:
            raise KeyboardInterrupt

    def _pause(self, seconds: float) -> None:
        """Waits, but only until a signal arrives."""
        if select.select([self._wake_reader], [], [], seconds)[0]:
            os.read(self._wake_reader, 1024)


def _stop_signals() -> tuple[signal.Signals, ...]:
    """Those that ask to stop; SIGHUP is left ignored where somebody (nohup) had it ignored."""
    if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
        return (signal.SIGINT, signal.SIGTERM)
    return (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def _complaint(running: RunningChild, what: str) -> str:
    if not (tail := running.log_tail()):
        return f"{running.child.name} {what}. It wrote nothing to its log, {running.log}."
    return f"{running.child.name} {what}. The end of its log, {running.log}:\n{tail}"
