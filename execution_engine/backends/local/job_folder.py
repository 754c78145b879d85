"""One attempt on disk: a folder named by its tag, and the small files in it that say how far it came.

==============  =======================================================================================================
``spec.json``   what was submitted
``ticket``      the start ticket, for the runner
``alive.lock``  locked as long as wrapper or runner live
``started``     made once: the wrapper's process group and the boot it runs in; or that it shall never start
``stop``        made once: that the attempt was asked to stop, and why
``exit``        the runner's exit status as the shell says it, 128 + n for signal n
``gone``        the last word about the attempt
``runner.log``  what the runner itself printed
==============  =======================================================================================================

Every file is there whole or not at all. The runner keeps its own files beside them.
"""

import contextlib
import fcntl
import itertools
import json
import os
from dataclasses import asdict, dataclass
from io import FileIO
from pathlib import Path
from typing import Any, BinaryIO

from execution_engine.backends.base import Requirements, Sighting, SightingState, Submission

_NEVER = "never"
_LOG_BYTES = 2**20
_LOG_TAIL_CHARS = 300
_numbers = itertools.count()


@dataclass(frozen=True, slots=True)
class JobSpec:
    """What is kept of a submission; ``order`` sorts by time of arrival; ``uid`` is the number of its own account."""

    job_id: str
    attempt: int
    client_group: str
    requirements: Requirements
    time_limit_s: int | None
    order: int
    uid: int | None = None

    @classmethod
    def of(cls, job: Submission, order: int, uid: int | None = None) -> "JobSpec":
        """The spec of a submission."""
        return cls(job.job_id, job.attempt, job.client_group, job.requirements, job.time_limit_s, order, uid)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "JobSpec":
        """The inverse of :func:`dataclasses.asdict`."""
        return cls(**{**values, "requirements": Requirements(**values["requirements"])})


@dataclass(frozen=True, slots=True)
class Started:
    """The fact that an attempt began: its process group, its boot and when (Unix time); or that it never shall."""

    group: int
    boot: str
    at: float

    @property
    def never(self) -> bool:
        """Whether a cancel was faster than every wrapper."""
        return self.boot == _NEVER


class JobFolder:
    """Reads and writes the files of one attempt."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def tag(self) -> str:
        """The attempt's tag."""
        return self.path.name

    @property
    def ticket(self) -> Path:
        """The file with the start ticket."""
        return self.path / "ticket"

    def fill(self, spec: JobSpec, ticket: str) -> None:
        """Writes what the attempt needs to start, onto the disk itself."""
        for path, text in ((self.path / "spec.json", json.dumps(asdict(spec))), (self.ticket, ticket)):
            with open(path, "x", encoding="utf-8", opener=_private) as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())

    def spec(self) -> JobSpec | None:
        """What was submitted; None if the file is damaged."""
        try:
            return JobSpec.from_json(json.loads((self.path / "spec.json").read_text("utf-8")))
        except (FileNotFoundError, ValueError, TypeError, KeyError):
            return None

    def started(self) -> Started | None:
        """Whether, and as what, the attempt began."""
        path = self.path / "started"
        try:
            group, boot = path.read_text().split()
            return Started(int(group), boot, path.stat().st_mtime)
        except FileNotFoundError:
            return None
        except ValueError:  # lost in a power cut: it began, in a boot that is over
            return Started(0, "unknown", 0.0)

    def never_start(self) -> bool:
        """Takes the start away from every wrapper; False if one was faster."""
        return self._write_once("started", f"0 {_NEVER}\n")

    def stop_cause(self) -> str | None:
        """Why the attempt was asked to stop; None if it was not."""
        try:
            return (self.path / "stop").read_text().strip()
        except FileNotFoundError:
            return None

    def set_stop_cause(self, cause: str) -> None:
        """Notes that it was asked to stop; the first cause stays."""
        self._write_once("stop", cause)

    def exit_status(self) -> int | None:
        """The runner's exit status; None as long as it runs, and for ever if the wrapper was killed."""
        try:
            return int((self.path / "exit").read_text())
        except (FileNotFoundError, ValueError):
            return None

    def gone(self) -> Sighting | None:
        """The last word; None if it was not spoken yet."""
        try:
            values = json.loads((self.path / "gone").read_text("utf-8"))
            return Sighting(**{**values, "state": SightingState(values["state"])})
        except FileNotFoundError:
            return None
        except (ValueError, TypeError, KeyError):
            return Sighting(SightingState.GONE)

    def set_gone(self, sighting: Sighting) -> None:
        """Speaks the last word, and removes the ticket, which is of no use any more."""
        self._write_once("gone", json.dumps(asdict(sighting)))
        self.ticket.unlink(missing_ok=True)

    def try_lock(self) -> int | None:
        """A descriptor that holds the lock until it and all of its copies are closed; None if the lock is held."""
        descriptor = os.open(self.path / "alive.lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return None
        return descriptor

    def is_locked(self) -> bool:
        """Whether wrapper or runner live."""
        descriptor = self.try_lock()
        if descriptor is not None:
            os.close(descriptor)
        return descriptor is None

    def open_runner_log(self) -> BinaryIO:
        """The file for what the runner itself prints, for appending."""
        return FileIO(os.open(self.path / "runner.log", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600), "a")

    def bound_runner_log(self) -> None:
        """Empties a log that grew beyond a mebibyte; the runner goes on writing in the same file."""
        path = self.path / "runner.log"
        with contextlib.suppress(FileNotFoundError):
            if path.stat().st_size > _LOG_BYTES:
                os.truncate(path, 0)

    def runner_log_tail(self) -> str:
        """The last line that the runner itself printed, cut to a readable length."""
        try:
            lines = (self.path / "runner.log").read_text("utf-8", "replace").strip().splitlines()
        except FileNotFoundError:
            return ""
        return lines[-1][-_LOG_TAIL_CHARS:] if lines else ""

    def _write_once(self, name: str, text: str) -> bool:
        """Makes a file, whole or not at all; False if it was there."""
        temporary = self.path / f"{name}.{os.getpid()}.{next(_numbers)}"
        with open(temporary, "x", encoding="utf-8", opener=_private) as file:
            file.write(text)
        try:
            os.link(temporary, self.path / name)
        except FileExistsError:
            return False
        finally:
            temporary.unlink()
        return True


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
