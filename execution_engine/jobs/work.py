"""What a running attempt is given to do, and its signs of life."""

import datetime as dt
import threading
from typing import Any

from bson import ObjectId
from cachetools import TTLCache

from execution_engine.core.clock import now
from execution_engine.core.errors import WrongState
from execution_engine.core.ids import parse_job_id
from execution_engine.core.states import Status
from execution_engine.jobs.attempts import credential_check
from execution_engine.jobs.engine import Engine
from execution_engine.store.database import Document
from execution_engine.store.payloads import input_key

LINES_PER_CALL = 1_000


def get_work(engine: Engine, credential: str, params: Document) -> Document:
    """Everything that the runner needs: method, parameters, app, limits, URLs and, if the app needs it, the token.

    Raises:
        CredentialInvalid
        WrongState: the attempt is not running (any more), so there is nothing to do.
    """
    job_id, attempt = parse_job_id(params["job_id"]), params["attempt"]
    job = credential_check(engine, credential, job_id, attempt)()
    if job["status"] != Status.RUNNING:
        raise WrongState(
            f"Job {job_id} is {job['status']}; only a running job hands out its work.", status=job["status"]
        )
    given = engine.payloads.get(input_key(job_id))
    settings = engine.settings
    work = {
        "job_id": str(job_id),
        "user": job["user"],
        "method": job["method"],
        "params": given["params"],
        "service_ver": job["service_ver"],
        "app": given["app"],
        "requirements": job["requirements"],
        "services": {
            "execution_engine": settings.worker_url,
            "workspace": settings.workspace_url,
            "auth": settings.auth_url,
            "catalog": settings.catalog_url,
        },
        "limits": {
            "output_bytes": settings.max_output_bytes,
            "line_chars": settings.max_line_chars,
            "lines_per_call": LINES_PER_CALL,
        },
    }
    work |= {name: job[name] for name in ("wsid", "app_id") if name in job}
    if "time_limit_s" in job["attempt"]:
        work["time_left_ms"] = _time_left(job)
    return work | _token(engine, job_id)


def _time_left(job: Document) -> int:
    """In ms; relative, because a worker's clock may be another."""
    passed: dt.timedelta = now() - job["running"]
    limit = dt.timedelta(seconds=job["attempt"]["time_limit_s"])
    return max(0, (limit - passed) // dt.timedelta(milliseconds=1))


def _token(engine: Engine, job_id: ObjectId) -> dict[str, str]:
    encrypted = engine.payloads.get_token(job_id)
    token = engine.cipher.decrypt(encrypted) if encrypted else None
    return {"token": token} if token else {}


class Heartbeats:
    """Takes signs of life, and writes down one for each job in heartbeat-write-seconds."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._lock = threading.Lock()
        self._written: TTLCache[ObjectId, int] = TTLCache(100_000, engine.settings.heartbeat_write_seconds)

    def heartbeat(self, credential: str, params: Document) -> dict[str, Any]:
        """Note that the attempt lives; answers whether it is to stop.

        Raises:
            CredentialInvalid
        """
        job_id, attempt = parse_job_id(params["job_id"]), params["attempt"]
        job = credential_check(self._engine, credential, job_id, attempt)()
        if job["active"] and self._is_due(job_id, attempt):
            self._engine.heartbeats.beat(job_id, attempt, now(), params.get("progress"))
        return {
            "cancel_requested": int("cancel_requested" in job),
            "heartbeat_ms": int(self._engine.settings.heartbeat_seconds * 1000),
        }

    def _is_due(self, job_id: ObjectId, attempt: int) -> bool:
        with self._lock:
            due = self._written.get(job_id) != attempt
            if due:
                self._written[job_id] = attempt
        return due
