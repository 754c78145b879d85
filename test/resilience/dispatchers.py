"""Further dispatchers of an engine, to be killed and halted while they take turns in acting."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import execution_engine
from execution_engine.jobs.holds import DISPATCH_LEASE
from test.conftest import Stack, wait_until
from test.resilience.stack_processes import PATIENCE_SECONDS, kill

REAL = ["-m", "execution_engine.dispatch"]
CRASHING = str(Path(__file__).parent / "crashing_dispatcher.py")


def start_dispatcher(
    engine: Stack, arguments: Sequence[str] = REAL, variables: Mapping[str, str] | None = None
) -> subprocess.Popen[bytes]:
    """One more on the engine's database and spool; ``variables`` of its environment."""
    sources = str(Path(execution_engine.__path__[0]).parent)
    environment = {**os.environ, "KB_DEPLOYMENT_CONFIG": str(engine.data / "deploy.cfg"), **(variables or {})}
    environment["PYTHONPATH"] = os.pathsep.join([environment.get("PYTHONPATH", ""), sources]).lstrip(os.pathsep)
    with (engine.data / "logs" / "further-dispatchers.log").open("ab") as log:
        return subprocess.Popen([sys.executable, *arguments], env=environment, stdout=log, stderr=log)


def acting_dispatcher(engine: Stack) -> int | None:
    """The pid of the one that holds the lease; None if nobody does now."""
    held = {"_id": DISPATCH_LEASE, "$expr": {"$gt": ["$until", "$$NOW"]}}
    lease = engine.database().leases.find_one(held)
    return int(lease["owner"].split(":")[1]) if lease else None


@contextmanager
def halted(engine: Stack) -> Iterator[None]:
    """The engine's own dispatcher stands still as long as the block lasts, and has lost the lease at its beginning."""
    pid = engine.pid("dispatcher")
    kill(pid, number=signal.SIGSTOP)
    try:
        wait_until(lambda: acting_dispatcher(engine) is None, PATIENCE_SECONDS, "the end of the lease")
        yield
    finally:
        kill(pid, number=signal.SIGCONT)
