"""Ending jobs in AWE, step by step over many calls.

To delete a job that runs would leave its process running and its worker out of order, for ever in 0.9.68. So it is
suspended, its worker is waited for, and then it is deleted.
"""

import logging
import time
from collections.abc import Callable, Iterable

from execution_engine.backends.awe.documents import ACTIVE_STATES, AweJob
from execution_engine.backends.awe.server import Answer, AweServer
from execution_engine.backends.awe.sightings import Judge
from execution_engine.backends.awe.workers import Workers

_log = logging.getLogger(__name__)
_MEMORY_SECONDS = 3600.0


class Cancelling:
    """The jobs that the engine wants ended. It asks again and again, so nothing must outlive this process."""

    def __init__(self, server: AweServer, judge: Judge) -> None:
        self._server = server
        self._judge = judge
        self._wanted: dict[str, float] = {}
        self._under_way: set[str] = set()

    def __contains__(self, job_id: str) -> bool:
        return job_id in self._wanted

    def begin(self, job_ids: Iterable[str]) -> None:
        """These are to be ended."""
        now = time.monotonic()
        self._wanted = {job_id: asked for job_id, asked in self._wanted.items() if asked > now - _MEMORY_SECONDS}
        new = dict.fromkeys(job_ids, now)
        self._wanted |= new
        self._under_way |= new.keys()

    def advance(self, look: Callable[[Iterable[str]], tuple[dict[str, AweJob], Workers]]) -> None:
        """Does what can be done now. ``look`` tells how jobs and workers are, the jobs first.

        Twice, since what has not begun can be deleted as soon as it is suspended.
        """
        for _ in range(2):
            if not self._under_way:
                return
            jobs, workers = look(self._under_way)
            self._under_way &= jobs.keys()
            stopped = [self._step(job, workers) for job in jobs.values()]
            if not any(stopped):
                return

    def _step(self, job: AweJob, workers: Workers) -> bool:
        """Whether something was done of which the outcome is worth a look."""
        if job.finished or job.failed:
            self._under_way.discard(job.id)
        elif job.state in ACTIVE_STATES:
            return self._suspend(job)
        elif job.state != "suspend":
            self._under_way.discard(job.id)
        elif self._judge.dropped(job, workers):
            self._ask(self._server.delete, job, "")
            self._under_way.discard(job.id)
        return False

    def _suspend(self, job: AweJob) -> bool:
        if self._ask(self._server.put, job, "?suspend"):
            return True
        if not job.registered and not job.started:
            # After a restart without recovery AWE may not find it in its queue; then no worker can have it either.
            self._ask(self._server.delete, job, "")
        return False

    def _ask(self, call: Callable[[str], Answer], job: AweJob, operation: str) -> bool:
        answer = call(f"/job/{job.id}{operation}")
        if not answer.ok:
            _log.warning("AWE does not end %s (%s, %s): %s", job.tag or job.id, job.id, job.state, answer.error)
        return answer.ok
