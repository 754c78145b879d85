"""The processes of one engine, its runners' and its apps' among them, as /proc shows them."""

import contextlib
import os
import signal
from collections.abc import Callable
from pathlib import Path

from execution_engine.backends.base import TAG_VARIABLE
from test.conftest import Stack, wait_until

PATIENCE_SECONDS = 30.0


def processes(is_it: Callable[[str, bytes], bool]) -> list[int]:
    """The pids of all whose command line and environment answer the question."""
    return [pid for pid, line, environment in _all() if is_it(line, environment)]


def processes_of(folder: Path) -> dict[int, str]:
    """Command lines by pid of all that live with the folder's path in their command line or environment."""
    needle = os.fsencode(folder) + b"/"
    return {pid: line for pid, line, environment in _all() if needle in environment or str(folder) in line}


def processes_of_jobs(folder: Path) -> dict[int, str]:
    """Command lines by pid of what belongs to jobs of the engine: wrappers, runners and what apps have started."""
    needle, mark = os.fsencode(folder) + b"/", f"{TAG_VARIABLE}=ee.".encode()
    return {pid: line for pid, line, environment in _all() if needle in environment and mark in environment}


def running_jobs(folder: Path) -> set[str]:
    """The ids of the engine's jobs of which any process lives."""
    needle, mark = os.fsencode(folder) + b"/", f"{TAG_VARIABLE}=ee.".encode()
    marked = [environment for _, _, environment in _all() if needle in environment and mark in environment]
    return {environment.partition(mark)[2][:24].decode() for environment in marked}


def processes_of_attempt(tag: str) -> dict[int, str]:
    """Command lines by pid: the wrapper, the runner and what the app has started."""
    mark = f"{TAG_VARIABLE}={tag}\0".encode()
    return {pid: line for pid, line, environment in _all() if mark in environment}


def runner_of(tag: str) -> int:
    return _the_one(tag, lambda line: "/runner-" in line and "ee-wrapper" not in line)


def wrapper_of(tag: str) -> int:
    return _the_one(tag, lambda line: "ee-wrapper" in line)


def app_of(tag: str) -> int:
    """The app's first process."""
    return _the_one(tag, lambda line: "/drill.py" in line)


def workers_of(engine: Stack, server: str) -> list[int]:
    """The processes of a gunicorn but its master; none while it is down."""
    master = engine.pid(server)
    try:
        return [int(child) for child in Path(f"/proc/{master}/task/{master}/children").read_text().split()]
    except FileNotFoundError:
        return []


def kill_child(engine: Stack, name: str) -> None:
    """Kill mongod, the dispatcher, or a gunicorn with its workers; returns when the supervisor has seen it."""
    pid = engine.pid(name)
    assert pid in processes_of(engine.folder)  # the note may be old, and the number another's by now
    kill(pid, *(workers_of(engine, name) if name in ("web", "services") else ()))
    wait_until(lambda: pid not in processes_of(engine.folder), PATIENCE_SECONDS, f"the end of {name}")


def wait_restarted(engine: Stack, name: str) -> None:
    """Wait until the supervisor has started a killed child again."""
    wait_until(lambda: engine.pid(name) in processes_of(engine.folder), PATIENCE_SECONDS, f"the restart of {name}")


def is_stopped(pid: int) -> bool:
    """Whether a SIGSTOP has taken effect."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"


def kill(*pids: int, number: signal.Signals = signal.SIGKILL) -> None:
    """Send a signal to each that is still there."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def kill_all_of(folder: Path) -> None:
    """Kill what is left of an engine, again and again until nothing is."""

    def killed() -> bool:
        left = processes_of(folder)
        kill(*left)
        return not left

    wait_until(killed, PATIENCE_SECONDS, f"the end of all processes of {folder}")


def _the_one(tag: str, is_it: Callable[[str], bool]) -> int:
    (pid,) = [pid for pid, line in sorted(processes_of_attempt(tag).items()) if is_it(line)][:1]
    return pid


def _all() -> list[tuple[int, str, bytes]]:
    """Pid, command line and environment of every process that may be looked at; no zombies, which have neither."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal() and int(entry.name) != os.getpid():
            with contextlib.suppress(OSError):
                line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                found.append((int(entry.name), line, (entry / "environ").read_bytes()))
    return found
