"""Accepting jobs: everything is checked first, then one write makes the job, or the whole batch, exist."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

from bson import ObjectId

from execution_engine.core.clock import now
from execution_engine.core.errors import (
    AppMisconfigured,
    AppNotFound,
    BatchTooLarge,
    IdempotencyConflict,
    ObjectNotReadable,
    ParametersTooLarge,
)
from execution_engine.core.ids import new_job_id
from execution_engine.core.json_text import canonical_json, to_json
from execution_engine.core.states import Status
from execution_engine.jobs.access import Role, require_submit
from execution_engine.jobs.apps import resolve_app
from execution_engine.jobs.audit import Act, note
from execution_engine.jobs.engine import Engine
from execution_engine.jobs.identity import User
from execution_engine.jobs.outlook import Outlook
from execution_engine.jobs.queue_limit import queue_room
from execution_engine.jobs.requirements import choose
from execution_engine.store.database import Document
from execution_engine.store.payloads import input_document


@dataclass(frozen=True, slots=True)
class Prepared:
    """A job that may be stored: its record and its input document."""

    record: Document
    payload: Document


def run_job(
    engine: Engine,
    user: User,
    params: Document,
    *,
    retry_of: ObjectId | None = None,
    retry_role: Role | None = None,
) -> ObjectId:
    """Submit one job; its id, once the job is recorded durably.

    The same idempotency key with the same request answers the id of the first. ``retry_of``: the job that is run again,
    and ``retry_role`` by which right.

    Raises:
        IdempotencyConflict: the key was used with another request.
        WorkspaceNotFound, PermissionDenied: the workspace, or the client group, can't be used.
        AppNotFound, AppMisconfigured, ClientGroupNotFound, RequirementsTooLarge, ObjectNotReadable, ParametersTooLarge:
            what the message names.
        QueueLimitReached: the user would have too many waiting jobs.
        CatalogUnavailable, WorkspaceUnavailable: something could not be checked.
    """
    if earlier := _submitted_before(engine, user, params):
        return _same_request(earlier, _idempotency(params))
    role = require_submit(engine, user, params.get("wsid"))
    _require_objects(engine, user, params.get("source_ws_objects", []))
    job = prepare(engine, user, role, params, wsid=params.get("wsid"), outlook=engine.outlook.read)
    after: Document = {name: job.record[name] for name in ("status", "method", "wsid") if name in job.record}
    if retry_of is None:
        job.record["outbox"] = [note(Act.SUBMIT, user, role, after=after)]
    else:
        job.record["retry_of"] = retry_of
        after["retry_of"] = str(retry_of)
        job.record["outbox"] = [note(Act.RETRY, user, retry_role or role, after=after)]
    job.record.update(_idempotency(params))
    with queue_room(engine, user.name, 1, repeatable="idempotency" in job.record) as most:
        engine.payloads.put_inputs([job.payload])
        earlier = engine.jobs.insert(job.record, most)
    return job.record["_id"] if earlier is None else _same_request(earlier, job.record)


def run_jobs(engine: Engine, user: User, params: Document) -> tuple[ObjectId, list[ObjectId]]:
    """Submit a batch: all of its jobs exist afterwards, or none; the batch's id and theirs, in order.

    Raises:
        BatchTooLarge, and as :func:`run_job`; the message names the job.
    """
    asked = params["jobs"]
    if len(asked) > engine.settings.max_batch_jobs:
        raise BatchTooLarge(f"The batch has {len(asked):,} jobs; up to {engine.settings.max_batch_jobs:,} are taken.")
    if earlier := _submitted_before(engine, user, params):
        batch_id = _same_request(earlier, _idempotency(params))
        return batch_id, engine.jobs.batch_job_ids(batch_id)
    wsid = params.get("wsid")
    role = require_submit(engine, user, wsid)
    _require_objects(engine, user, [ref for job in asked for ref in job.get("source_ws_objects", [])])
    batch = _new_record(user, wsid)
    batch.update(_idempotency(params))
    after = {"status": Status.CREATED, "jobs": len(asked)} | ({} if wsid is None else {"wsid": wsid})
    batch["outbox"] = [note(Act.SUBMIT_BATCH, user, role, after=after)]
    outlook = cache(engine.outlook.read)
    jobs = [_prepare_of_batch(engine, user, role, job, wsid, outlook, f"jobs[{n}]") for n, job in enumerate(asked)]
    for n, job in enumerate(jobs):
        job.record.update(batch_id=batch["_id"], batch_n=n)
    with queue_room(engine, user.name, len(jobs), repeatable="idempotency" in batch) as most:
        engine.payloads.put_inputs([job.payload for job in jobs])
        earlier = engine.jobs.insert_batch(batch, [job.record for job in jobs], most)
    if earlier is None:
        return batch["_id"], [job.record["_id"] for job in jobs]
    batch_id = _same_request(earlier, batch)
    return batch_id, engine.jobs.batch_job_ids(batch_id)


def _prepare_of_batch(
    engine: Engine,
    user: User,
    role: Role,
    asked: Document,
    wsid: int | None,
    outlook: Callable[[], Outlook],
    path: str,
) -> Prepared:
    try:
        return prepare(engine, user, role, asked, wsid=wsid, outlook=outlook, path=path)
    except (AppNotFound, AppMisconfigured) as error:
        raise type(error)(f"{path}: {error.message}") from error


def prepare(
    engine: Engine,
    user: User,
    role: Role,
    asked: Document,
    *,
    wsid: int | None,
    outlook: Callable[[], Outlook],
    path: str = "params",
) -> Prepared:
    """Check one job's own parameters and build its two halves; nothing is written.

    ``role``: the submitter's. ``outlook``: called if the job needs more than any job of its client group.
    """
    app = resolve_app(engine, asked["method"], asked.get("service_ver"))
    params = to_json(asked.get("params", []))
    limit = engine.settings.max_params_bytes
    if len(params) > limit:
        raise ParametersTooLarge(
            f"{path}: the parameters of {asked['method']} have {len(params):,} bytes; up to {limit:,} are taken. "
            "Save large input as a workspace object and pass its reference."
        )
    choice = choose(engine, user, asked, app, outlook, path)
    record = _new_record(user, wsid) | {
        "method": asked["method"],
        "service_ver": app.commit,
        "client_group": choice.client_group,
        "requirements": choice.requirements,
        "params_bytes": len(params),
        "status": Status.CREATED,
        "active": True,
        "claimed": False,
        "attempt": {"n": 0},
    }
    record |= {name: asked[name] for name in ("app_id", "source_ws_objects") if asked.get(name)}
    if app.placement.constraints:
        record["constraints"] = dict(app.placement.constraints)
    record["updated"] = record["created"]
    begin = {"at": record["created"], "event": "created", "status": Status.CREATED, "actor": user.name, "role": role}
    record["history"] = [begin]
    text = b'{"params":%s,"app":%s}' % (params, to_json(app.launch))
    token = engine.cipher.encrypt(user.token) if app.needs_token else None
    return Prepared(record, input_document(record["_id"], text, token, record["created"]))


def _new_record(user: User, wsid: int | None) -> Document:
    record: Document = {"_id": new_job_id(), "user": user.name, "created": now()}
    if wsid is not None:
        record["wsid"] = wsid
    return record


def _require_objects(engine: Engine, user: User, refs: list[str]) -> None:
    unreadable = engine.workspace.unreadable_objects(sorted(set(refs)), user.token) if refs else []
    if unreadable:
        raise ObjectNotReadable(
            f"source_ws_objects: {', '.join(unreadable[:10])} "
            f"{'does' if len(unreadable) == 1 else 'do'} not exist, or you may not read "
            f"{'it' if len(unreadable) == 1 else 'them'}."
        )


def _submitted_before(engine: Engine, user: User, params: Document) -> Document | None:
    """The job or batch that the user submitted with the same idempotency key, whichever method it was."""
    key = params.get("idempotency_key")
    return engine.jobs.submitted_before(user.name, key) or engine.jobs.batch_submitted_before(user.name, key)


def _idempotency(params: Document) -> Document:
    """What the record remembers of the request, if it came with a key."""
    if "idempotency_key" not in params:
        return {}
    digest = hashlib.sha256(canonical_json(params)).hexdigest()
    return {"idempotency": {"key": params["idempotency_key"], "digest": digest}}


def _same_request(earlier: Document, record: Document) -> ObjectId:
    first: Any = earlier["_id"]
    asked, before = record.get("idempotency"), earlier.get("idempotency")
    if asked and before and asked["digest"] != before["digest"]:
        raise IdempotencyConflict(
            f"idempotency_key {asked['key']!r} was used before, with another request, for {first}; "
            "use a new key for a new request.",
            job_id=str(first),
        )
    return ObjectId(first)
