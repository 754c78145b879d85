"""What a runner may do: begin its attempt, fetch the work, write log lines, give signs of life, report the end.

The start ticket is exchanged once for the attempt's credential; from then on the credential alone counts. Both live as
hashes in the job's own record, so that one document decides each act.
"""

import datetime as dt
from collections.abc import Callable, Sequence

from bson import ObjectId

from execution_engine.core import transitions
from execution_engine.core.clock import now, to_ms
from execution_engine.core.errors import CredentialInvalid, TicketUsed, WrongState
from execution_engine.core.ids import derive_credential, hash_secret, parse_job_id
from execution_engine.core.states import FINAL
from execution_engine.jobs.access import unknown_job
from execution_engine.jobs.engine import Engine
from execution_engine.store.database import Document
from execution_engine.store.log_chunks import Line


def start_job(engine: Engine, ticket: str, params: Document) -> Document:
    """Exchange the ticket for the credential; the job is then running.

    Raises:
        JobNotFound: there is no such job.
        CredentialInvalid: the ticket is not that of the job's current attempt.
        TicketUsed: another runner has begun this attempt.
        WrongState: the job has ended.
    """
    job_id, attempt, runner = parse_job_id(params["job_id"]), params["attempt"], params["runner"]
    credential, *older = (derive_credential(key, job_id, attempt, runner) for key in engine.cipher.derivation_keys)
    begin = transitions.start(
        now(),
        attempt=attempt,
        ticket_hash=hash_secret(ticket),
        runner=runner,
        credential_hash=hash_secret(credential),
        host=params.get("host"),
    )
    job = engine.jobs.apply(job_id, begin)
    if job is None:
        job = _begun_before(engine, job_id, attempt, ticket, runner)
        credential = _given_before(job, [credential, *older])
    return {
        "credential": credential,
        "first_line": _first_line(engine, job, attempt),
        "heartbeat_ms": int(engine.settings.heartbeat_seconds * 1000),
        "cancel_requested": int("cancel_requested" in job),
    }


def _begun_before(engine: Engine, job_id: ObjectId, attempt: int, ticket: str, runner: str) -> Document:
    """The job, if this very runner has begun this attempt already; else the reason why it may not begin."""
    job = engine.jobs.get(job_id)
    if job is None:
        raise unknown_job(job_id)
    held = job["attempt"]
    if held["n"] != attempt or held.get("ticket") != hash_secret(ticket):
        raise CredentialInvalid(f"The start ticket is not that of job {job_id}'s current attempt ({held['n']}).")
    if job["status"] in FINAL:
        raise WrongState(f"Job {job_id} has ended ({job['status']}); there is nothing to start.", status=job["status"])
    if held.get("runner") != runner:
        raise TicketUsed(f"Another runner has started attempt {attempt} of job {job_id}.")
    return job


def _given_before(job: Document, credentials: Sequence[str]) -> str:
    """The one of the credentials that the runner was given when it began: before a key was added, an older one."""
    for credential in credentials:
        if hash_secret(credential) == job["attempt"]["credential"]:
            return credential
    raise CredentialInvalid(f"The key that made the credential of job {job['_id']} is no longer in the key file.")


def _first_line(engine: Engine, job: Document, attempt: int) -> int:
    """The number of the attempt's first line; a line that says so separates it from what an earlier one has written."""
    begun = [entry for entry in job["history"] if entry["event"] == "lost"]
    if not begun:
        return 0  # attempts that never began have written nothing
    line = Line(f"--- attempt {attempt} begins; attempt {begun[-1]['attempt']} was lost ---", "system", to_ms(now()))
    return engine.logs.mark_attempt(job["_id"], attempt, line)


def credential_check(engine: Engine, credential: str, job_id: ObjectId, attempt: int) -> Callable[[], Document]:
    """A function that answers the job as it is now, if the credential is (still) that of its current attempt.

    It raises CredentialInvalid otherwise: another job's or attempt's credential, or too long after the end.
    """
    digest = hash_secret(credential)

    def check() -> Document:
        job = engine.read_job.get(job_id)
        held = job["attempt"] if job else {}
        if job is None or held.get("n") != attempt or held.get("credential") != digest:
            raise CredentialInvalid(f"The credential is not that of job {job_id}'s current attempt.")
        grace = dt.timedelta(seconds=engine.settings.credential_grace_seconds)
        if "finished" in job and now() > job["finished"] + grace:
            raise CredentialInvalid(
                f"Job {job_id} ended {job['finished']:%Y-%m-%d %H:%M} UTC; its credential has expired."
            )
        return job

    return check


def add_lines(
    engine: Engine, credential: str, job_id: ObjectId, attempt: int, first_line: int | None, lines: Sequence[Line]
) -> tuple[int, bool]:
    """Append log lines; the number of the next line, and whether the job is to stop.

    Without ``first_line`` they go wherever the log ends, and a repeated call repeats them.

    Raises:
        LogGap: lines are missing before these.
        CredentialInvalid
    """
    check = credential_check(engine, credential, job_id, attempt)
    seen: list[Document] = []

    def still_allowed() -> None:
        seen.append(check())

    if first_line is None:
        next_line = engine.logs.append(job_id, attempt, lines, still_allowed)
    else:
        next_line = engine.logs.add(job_id, attempt, first_line, lines, still_allowed)
    return next_line, "cancel_requested" in seen[-1]
