"""Finding jobs for somebody: their records, and the details that were asked for."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from bson import ObjectId

from execution_engine.core.errors import EngineError, WrongState
from execution_engine.core.states import FINAL, NOT_STARTED, Status, derive_batch_status
from execution_engine.jobs.access import Sight, require_all, roles_or_errors, sight_of, unknown_job
from execution_engine.jobs.audit import Act, note_reading
from execution_engine.jobs.engine import Engine
from execution_engine.jobs.holds import find_holds, find_silence
from execution_engine.jobs.identity import User
from execution_engine.jobs.queue.places import find_places
from execution_engine.store.database import Document
from execution_engine.store.payloads import input_key

PARAMS, OUTPUT, CONTACT, RETRIES, HOLD, HIDDEN = "params", "output", "contact", "retries", "hold", "hidden"
PLACE = "place"
ALL_DETAILS = frozenset({PARAMS, OUTPUT, CONTACT, RETRIES, HOLD, HIDDEN, PLACE})
OMITTED = "omitted"
PAYLOAD_BYTES = 16_000_000  # of all params and outputs in one answer about more than one job
_RECORD_FIELDS = ("_id", "user", "wsid", "method", "app_id", "status", "active", "batch", "children", "batch_id")
_TIMES = ("created", "estimating", "queued", "running", "finished", "updated")


@dataclass(slots=True)
class Found:
    """One job as somebody may see it. A detail that was not asked for, or that the job has not, is missing."""

    record: Document
    details: dict[str, Any] = field(default_factory=dict)


def find_job(engine: Engine, user: User, job_id: ObjectId, details: frozenset[str] = ALL_DETAILS) -> Found:
    """One job, or batch.

    Raises:
        JobNotFound: there is none, or the user may not read it.
        WorkspaceUnavailable
    """
    found, errors = find_jobs(engine, user, [job_id], details)
    if job_id in errors:
        raise errors[job_id]
    return found[job_id]


def find_jobs(
    engine: Engine, user: User, job_ids: Sequence[ObjectId], details: frozenset[str]
) -> tuple[dict[ObjectId, Found], dict[ObjectId, EngineError]]:
    """Jobs by id, and the reasons for those that the user can't be shown."""
    records = engine.read_job.get_many(job_ids)
    missing = [job_id for job_id in job_ids if job_id not in records]
    if missing:
        records |= find_batches(engine, missing)
    seen, errors = _sights(engine, user, records.values())
    found: dict[ObjectId, Found] = {}
    for job_id in job_ids:
        if job_id in records and seen.get(job_id, Sight.NONE) > Sight.NONE:
            found[job_id] = Found(shown(records[job_id], seen[job_id]))
        elif job_id not in errors:
            errors[job_id] = unknown_job(job_id)
    add_details(engine, user, [found[i] for i in found if seen[i] == Sight.ALL], details)
    return found, errors


def _sights(
    engine: Engine, user: User, records: Iterable[Document]
) -> tuple[dict[ObjectId, Sight], dict[ObjectId, EngineError]]:
    """What the user may see; where the Workspace can't tell, that is the error of those jobs alone."""
    roles, errors = roles_or_errors(engine, user, records)
    return {job_id: sight_of(role) for job_id, role in roles.items()}, errors


def shown(record: Document, seen: Sight) -> Document:
    """As much of a record as may be seen."""
    if seen == Sight.ALL:
        return record
    return {name: record[name] for name in (*_RECORD_FIELDS, *_TIMES) if name in record}


def find_batches(engine: Engine, batch_ids: Sequence[ObjectId]) -> dict[ObjectId, Document]:
    """Batches as records of their own: their status, and their jobs by status, derived."""
    batches = engine.jobs.get_batches(batch_ids)
    counts = engine.jobs.batch_counts(list(batches)) if batches else {}
    for batch_id, batch in batches.items():
        status = derive_batch_status(counts[batch_id])
        batch |= {"batch": 1, "children": counts[batch_id], "status": status, "active": status not in FINAL}
        batch["updated"] = batch["created"]
    return batches


