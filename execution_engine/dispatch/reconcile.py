"""Comparing what the records say with what the backends say, in bulk, and settling the difference.

========================================  ==============================================================================
what is seen                              what is done
========================================  ==============================================================================
claimed, without a backend's id           the backend is asked for the tag: adopted if there, released if not
gone, the end unreported                  another attempt, or the job's end with its cause (``giving_up``)
gone, its runner ended well               as above, after a while in which the report may still come (``unreported``)
gone, to be cancelled                     the job is terminated
held                                      shown; after ``held-seconds`` ended, or released if it had not begun
over its time                             the backend is asked to end it; then the job ends as ``time_limit``
to be cancelled or stopped, still there   the backend is asked again in every round
running here, waiting there               nothing: only GONE counts, and what a runner did is known better here
silent                                    nothing: the record shows when it was last heard of
in flight, its backend not configured     shown, until the backend is back; a cancel before the start is carried out
there, but not current here               cancelled (``orphans``)
a final state its runner has not heard    nothing: the runner repeats its report until it is answered
========================================  ==============================================================================
"""

import datetime as dt
from collections.abc import Mapping, Sequence

from bson import ObjectId

from execution_engine.backends.base import Sighting, SightingState
from execution_engine.core.clock import now
from execution_engine.core.states import Status
from execution_engine.core.transitions import Transition
from execution_engine.dispatch.desk import Desk
from execution_engine.dispatch.giving_up import confirm_cancel, end_of_attempt
from execution_engine.dispatch.open_claims import recover
from execution_engine.dispatch.orphans import end_orphans
from execution_engine.dispatch.post import Post
from execution_engine.dispatch.stopping import stop_held, stop_overdue
from execution_engine.dispatch.unreported import Unreported
from execution_engine.store.database import Document

Writes = list[tuple[ObjectId, Transition]]
Noted = tuple[Document | None, dt.datetime | None]
"""What holds a job, and since when its backend holds it; None where nothing is said."""


class Reconciler:
    """Settles the drift between the records and all backends, round by round."""

    def __init__(
        self, post: Post, desks: Mapping[str, Desk], submit_seconds: float, held_seconds: float, tries: int
    ) -> None:
        self._post = post
        self._desks = desks
        self._submit_seconds = submit_seconds
        self._held_seconds = held_seconds
        self._tries = tries
        self._unreported = Unreported()

    def run(self) -> None:
        """One round over all backends."""
        # Read before the backends are asked: a job that ends in between has left the state that a settlement needs.
        in_flight = self._post.jobs.in_flight()
        self._unreported.forget_others(in_flight)
        self._post.write([(job["_id"], stop) for job in in_flight if (stop := stop_overdue(now(), job))])
        for name, desk in self._desks.items():
            mine = [job for job in in_flight if job["backend"] == name]
            recover(
                self._post, desk, [job for job in mine if "backend_id" not in job], self._submit_seconds, self._tries
            )
            self._settle(desk, {job["backend_id"]: job for job in mine if "backend_id" in job})
        self._settle_homeless([job for job in in_flight if job["backend"] not in self._desks])

    def end_orphans(self) -> None:
        """Cancel whatever backends hold for us that the records don't know as a job's current attempt."""
        for desk in self._desks.values():
            end_orphans(self._post.jobs, desk)

    def _settle(self, desk: Desk, jobs: Mapping[str, Document]) -> None:
        doomed = [backend_id for backend_id, job in jobs.items() if _is_doomed(job)]
        if doomed:
            desk.ask(lambda backend: backend.cancel(doomed))
        # Asked also without jobs: some backends move on only when they are called.
        sightings = desk.ask(lambda backend: backend.poll(jobs))
        if not sightings:
            return
        seen = [(jobs[backend_id], sighting) for backend_id, sighting in sightings.items() if backend_id in jobs]
        at = now()
        self._post.write([(job["_id"], end) for job, sighting in seen if (end := self._next(at, job, sighting))])
        self._note({job["_id"]: (job, _noted(at, job, sighting)) for job, sighting in seen})

    def _next(self, at: dt.datetime, job: Document, sighting: Sighting) -> Transition | None:
        if sighting.state != SightingState.GONE:
            return stop_held(at, job, sighting, self._held_seconds)
        if self._unreported.may_still_come(at, job, sighting):
            return None
        return end_of_attempt(at, job, sighting, self._tries)

    def _settle_homeless(self, jobs: Sequence[Document]) -> None:
        """Jobs in flight whose backend was removed from the configuration: nobody can say how they are."""
        at = now()
        # What has not begun never will, once the job has ended.
        never = {"attempt.runner": None}
        self._post.write(
            [
                (job["_id"], confirm_cancel(at, job["attempt"]["n"], started=False, where=never))
                for job in jobs
                if "cancel_requested" in job and "runner" not in job["attempt"]
            ]
        )
        self._note({job["_id"]: (job, (_removed(job), None)) for job in jobs})

    def _note(self, noted: Mapping[ObjectId, tuple[Document, Noted]]) -> None:
        """Write down what holds the jobs, where that has changed."""
        changed = [
            (job, hold, since)
            for job, (hold, since) in noted.values()
            if (job.get("hold"), job["attempt"].get("held_since")) != (hold, since)
        ]
        self._post.jobs.note_holds(changed)


def _is_doomed(job: Document) -> bool:
    return "cancel_requested" in job or "stop_cause" in job["attempt"]


def _noted(at: dt.datetime, job: Document, sighting: Sighting) -> Noted:
    held = sighting.state == SightingState.HELD
    waits = held or (sighting.state == SightingState.WAITING and job["status"] != Status.RUNNING)
    hold = {"code": f"backend_{sighting.state}", "message": sighting.reason} if waits and sighting.reason else None
    return hold, job["attempt"].get("held_since", at) if held else None


def _removed(job: Document) -> Document:
    name = job["backend"]
    message = (
        f"The job is with the backend {name}, which was removed from the engine's configuration: "
        "how it is will be known when the operators put the backend back."
    )
    return {"code": "backend_removed", "message": message}
