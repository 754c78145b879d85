"""Comparing what the records say with what the backends say, in bulk, and settling the difference."""

import datetime as dt
import logging
from collections.abc import Mapping

from bson import ObjectId

from execution_engine.backends.base import Absent, Found, Sighting, SightingState
from execution_engine.core import transitions
from execution_engine.core.causes import CAUSES, describe
from execution_engine.core.clock import now
from execution_engine.core.ids import parse_tag
from execution_engine.core.states import FINAL, Status
from execution_engine.core.transitions import Transition
from execution_engine.dispatch.desk import Desk
from execution_engine.dispatch.giving_up import confirm_cancel, give_up
from execution_engine.dispatch.post import Post
from execution_engine.store.database import Document

_log = logging.getLogger("execution_engine.dispatch")
Writes = list[tuple[ObjectId, Transition]]


class Reconciler:
    """Settles jobs that are gone, passes on cancels, adopts or releases claims that a crash left open, ends orphans."""

    def __init__(self, post: Post, desks: Mapping[str, Desk], submit_seconds: float, tries: int) -> None:
        self._post = post
        self._desks = desks
        self._submit_seconds = submit_seconds
        self._tries = tries

    def run(self) -> None:
        """One round over all backends."""
        # Read before the backends are asked: a job that ends in between has left the state that a settlement needs.
        in_flight = self._post.jobs.in_flight()
        for name, desk in self._desks.items():
            mine = [job for job in in_flight if job["backend"] == name]
            self._recover_claims(desk, [job for job in mine if "backend_id" not in job])
            self._settle(desk, {job["backend_id"]: job for job in mine if "backend_id" in job})

    def _settle(self, desk: Desk, jobs: Mapping[str, Document]) -> None:
        doomed = [backend_id for backend_id, job in jobs.items() if "cancel_requested" in job]
        if doomed:
            desk.ask(lambda backend: backend.cancel(doomed))
        # Asked also without jobs: some backends move on only when they are called.
        sightings = desk.ask(lambda backend: backend.poll(jobs))
        if not sightings:
            return
        writes: Writes = []
        for backend_id, sighting in sightings.items():
            job = jobs[backend_id]
            if sighting.state == SightingState.GONE:
                writes.append((job["_id"], self._end(job, sighting)))
            else:
                self._note_hold(job, sighting)
        self._post.write(writes)

    def _end(self, job: Document, sighting: Sighting, *, arrived: bool = True) -> Transition:
        """What ends an attempt of which nothing runs any more; ``arrived``: whether the backend ever had it."""
        attempt, started = job["attempt"]["n"], "runner" in job["attempt"]
        at = now()
        if "cancel_requested" in job:
            return confirm_cancel(at, attempt, started=started)
        if not started and not arrived:
            return transitions.release(at, attempt=attempt, note="the attempt never reached the backend")
        if not started:
            return give_up(at, job, self._tries, sighting.detail or "the backend lost the attempt before it began")
        return transitions.settle(
            at, attempt=attempt, to=Status.ERROR, cause=_cause(sighting), where={"cancel_requested": None}
        )

    def _note_hold(self, job: Document, sighting: Sighting) -> None:
        waits = sighting.state in (SightingState.WAITING, SightingState.HELD)
        hold = {"code": f"backend_{sighting.state}", "message": sighting.reason} if waits and sighting.reason else None
        if job["status"] == Status.QUEUED and job.get("hold") != hold:
            self._post.jobs.note_hold(job["_id"], hold)

    def _recover_claims(self, desk: Desk, jobs: list[Document]) -> None:
        """Claims without a backend's id: a dispatcher died, or the backend did not answer, between claim and record."""
        if not jobs:
            return
        tags = {job["attempt"]["tag"]: job for job in jobs}
        answers = desk.ask(lambda backend: backend.find(tags))
        if not answers:
            return
        at = now()
        patience = dt.timedelta(seconds=self._submit_seconds + desk.backend.settle_seconds)
        writes: Writes = []
        for tag, answer in answers.items():
            job = tags[tag]
            attempt = job["attempt"]["n"]
            if isinstance(answer, Found):
                writes.append((job["_id"], transitions.submitted(at, attempt=attempt, backend_id=answer.backend_id)))
                self._post.jobs.note_backend_id({(job["_id"], attempt): answer.backend_id})
            elif isinstance(answer, Absent) and at > job["attempt"]["claimed_at"] + patience:
                writes.append((job["_id"], self._end(job, Sighting(SightingState.GONE), arrived=False)))
        self._post.write(writes)

    def end_orphans(self) -> None:
        """Cancel whatever a backend holds for us that the records don't know as a job's current attempt."""
        for desk in self._desks.values():
            listed = desk.ask(lambda backend: backend.queue()) or []
            tags = {entry.backend_id: parsed for entry in listed if entry.tag and (parsed := parse_tag(entry.tag))}
            self._cancel_orphans(desk, self._orphans(tags))

    def _cancel_orphans(self, desk: Desk, orphans: list[str]) -> None:
        if orphans:
            _log.warning("backend %s: cancelling %d orphans", desk.backend.name, len(orphans))
            desk.ask(lambda backend: backend.cancel(orphans))

    def _orphans(self, tags: Mapping[str, tuple[ObjectId, int]]) -> list[str]:
        fields = {"status": 1, "attempt.n": 1}
        jobs = self._post.jobs.get_many({job_id for job_id, _ in tags.values()}, fields) if tags else {}
        return [backend_id for backend_id, (job_id, attempt) in tags.items() if _is_orphan(jobs.get(job_id), attempt)]


def _is_orphan(job: Document | None, attempt: int) -> bool:
    return job is None or job["status"] in FINAL or job["attempt"]["n"] != attempt


def _cause(sighting: Sighting) -> Document:
    if sighting.reason in CAUSES:
        return describe(sighting.reason, detail=sighting.detail)
    message = None
    if sighting.signal is not None:
        message = f"The job's runner was killed (signal {sighting.signal})."
    elif sighting.exit_code:
        message = f"The job's runner died (exit code {sighting.exit_code}) without reporting the job's end."
    return describe("runner_lost", message, detail=sighting.detail, exit_code=sighting.exit_code)
