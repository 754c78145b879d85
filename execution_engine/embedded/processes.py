"""Child processes of the supervisor: started in a group of their own, watched, ended with all of their descendants."""

import contextlib
import functools
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from execution_engine.embedded import child_exec

NOTE_NAME = "children.json"
_PRIVATE = functools.partial(os.open, mode=0o600)
LOG_BYTES = 10 * 1024 * 1024  # a log keeps between one and two times this


@dataclass(frozen=True)
class Child:
    """What to run. ``ready`` is asked again and again after the start, until it says yes once; it must not block."""

    name: str
    command: Sequence[str]
    ready: Callable[[], bool]
    environment: Mapping[str, str] = field(default_factory=dict)
    start_seconds: float = 60.0
    stop_seconds: float = 10.0


class RunningChild:
    """One started process of a :class:`Child`; its output is appended to ``log``."""

    def __init__(self, child: Child, log: Path) -> None:
        """Starts it. Must run in the main thread: when the thread that started it ends, the child is told to stop."""
        shim = [sys.executable, "-I", "-S", child_exec.__file__, str(os.getpid())]
        with open(log, "ab", opener=_PRIVATE) as output:
            os.fchmod(output.fileno(), 0o600)  # one of an earlier version may be open to the accounts of apps
            self._log_start = output.tell()
            self.process = subprocess.Popen(
                [*shim, *child.command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env={**os.environ, **child.environment},
            )
        self.child = child
        self.log = log
        self.started = time.monotonic()

    @property
    def pid(self) -> int:
        """The process id, which is its group's too."""
        return self.process.pid

    def has_ended(self) -> bool:
        """Whether the process itself is gone; if so, what is left of its group is killed."""
        if self.process.returncode is not None:
            return True
        # Looked at without reaping: as long as the process is a zombie nobody else can get the number of its group.
        if os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
            return False
        self.kill()
        return True

    def terminate(self) -> None:
        """Asks the process to end; it tells its own children."""
        if self.process.returncode is None:
            self.process.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Kills the process and all of its group, and waits for the process."""
        if self.process.returncode is None:
            _signal_group(self.pid, signal.SIGKILL)
            self.process.wait()

    def how_it_ended(self) -> str:
        """In words; only after :meth:`has_ended` said so."""
        code = self.process.returncode
        return f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"

    def log_tail(self, lines: int = 40) -> str:
        """The last lines of what it wrote to its log, for a message; not what an earlier process wrote there."""
        with self.log.open("rb") as file:
            size = self.log.stat().st_size
            start = self._log_start if self._log_start <= size else 0  # the log was cut meanwhile
            file.seek(max(start, size - 10_000))
            return "\n".join(file.read().decode(errors="replace").splitlines()[-lines:])


def bound_log(log: Path, limit: int = LOG_BYTES) -> None:
    """Moves what a log holds to ``NAME.1`` once it is larger than ``limit`` bytes.

    The writer goes on in the same file, which it has open for appending: no child has to know.
    """
    if log.exists() and log.stat().st_size > limit:
        aside = log.with_name(log.name + ".1")
        aside.unlink(missing_ok=True)
        with log.open("rb") as source, open(aside, "xb", opener=_PRIVATE) as target:
            shutil.copyfileobj(source, target)
        os.truncate(log, 0)


def remember(note: Path, pids: Mapping[str, int]) -> None:
    """Notes the running children by name, for a supervisor that comes after this one was killed."""
    children = {name: {"pid": pid, "started": _start_time(pid)} for name, pid in pids.items()}
    fresh = note.with_name(note.name + ".new")
    fresh.write_text(json.dumps(children))
    fresh.replace(note)


def end_leftovers(folder: Path, grace_seconds: float = 10.0) -> list[str]:
    """Ends the children of a killed supervisor of ``folder`` that are still there; returns their names.

    To be called while nobody else supervises the folder, and before its ports and files are looked at.
    """
    try:
        children = json.loads((folder / NOTE_NAME).read_text())
    except (FileNotFoundError, ValueError):
        return []
    left = {
        name: child["pid"]
        for name, child in children.items()
        if child["started"] is not None and _start_time(child["pid"]) == child["started"]
    }
    for pid in left.values():
        _signal_group(pid, signal.SIGTERM)
    deadline = time.monotonic() + grace_seconds
    while any(_start_time(pid) == children[name]["started"] for name, pid in left.items()):
        if time.monotonic() > deadline:
            for pid in left.values():
                _signal_group(pid, signal.SIGKILL)
            break
        time.sleep(0.05)
    return list(left)


def _signal_group(group: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, number)


def _start_time(pid: int) -> int | None:
    """When the process began, in ticks since boot; None if it is gone, or only waits to be reaped.

    Together with the pid it names one process: pids are used again.
    """
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else int(fields[19])
