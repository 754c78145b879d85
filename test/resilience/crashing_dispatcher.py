"""A dispatcher that is killed, as by SIGKILL, at one point of its work: ``crashing_dispatcher.py POINT``.

At the point STANDS_STILL it stops first, as by SIGSTOP, and dies when it has gone on.

The settings come from KB_DEPLOYMENT_CONFIG, as for the real one.
"""

import os
import signal
import sys
from collections.abc import Callable
from typing import Any

from execution_engine.backends.local.backend import LocalBackend
from execution_engine.backends.local.spool import Spool
from execution_engine.backends.local.table import JobTable
from execution_engine.dispatch.__main__ import main
from execution_engine.store.jobs import JobStore


def die(*_: object, **__: object) -> Any:
    os.kill(os.getpid(), signal.SIGKILL)


def then_die(owner: type, name: str, times: int = 1) -> None:
    """Let it be called so many times, and die when it returns from the last."""
    original: Callable[..., Any] = getattr(owner, name)
    left = times

    def wrapped(*arguments: Any, **named: Any) -> Any:
        nonlocal left
        answer = original(*arguments, **named)
        left -= 1
        return answer if left else die()

    setattr(owner, name, wrapped)


def stop_and_die(owner: type, name: str) -> None:
    """When it is called: stand still, then call it, then die."""
    original: Callable[..., Any] = getattr(owner, name)

    def wrapped(*arguments: Any, **named: Any) -> None:
        os.kill(os.getpid(), signal.SIGSTOP)
        original(*arguments, **named)
        die()

    setattr(owner, name, wrapped)


STANDS_STILL = "between the claim and the call of the backend"
POINTS: dict[str, Callable[[], None]] = {
    "before the claim is committed": lambda: then_die(JobStore, "apply_many"),
    "before the backend is called": lambda: setattr(LocalBackend, "submit", die),
    "when the backend has a part of the jobs": lambda: then_die(Spool, "accept", 3),
    "when the backend has started a part of the jobs": lambda: then_die(JobTable, "_start", 3),
    "before the backend's answer is recorded": lambda: then_die(LocalBackend, "submit"),
    "before the backend's ids are noted": lambda: setattr(JobStore, "note_backend_id", die),
}

if __name__ == "__main__":
    if sys.argv[1] == STANDS_STILL:
        stop_and_die(LocalBackend, "submit")
    else:
        POINTS[sys.argv[1]]()
    sys.exit(main())
