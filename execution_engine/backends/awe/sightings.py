"""What AWE's states mean. Its state alone says little: only its workers know what still runs."""

import re
import time
from collections.abc import Callable
from dataclasses import dataclass

from execution_engine.backends.awe.documents import ACTIVE_STATES, WAITING_STATES, AweJob, Worker
from execution_engine.backends.awe.workers import Workers
from execution_engine.backends.base import Sighting, SightingState

NOT_STARTED_EXIT = 3  # the runner's: the engine did not let it start, for instance because another one has
_MEMORY_SECONDS = 24 * 3600.0
_EXIT = re.compile(r"exit status (\d+)")


@dataclass(frozen=True, slots=True)
class Delays:
    """How long something must have been so until it is believed; seconds.

    ``drop``: a worker of 0.9.68 that was given a job does not say that it runs it; longer than its heartbeats are
    apart, and than AWE takes to recover its queue. ``stop``: a worker has dropped a job; as long as the rest of the
    job's processes may take to end. ``lost``: AWE has given up a job whose processes may live on.
    """

    drop: float = 45.0
    stop: float = 25.0
    lost: float = 900.0


class Since:
    """Since when something has been so, for each job: as far as this process has seen."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._began: dict[tuple[str, str], float] = {}

    def seconds(self, job_id: str, what: str) -> float:
        """For how long ``what`` has been so of the job; from now on if it was not until now."""
        now = self._clock()
        if (job_id, what) not in self._began:
            self._began = {key: began for key, began in self._began.items() if began > now - _MEMORY_SECONDS}
        return now - self._began.setdefault((job_id, what), now)

    def forget(self, job_id: str, *whats: str) -> None:
        """It is not so now."""
        for what in whats:
            self._began.pop((job_id, what), None)


class Judge:
    """Says how a job is, from its record and from what the workers say."""

    def __init__(self, delays: Delays, since: Since) -> None:
        self._delays = delays
        self._since = since

    def sighting(self, job: AweJob, workers: Workers, *, cancelled: bool, notes: str) -> Sighting:
        """How it is.

        ``cancelled``: the engine wants it ended. ``notes``: what the worker noted of a command that failed.
        """
        if job.finished:
            return Sighting(SightingState.GONE, exit_code=0, detail="The runner ended with exit code 0.")
        if job.state in WAITING_STATES:
            return self._waiting(job, workers.running(job.id))
        if job.state in ACTIVE_STATES:
            return self._in_progress(job, workers.running(job.id) or workers.assigned(job.id))
        if worker := workers.running(job.id):
            self._since.forget(job.id, "dropped", "lost")
            return _still_running(job, worker)
        if job.failed:
            return self._failed(job, notes, self._delays.stop if cancelled else self._delays.lost)
        return (
            self._stopped(job, workers, cancelled=cancelled) if job.started else _never_begun(job, cancelled=cancelled)
        )

    def dropped(self, job: AweJob, workers: Workers) -> bool:
        """Whether no worker runs a job that AWE has stopped, so that it may be deleted."""
        if workers.running(job.id):
            self._since.forget(job.id, "dropped")
            return False
        if not job.started:
            return True
        waited = self._since.seconds(job.id, "dropped")
        return waited >= self._delays.drop or not workers.assigned(job.id)

    def missing(self, job_id: str, worker: Worker | None) -> Sighting:
        """How a job is that AWE has no record of."""
        if worker:
            reason = "AWE has no record of it any more, but a worker still runs it."
            return Sighting(SightingState.RUNNING, reason=reason, host=worker.host)
        self._since.forget(job_id, "dropped", "lost")
        return Sighting(SightingState.GONE, detail="AWE has no record of it, and no worker runs it.")

    def _waiting(self, job: AweJob, worker: Worker | None) -> Sighting:
        if worker:
            reason = "AWE was restarted and has queued it again, but its worker still runs it."
            return Sighting(SightingState.RUNNING, reason=reason, host=worker.host)
        if self._forgotten(job):
            return Sighting(SightingState.HELD, reason=_UNREGISTERED, cause="held")
        return Sighting(SightingState.WAITING, reason="It waits for a worker of its group.")

    def _forgotten(self, job: AweJob) -> bool:
        """Whether AWE has it in its database alone, and not because it has just come or is being recovered."""
        if job.registered:
            self._since.forget(job.id, "unregistered")
            return False
        return self._since.seconds(job.id, "unregistered") >= self._delays.drop

    def _in_progress(self, job: AweJob, worker: Worker | None) -> Sighting:
        if worker:
            self._since.forget(job.id, "lost")
            return Sighting(SightingState.RUNNING, host=worker.host)
        if job.registered:
            return Sighting(SightingState.RUNNING, reason="AWE has lost the worker that ran it, and will run it again.")
        reason = "AWE was restarted without recovery of its jobs, and no worker says that it runs it."
        return self._lost(job, reason, self._delays.lost)

    def _failed(self, job: AweJob, notes: str, patience: float) -> Sighting:
        """Its command ended by itself, after all of its processes."""
        text = "; ".join(dict.fromkeys(part for part in (job.notes, notes) if part))
        found = _EXIT.search(text)
        code = int(found[1]) if found else None
        if code == NOT_STARTED_EXIT:
            reason = "AWE ran it once more, which the engine refused; the first run may go on."
            return self._lost(job, reason, patience, code)
        return Sighting(SightingState.GONE, exit_code=code, detail=f"AWE says: {text}")

    def _stopped(self, job: AweJob, workers: Workers, *, cancelled: bool) -> Sighting:
        """It was suspended or deleted after it had begun."""
        waited = self._since.seconds(job.id, "dropped")
        enough = self._delays.stop + (self._delays.drop if workers.assigned(job.id) else 0)
        if waited < enough:
            return Sighting(SightingState.RUNNING, reason="AWE has stopped it; its last processes are being ended.")
        cause = "cancelled" if cancelled else "removed" if job.state == "deleted" else "runner_stopped"
        return Sighting(
            SightingState.GONE, cause, detail=f"AWE has it as {job.state}: {job.notes or 'it says no more'}."
        )

    def _lost(self, job: AweJob, reason: str, patience: float, code: int | None = None) -> Sighting:
        """AWE can't say whether it runs. In the end that counts as gone, lest the job be left open for ever."""
        if self._since.seconds(job.id, "lost") < patience:
            return Sighting(SightingState.UNKNOWN, reason=reason)
        return Sighting(SightingState.GONE, "runner_lost", exit_code=code, detail=reason)


_UNREGISTERED = (
    "AWE was restarted without recovery of its jobs and will not run it "
    "until an administrator of AWE recovers them (PUT /job?recoverall)."
)


def _still_running(job: AweJob, worker: Worker) -> Sighting:
    if job.state == "deleted":
        reason = "It was deleted in AWE while it ran. Its worker runs it on, and may need a restart afterwards."
    else:
        reason = f"AWE has it as {job.state}; its worker has not dropped it yet."
    return Sighting(SightingState.RUNNING, reason=reason, host=worker.host)


def _never_begun(job: AweJob, *, cancelled: bool) -> Sighting:
    if job.state == "deleted":
        return Sighting(
            SightingState.GONE, "cancelled_before_start" if cancelled else "removed", detail=job.notes or None
        )
    if cancelled:
        return Sighting(SightingState.WAITING, reason="It is being taken out of AWE's queue.")
    reason = (
        f"AWE has it as {job.state}, and will not run it until somebody resumes it: {job.notes or 'no reason given'}."
    )
    return Sighting(SightingState.HELD, reason=reason, cause="held")
