"""One attempt that lives, as the backend has it in memory; the truth is in its folder."""

import contextlib
import enum
import signal
import socket
import subprocess
import time

from execution_engine.backends.base import Requirements, Sighting, SightingState
from execution_engine.backends.local.job_folder import JobFolder, Started

_UNKNOWN_NEEDS = Requirements(cpus=1, memory_mb=0, disk_gb=0)
_LIMIT_MARGIN_SECONDS = 30.0  # the runner enforces the limit; this is for one that does not
_RESTART_SECONDS = 1.0  # between two tries to start a wrapper, when the machine can't start processes


class Phase(enum.Enum):
    """How far an attempt came. ENDED: the runner is gone; whether the app's processes are is another question."""

    WAITING = enum.auto()
    STARTING = enum.auto()
    RUNNING = enum.auto()
    ENDED = enum.auto()


class LocalJob:
    """Follows one folder; :meth:`observe` reads it again."""

    def __init__(self, folder: JobFolder, grace_seconds: float) -> None:
        self.folder = folder
        self.spec = folder.spec()
        self.phase = Phase.WAITING
        self.problem: str | None = None
        self._started: Started | None = None
        self._wrapper: subprocess.Popen[bytes] | None = None
        self._retry_at = 0.0
        self._rebooted = False
        self._killed = False
        self._confirmed_gone = False
        self._stop_cause = folder.stop_cause()
        self._grace_seconds = grace_seconds
        self._kill_at: float | None = None

    @property
    def needs(self) -> Requirements:
        """What it occupies while it runs."""
        return self.spec.requirements if self.spec else _UNKNOWN_NEEDS

    @property
    def order(self) -> int:
        """Sorts by time of arrival."""
        return self.spec.order if self.spec else 0

    @property
    def occupies(self) -> bool:
        """Whether its CPUs and memory are taken."""
        return self.phase in (Phase.STARTING, Phase.RUNNING)

    def may_start(self, now: float) -> bool:
        """Whether it waits, and not for a machine that could not start it a moment ago. ``now``: monotonic."""
        return self.phase is Phase.WAITING and now >= self._retry_at

    def observe(self, boot: str) -> None:
        """Finds out how far it came."""
        wrapper_lives = self._wrapper is not None and self._wrapper.poll() is None
        self._started = self._started or self.folder.started()
        if self._started is None:
            self._observe_before_start(wrapper_lives=wrapper_lives)
        elif self._runs(self._started, boot):
            self.phase = Phase.RUNNING
            self.folder.bound_runner_log()
        else:
            self.phase = Phase.ENDED

    def _observe_before_start(self, *, wrapper_lives: bool) -> None:
        if wrapper_lives:
            self.phase = Phase.STARTING
        elif self.spec is None:
            self.never_start()
        else:
            if self._wrapper is not None:
                self._wrapper = None
                self.delay_start(self.folder.runner_log_tail() or "the process that starts it ended")
            self.phase = Phase.WAITING

    def _runs(self, started: Started, boot: str) -> bool:
        if started.never or self.folder.exit_status() is not None:
            return False
        self._rebooted = started.boot != boot
        return not self._rebooted and self.folder.is_locked()

    def starting(self, wrapper: subprocess.Popen[bytes] | None) -> None:
        """A wrapper was started; None: by another engine process, which holds the lock."""
        self._wrapper = wrapper
        self.problem = None
        self.phase = Phase.STARTING

    def delay_start(self, problem: str) -> None:
        """The machine could not start it; it is tried again after a while."""
        self.problem = f"This machine could not start the job and will try again: {problem}."
        self._retry_at = time.monotonic() + _RESTART_SECONDS

    def never_start(self) -> bool:
        """Makes sure that it does not start; False if it has."""
        if self.phase in (Phase.WAITING, Phase.STARTING) and self.folder.never_start():
            self._started = self.folder.started()
            self.phase = Phase.ENDED
            return True
        return False

    @property
    def group_to_stop(self) -> int | None:
        """The process group of wrapper and runner, if the attempt runs and was not asked to stop before."""
        if self.phase is Phase.RUNNING and self._started and self._kill_at is None:
            return self._started.group
        return None

    def will_be_asked_to_stop(self, cause: str) -> None:
        """Notes why, before it is done: an engine that dies in between leaves the rest to the next one."""
        self._stop_cause = self._stop_cause or cause
        with contextlib.suppress(OSError):  # a full disk: then the cause is lost if the engine dies before the job
            self.folder.set_stop_cause(cause)

    def was_asked_to_stop(self) -> None:
        """The runner is to stop its app and report; after a grace it :meth:`is_overdue`."""
        self._kill_at = time.monotonic() + self._grace_seconds

    def due_stop(self) -> str | None:
        """The cause for which it must be asked to stop now: an unfinished order, or its run time."""
        if self.group_to_stop is None:
            return None
        return self._stop_cause or ("time_limit" if self._has_exceeded_limit() else None)

    def is_overdue(self, now: float) -> bool:
        """Whether it was asked to stop and did not in time. ``now``: monotonic."""
        return self.phase is Phase.RUNNING and self._kill_at is not None and now >= self._kill_at

    def _has_exceeded_limit(self) -> bool:
        if not self.spec or not self._started or self.spec.time_limit_s is None:
            return False
        return time.time() - self._started.at > self.spec.time_limit_s + _LIMIT_MARGIN_SECONDS

    def was_killed(self) -> None:
        """Its processes were killed by the backend."""
        self._killed = True

    def confirm_gone(self) -> None:
        """No process of it is left."""
        self._confirmed_gone = True

    def is_reaped(self) -> bool:
        """Whether no zombie of its wrapper is left."""
        return self._wrapper is None or self._wrapper.poll() is not None

    def sighting(self, waiting_reason: str | None = None) -> Sighting:
        """How it is. ``waiting_reason``: what holds it in the queue."""
        if self._confirmed_gone:
            return self.last_word()
        if self.phase in (Phase.WAITING, Phase.STARTING):
            return Sighting(SightingState.WAITING, reason=self.problem or waiting_reason or "Starts in a moment.")
        if self.phase is Phase.ENDED:
            return Sighting(SightingState.RUNNING, reason="Its last processes are being ended.", host=host())
        return Sighting(SightingState.RUNNING, host=host())

    def last_word(self) -> Sighting:
        """How it ended, for one that has been confirmed gone."""
        if self._started is None or self._started.never:
            cause = "cancelled_before_start" if self.spec else "backend_lost"
            detail = None if self.spec else "The job's folder was damaged before it began, perhaps by a power cut."
            return Sighting(SightingState.GONE, reason=cause, detail=detail)
        exit_code, signal_number = _decode(self.folder.exit_status())
        if self._killed and exit_code is None:
            signal_number = signal.SIGKILL
        reason = self._stop_cause
        if self._rebooted:
            reason, detail = "machine_rebooted", "The machine was restarted while the job ran."
        elif signal_number is not None:
            detail = f"The runner was ended by {_signal_name(signal_number)}."
        elif exit_code is None:
            detail = "The runner ended, and the process that watched it had been killed."
        else:
            tail = self.folder.runner_log_tail()
            detail = f"The runner ended with exit code {exit_code}{': ' + tail if tail and exit_code else '.'}"
        return Sighting(SightingState.GONE, reason, host(), exit_code, signal_number, detail)


def host() -> str:
    """The name of this machine."""
    return socket.gethostname()


def _decode(status: int | None) -> tuple[int | None, int | None]:
    """Exit code and signal of a shell's ``$?``."""
    if status is None:
        return None, None
    return (None, status - 128) if 128 < status <= 128 + signal.NSIG else (status, None)


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
