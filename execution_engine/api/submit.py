"""run_job, run_jobs, retry_jobs."""

from execution_engine.api.callers import Rules
from execution_engine.api.views import error_view
from execution_engine.core import context as at_work
from execution_engine.core.errors import EngineError
from execution_engine.core.ids import parse_job_id
from execution_engine.jobs import control, submission
from execution_engine.jobs.engine import Engine
from execution_engine.jobs.identity import User
from execution_engine.rpc.registry import Registry
from execution_engine.store.database import Document


def register(registry: Registry, engine: Engine, rules: Rules) -> None:
    """Bind the methods of this module."""

    def run_job(user: User, params: Document) -> str:
        job_id = str(submission.run_job(engine, user, params))
        at_work.job.set(job_id)
        return job_id

    def run_jobs(user: User, params: Document) -> Document:
        batch_id, job_ids = submission.run_jobs(engine, user, params)
        at_work.job.set(str(batch_id))
        return {"batch_id": str(batch_id), "job_ids": [str(job_id) for job_id in job_ids]}

    def retry_jobs(user: User, params: Document) -> list[Document]:
        results = {job_id: _retry(engine, user, job_id) for job_id in dict.fromkeys(params["job_ids"])}
        return [results[job_id] for job_id in params["job_ids"]]

    registry.add("run_job", run_job, rules.submitter)
    registry.add("run_jobs", run_jobs, rules.submitter, large_body=True)
    registry.add("retry_jobs", retry_jobs, rules.controller)


def _retry(engine: Engine, user: User, job_id: str) -> Document:
    try:
        return {"job_id": job_id, "retry_id": str(control.retry(engine, user, parse_job_id(job_id)))}
    except EngineError as error:
        return {"job_id": job_id, "error": error_view(error)}