def add_details(engine: Engine, user: User, found: Iterable[Found], details: frozenset[str]) -> None:
    """Fill in the details, each kind for all jobs at once. The jobs must be ones that the user may see whole.

    What of params and outputs is beyond PAYLOAD_BYTES is left out; the detail OMITTED names it.
    """
    jobs = {item.record["_id"]: item for item in found if "batch" not in item.record}
    for item in jobs.values() if HIDDEN in details else ():
        if user.name in item.record.get("hidden_by", ()):
            item.details[HIDDEN] = 1
    if details & {PARAMS, OUTPUT}:
        _add_payloads(engine, user, jobs, details)
    if RETRIES in details:
        retried = [job_id for job_id, item in jobs.items() if "retried" in item.record]
        for job_id, retries in (engine.jobs.retries_of(retried) if retried else {}).items():
            jobs[job_id].details[RETRIES] = retries
    _add_contact(engine, jobs, details)
    _add_waiting(engine, jobs, details)


def _add_contact(engine: Engine, jobs: dict[ObjectId, Found], details: frozenset[str]) -> None:
    """When runners were heard of, and which have been silent for too long."""
    running = [job_id for job_id, item in jobs.items() if item.record["status"] == Status.RUNNING]
    if not running or not details & {CONTACT, HOLD}:
        return
    beats = engine.heartbeats.get_many(running)
    if CONTACT in details:
        for job_id, beat in beats.items():
            jobs[job_id].details[CONTACT] = beat
    if HOLD in details:
        for job_id in running:
            heard = beats[job_id]["at"] if job_id in beats else jobs[job_id].record["running"]
            if silence := find_silence(engine.settings, heard):
                jobs[job_id].details[HOLD] = silence


def _add_waiting(engine: Engine, jobs: dict[ObjectId, Found], details: frozenset[str]) -> None:
    """What jobs wait for, and where."""
    if HOLD in details:
        for job_id, hold in find_holds(engine, [item.record for item in jobs.values()]).items():
            jobs[job_id].details[HOLD] = hold
    if PLACE in details:
        waiting = [item.record for item in jobs.values() if item.record["status"] in NOT_STARTED]
        for job_id, place in find_places(engine, waiting).items():
            jobs[job_id].details[PLACE] = place


def _add_payloads(engine: Engine, user: User, jobs: dict[ObjectId, Found], details: frozenset[str]) -> None:
    keys: dict[str, tuple[Found, str]] = {}
    left = PAYLOAD_BYTES
    for item in jobs.values():
        for name, key, size in _payloads(item.record):
            if name not in details:
                continue
            if size > left and len(jobs) > 1:
                item.details.setdefault(OMITTED, []).append(name)
                continue
            left -= size
            keys[key] = (item, name)
    for name, act in ((PARAMS, Act.READ_INPUT), (OUTPUT, Act.READ_OUTPUT)):
        note_reading(engine, user, (item.record for item, of_it in keys.values() if of_it == name), act)
    values = engine.payloads.remembered(keys)
    values |= engine.read_payload.get_many(key for key in keys if key not in values)
    for key, value in values.items():
        item, name = keys[key]
        item.details[name] = value["params"] if name == PARAMS else value


def _payloads(record: Document) -> Iterator[tuple[str, str, int]]:
    """What the job has of PARAMS and OUTPUT: the name, the key in the store, the bytes of its JSON."""
    yield PARAMS, input_key(record["_id"]), record.get("params_bytes", 0)  # older jobs do not say
    if "output" in record:
        yield OUTPUT, record["output"]["key"], record["output"]["bytes"]


def readable_job(engine: Engine, user: User, job_id: ObjectId) -> Document:
    """The record of a job whose log, input and output the user may read.

    Raises:
        JobNotFound, PermissionDenied, WorkspaceUnavailable
        WrongState: the id is a batch's.
    """
    job = engine.read_job.get(job_id)
    if job is None and (batch := engine.jobs.get_batch(job_id)):
        require_all(engine, user, batch, job_id)
        raise WrongState(f"{job_id} is a batch; ask for its jobs, each has its own log and report.")
    return require_all(engine, user, job, job_id)
