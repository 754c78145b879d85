"""Jobs on an engine whose dispatcher does nothing: tests hand them out themselves, and hold the runners' secrets."""

import secrets
from dataclasses import dataclass
from typing import Any

from bson import ObjectId

from execution_engine.core import transitions
from execution_engine.core.clock import now
from execution_engine.core.ids import attempt_tag, derive_credential, hash_secret, new_ticket
from execution_engine.store.jobs import JobStore
from execution_engine.store.tokens import load_cipher
from test.conftest import Stack

IDLE = "[execution_engine]\ndispatch-interval-ms = 3600000\nlease-seconds = 3600\n"
"""Settings with which the dispatcher takes its post and then leaves everything as it is."""

METHOD = "sequence_tools.count_kmers"


@dataclass(frozen=True)
class Runner:
    """Somebody with a start ticket and a credential for an attempt, good or not."""

    attempt: int
    name: str
    ticket: str
    credential: str


@dataclass(frozen=True)
class Job:
    """A running job: the runner of its current, second attempt, and the one of the first, which was given up."""

    id: str
    runner: Runner
    old: Runner


class Desk:
    """Does the dispatcher's part of the work."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._jobs = JobStore(stack.database())
        self._key = load_cipher(str(stack.data / "secret.key")).derivation_keys[0]

    def running(self, owner: str, **params: Any) -> Job:
        """A job of ``owner`` in its second attempt."""
        job_id = self._stack.call("run_job", {"method": METHOD, "params": [{"k": 3}], **params}, owner)
        given_up = self._claimed(job_id, 1)
        self._apply(job_id, transitions.release(now(), attempt=1, note="lost before it began"))
        return Job(job_id, self._begun(job_id, self._claimed(job_id, 2)), given_up)

    def ended(self, owner: str, **params: Any) -> Job:
        """A job of ``owner`` that has completed."""
        job = self.running(owner, **params)
        report = {"job_id": job.id, "attempt": 2, "outcome": "completed", "output": [{"answer": 42}]}
        answer = self._stack.post("finish_job", report, Authorization=job.runner.credential)
        assert answer.result == {"status": "completed", "accepted": 1}
        return job

    def _claimed(self, job_id: str, attempt: int) -> Runner:
        ticket, name = new_ticket(), secrets.token_urlsafe(16)
        claim = transitions.claim(
            now(),
            attempt=attempt,
            tag=attempt_tag(ObjectId(job_id), attempt),
            ticket_hash=hash_secret(ticket),
            claim_id=secrets.token_hex(8),
            backend="local",
        )
        self._apply(job_id, claim)
        return Runner(attempt, name, ticket, derive_credential(self._key, ObjectId(job_id), attempt, name))

    def _begun(self, job_id: str, runner: Runner) -> Runner:
        params = {"job_id": job_id, "attempt": runner.attempt, "runner": runner.name}
        answer = self._stack.post("start_job", params, Authorization=runner.ticket)
        assert answer.result["credential"] == runner.credential
        return runner

    def _apply(self, job_id: str, transition: transitions.Transition) -> None:
        assert self._jobs.apply(ObjectId(job_id), transition)
