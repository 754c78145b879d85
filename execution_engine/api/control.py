"""cancel_job, cancel_jobs."""

from execution_engine.api.callers import Rules
from execution_engine.api.views import error_view, with_ms
from execution_engine.core.errors import EngineError
from execution_engine.core.ids import parse_job_id
from execution_engine.jobs.control import cancel
from execution_engine.jobs.engine import Engine
from execution_engine.jobs.identity import User
from execution_engine.rpc.registry import Registry
from execution_engine.store.database import Document


def register(registry: Registry, engine: Engine, rules: Rules) -> None:
    """Bind the methods of this module."""

    def cancel_one(user: User, job_id: str, reason: str | None) -> Document:
        result = cancel(engine, user, parse_job_id(job_id), reason)
        if "cancel_requested" in result:
            result["cancel_requested"] = with_ms(result["cancel_requested"])
        return result

    def cancel_job(user: User, params: Document) -> Document:
        return cancel_one(user, params["job_id"], params.get("reason"))

    def cancel_jobs(user: User, params: Document) -> Document:
        jobs: Document = {}
        errors: Document = {}
        for job_id in dict.fromkeys(params["job_ids"]):
            try:
                jobs[job_id] = cancel_one(user, job_id, params.get("reason"))
            except EngineError as error:
                errors[job_id] = error_view(error)
        return {"jobs": jobs, "errors": errors}

    registry.add("cancel_job", cancel_job, rules.controller)
    registry.add("cancel_jobs", cancel_jobs, rules.controller)
