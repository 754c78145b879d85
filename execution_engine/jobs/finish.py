"""The report of an attempt's end: the first one decides, the same one may come again."""

import hashlib
from typing import Any

from bson import ObjectId

from execution_engine.core import transitions
from execution_engine.core.causes import describe
from execution_engine.core.clock import now
from execution_engine.core.errors import AlreadyFinished, InvalidParams, WrongState
from execution_engine.core.ids import hash_secret, parse_job_id
from execution_engine.core.json_text import canonical_json, to_json
from execution_engine.core.states import FINAL, Status
from execution_engine.jobs.attempts import credential_check
from execution_engine.jobs.engine import Engine
from execution_engine.kbase.reports import find_report_refs
from execution_engine.store.database import Document
from execution_engine.store.payloads import output_key

_DEFAULT_CAUSES = {Status.ERROR: "app_error", Status.TERMINATED: "cancelled"}
# Told to stop by the system that runs it: only that knows why, and the job may be tried again (dispatch/giving_up).
_INTERRUPTED = "runner_stopped"
_NOUNS: dict[type, str] = {str: "a string", dict: "an object", bool: "a boolean"}


def finish_job(engine: Engine, credential: str, params: Document) -> Document:
    """Settle the job as its runner reports; status, and whether this report is the one that decided.

    Raises:
        CredentialInvalid: not the current attempt's credential.
        AlreadyFinished: the job has ended otherwise than this report says.
        InvalidParams: the output is no list.
        WrongState: the report says terminated, but nobody asked for that.
    """
    job_id, attempt = parse_job_id(params["job_id"]), params["attempt"]
    job = credential_check(engine, credential, job_id, attempt)()
    said = {name: params.get(name) for name in ("outcome", "output", "cause")}
    digest = hashlib.sha256(canonical_json(said)).hexdigest()
    if job["status"] in FINAL and job["attempt"].get("finish") != digest:
        raise _too_late(job)  # before its output is stored for nothing
    to, result = _result(engine, job_id, attempt, params, digest)
    decisive = {"attempt": attempt, "credential_hash": hash_secret(credential), "digest": digest}
    if to == Status.ERROR and result["cause"]["code"] == _INTERRUPTED:
        end = transitions.interrupted(now(), cause=result["cause"], **decisive)
    else:
        end = transitions.finish(now(), to=to, result=result, **decisive)
    if decided := engine.jobs.apply(job_id, end):
        return {"status": decided["status"], "accepted": 1}
    return _decided_before(engine, job_id, attempt, digest)


def _result(
    engine: Engine, job_id: ObjectId, attempt: int, params: Document, digest: str
) -> tuple[Status, dict[str, Any]]:
    """The final status and the fields that come with it; an output is stored first, under the report's own key.

    A method that returns nothing has an output of null, which is none.
    """
    to = Status(params["outcome"])
    if to != Status.COMPLETED:
        cause = params.get("cause") or {"code": _DEFAULT_CAUSES[to]}
        return to, {"cause": describe(**cause)}
    output = params.get("output")
    if output is None:
        return to, {}
    if not isinstance(output, list):
        found = _NOUNS.get(type(output), "a number")
        raise InvalidParams(
            f"params.output: expected an array, the values that the method returned, or null; found {found}"
        )
    text = to_json(output)
    limit = engine.settings.max_output_bytes
    if len(text) > limit:
        message = f"The app's result has {len(text):,} bytes; the engine keeps up to {limit:,}."
        return Status.ERROR, {"cause": describe("output_too_large", message)}
    key = output_key(job_id, attempt, digest)
    engine.payloads.put_output(key, text, now())
    result: dict[str, Any] = {"output": {"key": key, "bytes": len(text)}}
    if refs := find_report_refs(output):
        result["reports"] = refs
    return to, result


def _decided_before(engine: Engine, job_id: ObjectId, attempt: int, digest: str) -> Document:
    job = engine.jobs.get(job_id) or {}
    if job.get("attempt", {}).get("finish") == digest:
        return {"status": job["status"], "accepted": 1}
    engine.payloads.delete([output_key(job_id, attempt, digest)])
    if job.get("status") in FINAL:
        raise _too_late(job)
    if "interrupted" in job.get("attempt", {}):
        raise AlreadyFinished(f"Job {job_id}'s runner has reported before that it was stopped.", status=job["status"])
    raise WrongState(f"Job {job_id} can't be terminated by its runner: nobody has asked to cancel it.")


def _too_late(job: Document) -> AlreadyFinished:
    return AlreadyFinished(
        f"Job {job['_id']} has ended ({job['status']}), before this report and not as it says.", status=job["status"]
    )
