"""What the tests of backends need of a system that executes jobs: one subclass for each kind, with stand-in runners."""

import json
import os
import secrets
import shutil
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from execution_engine.backends.base import Accepted, Backend, Requirements, Sighting, SightingState, Submission

STAND_IN = Path(__file__).with_name("stand_in_runner.py")


class System(ABC):
    """A system that is up, empty, and big enough for ``cpus`` and ``memory_mb`` together, on one machine of it.

    ``signs`` is the folder over which tests and stand-in runners talk.
    """

    cpus = 8
    memory_mb = 8000
    packs = True
    """Whether a job takes what it asks for; else it takes the whole machine."""
    forgets = True
    """Whether the backend can make the system forget an ended attempt."""

    def __init__(self, folder: Path, signs_name: str = "signs") -> None:
        self.folder = folder
        self.signs = folder / signs_name
        self.signs.mkdir()
        self.tags: list[str] = []

    @abstractmethod
    def backend(self) -> Backend:
        """A new instance over the same system, as after a restart of the engine."""

    def with_signs(self, name: str) -> "System":
        """The same system, whose runners are told another folder."""
        return type(self)(self.folder, name)

    def submission(self, *, cpus: int = 1, memory_mb: int = 100, **changes: Any) -> Submission:
        job = secrets.token_hex(12)
        values = {
            "tag": f"ee.{job}.1",
            "job_id": job,
            "attempt": 1,
            "ticket": f"eet_{job}",
            "requirements": Requirements(cpus, memory_mb, 1),
            "client_group": "njs",
            "user": "alice",
            **changes,
        }
        self.tags.append(values["tag"])
        return Submission(**values)

    def tell(self, job: Submission, sign: str, text: str = "") -> None:
        """Puts an order for the runner of the job."""
        fresh = self.signs / f".{job.job_id}.{sign}"
        fresh.write_text(text)
        fresh.rename(self.signs / f"{job.job_id}.{sign}")

    def runs(self, job: Submission) -> list[dict[str, Any]]:
        """What each runner of the job noted when it began."""
        try:
            return [json.loads(line) for line in (self.signs / f"{job.job_id}.began").read_text().splitlines()]
        except FileNotFoundError:
            return []

    @abstractmethod
    def break_down(self) -> None:
        """From now on the system can't be used by backends that exist and by those that are made."""

    @abstractmethod
    def repair(self) -> None:
        """Undoes :meth:`break_down`."""

    @abstractmethod
    def hide(self, job: Submission) -> None:
        """Makes the system unable to say whether it has the job, which was never submitted."""

    @abstractmethod
    def end(self) -> None:
        """Leaves no process and no job of the test behind."""

    def remove_signs(self) -> None:
        """The last runners end when they find no folder."""
        shutil.rmtree(self.signs, ignore_errors=True)


def alive(pids: Iterable[int]) -> list[int]:
    """Those that run; zombies don't."""
    found = []
    for pid in pids:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            continue
        if state not in "ZX" and pid != os.getpid():
            found.append(pid)
    return found


def until(condition: Callable[[], Any], seconds: float = 30.0) -> Any:
    """What ``condition`` answers once it is true."""
    deadline = time.monotonic() + seconds
    while not (answer := condition()):
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.02)
    return answer


def submit(backend: Backend, *jobs: Submission) -> list[str]:
    """The ids that the backend gave to the jobs, all of which it must accept."""
    outcome = backend.submit(jobs)
    accepted = [outcome[job.tag] for job in jobs]
    return [one.backend_id for one in accepted if isinstance(one, Accepted) or pytest.fail(f"{one}")]


def until_state(backend: Backend, backend_id: str, state: SightingState) -> Sighting:
    """The first sighting of the attempt in the state."""

    def seen() -> Sighting | None:
        sighting = backend.poll([backend_id])[backend_id]
        return sighting if sighting.state is state else None

    found: Sighting = until(seen)
    return found
