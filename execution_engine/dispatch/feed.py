"""Handing waiting jobs to backends: claim, submit, record; a crash between any two is mended later (see recovery)."""

import logging
import uuid
from collections import Counter
from collections.abc import Mapping, Sequence

from bson import ObjectId

from execution_engine.backends.base import Accepted, Backend, Refused, Requirements, Submission, Unknown
from execution_engine.config import ClientGroupSettings
from execution_engine.core import transitions
from execution_engine.core.causes import describe
from execution_engine.core.clock import now
from execution_engine.core.ids import attempt_tag, hash_secret, new_ticket
from execution_engine.core.states import NOT_STARTED, Status
from execution_engine.core.transitions import Transition
from execution_engine.dispatch.desk import Desk
from execution_engine.dispatch.post import Post
from execution_engine.dispatch.turns import Turns
from execution_engine.store.database import Document

_log = logging.getLogger("execution_engine.dispatch")


class Feed:
    """Keeps the backends supplied, each group's users in turn."""

    def __init__(self, post: Post, groups: Sequence[ClientGroupSettings], desks: dict[str, Desk]) -> None:
        self._post = post
        self._groups = groups
        self._desks = desks
        self._turns = {group.name: Turns() for group in groups}

    def run(self) -> int:
        """Hand out what fits now; how many jobs were handed out."""
        if not self._post.jobs.any_waiting():
            return 0
        in_flight = self._post.jobs.in_flight()
        return sum(self._feed_group(group, in_flight) for group in self._groups)

    def _feed_group(self, group: ClientGroupSettings, in_flight: list[Document]) -> int:
        for name in group.backends:
            desk = self._desks[name]
            if desk.takes_jobs:
                waiting = sum(job["backend"] == name and job["status"] != Status.RUNNING for job in in_flight)
                room = desk.ahead(group.feed_ahead) - waiting
                return self._hand_out(group.name, desk, room, in_flight) if room > 0 else 0
        return 0

    def _hand_out(self, group: str, desk: Desk, room: int, in_flight: list[Document]) -> int:
        heads = self._post.jobs.queue_heads(group)
        load = Counter(job["user"] for job in in_flight if job["client_group"] == group)
        shares = self._turns[group].divide(room, heads, load)
        chosen = [job for user, share in shares.items() for job in self._post.jobs.waiting_of(group, user, share)]
        return self._submit(desk, chosen) if chosen else 0

    def _submit(self, desk: Desk, chosen: Sequence[Document]) -> int:
        submissions = {job["_id"]: _submission(job) for job in chosen}
        claimed = self._claim(desk.backend, submissions)
        if not claimed:
            return 0
        outcomes = desk.ask(lambda backend: backend.submit(list(claimed.values())))
        if outcomes is None:
            # Nobody knows what the backend has of them: recovery asks for their tags.
            return 0
        self._record(claimed, outcomes)
        desk.note_handover(full=any(isinstance(it, Refused) and it.transient for it in outcomes.values()))
        return len(claimed)

    def _claim(self, backend: Backend, submissions: dict[ObjectId, Submission]) -> dict[ObjectId, Submission]:
        """Write the attempts down before the backend hears of them; those that were still to be had."""
        claim_id = uuid.uuid4().hex
        at = now()
        self._post.write(
            [
                (
                    job_id,
                    transitions.claim(
                        at,
                        attempt=submission.attempt,
                        tag=submission.tag,
                        ticket_hash=hash_secret(submission.ticket),
                        claim_id=claim_id,
                        backend=backend.name,
                    ),
                )
                for job_id, submission in submissions.items()
            ]
        )
        got = self._post.jobs.claimed_by(claim_id, list(submissions))
        return {job_id: submission for job_id, submission in submissions.items() if job_id in got}

    def _record(
        self, claimed: dict[ObjectId, Submission], outcomes: Mapping[str, Accepted | Refused | Unknown]
    ) -> None:
        writes: list[tuple[ObjectId, Transition]] = []
        backend_ids: dict[tuple[ObjectId, int], str] = {}
        at = now()
        for job_id, submission in claimed.items():
            outcome = outcomes[submission.tag]
            if isinstance(outcome, Unknown):
                continue  # recovery asks for its tag
            if isinstance(outcome, Accepted):
                writes.append((job_id, _queued(submission, outcome)))
                backend_ids[job_id, submission.attempt] = outcome.backend_id
            elif outcome.transient:
                release = transitions.release(at, attempt=submission.attempt, note=outcome.message)
                writes.append((job_id, release))
            else:
                cause = describe("backend_refused", outcome.message)
                end = transitions.settle(
                    at, attempt=submission.attempt, to=Status.ERROR, cause=cause, leaves=NOT_STARTED
                )
                writes.append((job_id, end))
        self._post.write(writes)
        # A quick runner may have begun before its job was recorded as queued; the id belongs there all the same.
        self._post.jobs.note_backend_id(backend_ids)


def _submission(job: Document) -> Submission:
    attempt = job["attempt"]["n"] + 1
    needs = job["requirements"]
    return Submission(
        tag=attempt_tag(job["_id"], attempt),
        job_id=str(job["_id"]),
        attempt=attempt,
        ticket=new_ticket(),
        requirements=Requirements(needs["cpus"], needs["memory_mb"], needs["disk_gb"]),
        client_group=job["client_group"],
        user=job["user"],
    )


def _queued(submission: Submission, outcome: Accepted) -> Transition:
    return transitions.submitted(now(), attempt=submission.attempt, backend_id=outcome.backend_id)
