"""The attempts that live, and what is done about them: start what fits, end what is over time, confirm what is gone."""

import contextlib
import os
import subprocess
import time
from collections.abc import Callable, Iterable, Sequence

from execution_engine.backends.local import processes, slots
from execution_engine.backends.local.job import LocalJob, Phase
from execution_engine.backends.local.slots import Room
from execution_engine.backends.local.spool import Spool

Launch = Callable[[LocalJob, int], subprocess.Popen[bytes]]
"""Starts the wrapper of a job; the second argument is the descriptor that holds the lock of its folder."""

_LOOK_SECONDS = 0.05


class JobTable:
    """The spool's living attempts, by tag. Raises OSError where the spool does."""

    def __init__(self, spool: Spool, room: Room, grace_seconds: float, launch: Launch) -> None:
        self.jobs: dict[str, LocalJob] = {}
        self.room = room
        self._spool = spool
        self._grace_seconds = grace_seconds
        self._launch = launch
        self._boot = processes.boot_identity()
        self._unreaped: list[LocalJob] = []
        self._stopping = False

    def advance(self) -> None:
        """Takes note of what happened since the last call, and does what follows from it."""
        self._read_spool()
        self._enforce()
        self._bury([job for job in self.jobs.values() if job.phase is Phase.ENDED])
        if not self._stopping:
            self._start_waiting()

    def waiting(self) -> list[LocalJob]:
        """Those that did not begin, in the order in which they will."""
        return sorted((job for job in self.jobs.values() if job.phase is Phase.WAITING), key=lambda job: job.order)

    def occupying(self) -> list[LocalJob]:
        """Those that have CPUs and memory."""
        return [job for job in self.jobs.values() if job.occupies]

    def free(self) -> Room:
        """What they leave."""
        return self.room.minus(job.needs for job in self.occupying())

    def cancel(self, tags: Iterable[str]) -> None:
        """What has not begun never will; what runs is asked to stop."""
        begun = [job for tag in tags if (job := self.jobs.get(tag)) and not job.never_start()]
        for job in begun:
            job.observe(self._boot)
        self._stop(begun, "cancelled")

    def start_no_more(self) -> None:
        """From now on what waits goes on waiting."""
        self._stopping = True

    def stop_all(self, timeout_seconds: float) -> None:
        """Asks all that run to stop, waits, and kills what did not."""
        deadline = time.monotonic() + timeout_seconds
        while self._stop_occupying() and time.monotonic() < deadline:
            time.sleep(_LOOK_SECONDS)
        self._kill(self.occupying())
        self.advance()

    def _stop_occupying(self) -> bool:
        self.advance()
        self._stop(self.occupying(), "engine_stopped")
        return bool(self.occupying())

    def _read_spool(self) -> None:
        tags = self._spool.tags()
        for tag in self.jobs.keys() - tags:
            self._drop(tag)
        for tag in tags:
            # A folder that can't be read, or that another process has just moved, must not stop all the others.
            with contextlib.suppress(OSError):
                job = self.jobs.get(tag) or LocalJob(self._spool.living(tag), self._grace_seconds)
                job.observe(self._boot)
                self.jobs[tag] = job
        self._unreaped = [job for job in self._unreaped if not job.is_reaped()]

    def _enforce(self) -> None:
        now = time.monotonic()
        for job in self.jobs.values():
            if cause := job.due_stop():
                self._stop([job], cause)
        self._kill([job for job in self.jobs.values() if job.is_overdue(now)])

    def _stop(self, jobs: Iterable[LocalJob], cause: str) -> None:
        groups = {job: group for job in jobs if (group := job.group_to_stop) is not None}
        for job in groups:
            job.will_be_asked_to_stop(cause)
        processes.terminate({job.folder.tag: group for job, group in groups.items()})
        for job in groups:
            job.was_asked_to_stop()

    def _kill(self, jobs: Sequence[LocalJob]) -> None:
        processes.kill_all([job.folder.tag for job in jobs])
        for job in jobs:
            job.was_killed()
            job.observe(self._boot)

    def _bury(self, ended: Sequence[LocalJob]) -> None:
        """Speaks the last word about those of which no process is left."""
        left = processes.kill_all([job.folder.tag for job in ended])
        for job in ended:
            if job.folder.tag not in left:
                job.confirm_gone()
                with contextlib.suppress(OSError):  # a full disk: the next call tries again
                    self._spool.end(job.folder, job.last_word())
                    self._drop(job.folder.tag)

    def _drop(self, tag: str) -> None:
        self._unreaped.append(self.jobs.pop(tag))

    def _start_waiting(self) -> None:
        now = time.monotonic()
        waiting = [job for job in self.waiting() if job.may_start(now)]
        for job in waiting[: slots.startable([job.needs for job in waiting], self.free())]:
            self._start(job)

    def _start(self, job: LocalJob) -> None:
        lock = job.folder.try_lock()
        if lock is None:  # another process of the engine is starting it
            job.starting(None)
            return
        try:
            job.starting(self._launch(job, lock))
        except OSError as error:
            job.delay_start(error.strerror or str(error))
        finally:
            os.close(lock)
