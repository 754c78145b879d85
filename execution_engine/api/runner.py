"""start_job, get_job_params, heartbeat, finish_job: what runners call (add_job_logs stands with the logs)."""

from execution_engine.api.callers import Rules
from execution_engine.jobs.attempts import start_job
from execution_engine.jobs.engine import Engine
from execution_engine.jobs.finish import finish_job
from execution_engine.jobs.work import Heartbeats, get_work
from execution_engine.rpc.registry import Registry
from execution_engine.store.database import Document


def register(registry: Registry, engine: Engine, rules: Rules) -> None:
    """Bind the methods of this module."""
    heartbeats = Heartbeats(engine)

    def start(ticket: str, params: Document) -> Document:
        return start_job(engine, ticket, params)

    def get_job_params(credential: str, params: Document) -> Document:
        return get_work(engine, credential, params)

    def finish(credential: str, params: Document) -> Document:
        return finish_job(engine, credential, params)

    registry.add("start_job", start, rules.ticket)
    registry.add("get_job_params", get_job_params, rules.attempt)
    registry.add("heartbeat", heartbeats.heartbeat, rules.attempt)
    registry.add("finish_job", finish, rules.attempt, large_body=True)
