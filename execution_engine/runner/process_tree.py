"""Everything that a job has started, and its end. Linux."""

from __future__ import annotations

import contextlib
import os
import signal
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable

PR_SET_CHILD_SUBREAPER = 36
KILL_SECONDS = 5.0


class ProcessTree:
    """All descendants of this process. Orphans come back to it, so that no double fork leaves the tree."""

    def __init__(self) -> None:
        self._app: subprocess.Popen[bytes] | None = None
        _become_subreaper()

    def watch(self, app: subprocess.Popen[bytes]) -> None:
        """``app`` keeps its exit code for its owner when it is collected."""
        self._app = app

    def collect(self) -> bool:
        """Free the ended processes; True while others live."""
        while True:
            try:
                ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            except ChildProcessError:
                return False
            if ended is None:
                return True
            if self._app is not None and ended.si_pid == self._app.pid:
                self._app.poll()
            else:
                os.waitpid(ended.si_pid, 0)

    def end(self, grace: float, on_kill: Callable[[], None]) -> int:
        """Ask all to end (TERM), after ``grace`` seconds force them (KILL); how many can't be ended.

        ``on_kill`` is called before force is used.
        """
        if not self.collect():
            return 0
        _signal(descendants(), signal.SIGTERM, signal.SIGCONT)  # CONT: a stopped process hears no TERM
        if self.gone_within(grace):
            return 0
        on_kill()
        if self.gone_within(KILL_SECONDS, lambda: _signal(descendants(), signal.SIGKILL)):
            return 0
        return len(descendants())

    def gone_within(self, seconds: float, each_time: Callable[[], None] = lambda: None) -> bool:
        """Wait for the end of all, calling ``each_time`` in between; False: some live on after so many seconds."""
        give_up = time.monotonic() + seconds
        pause = 0.01
        while True:
            each_time()
            if not self.collect():
                return True
            left = give_up - time.monotonic()
            if left <= 0:
                return False
            time.sleep(min(pause, left))
            pause = min(0.2, pause * 1.5)


def descendants() -> list[int]:
    """The processes below this one that have not ended, by /proc."""
    children: dict[int, list[int]] = {}
    zombies = set()
    for entry in os.listdir("/proc"):  # noqa: PTH208 - names are all that is needed, of perhaps thousands
        if entry.isdigit():
            with contextlib.suppress(OSError, ValueError, IndexError):
                state, parent = _state_and_parent(entry)
                children.setdefault(parent, []).append(int(entry))
                if state in "ZX":
                    zombies.add(int(entry))
    found: list[int] = []
    waiting = [os.getpid()]
    while waiting:
        below = children.get(waiting.pop(), [])
        found += below
        waiting += below
    return [pid for pid in found if pid not in zombies]


def _state_and_parent(pid: str) -> tuple[str, int]:
    with open(f"/proc/{pid}/stat", "rb") as file:  # noqa: PTH123 - as above
        fields = file.read().rpartition(b")")[2].split()  # the name before it may hold anything
    return fields[0].decode(), int(fields[1])


def _signal(pids: list[int], *signals: signal.Signals) -> None:
    for number in signals:
        for pid in pids:
            with contextlib.suppress(OSError):  # gone in the meantime, or another account's
                os.kill(pid, number)


def _become_subreaper() -> None:
    """Orphaned descendants get this process as their parent. Best effort: kernels before 3.4 can't."""
    with contextlib.suppress(Exception):
        import ctypes  # noqa: PLC0415 - slow to import, and not everywhere there

        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
