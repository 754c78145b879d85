"""What backends hold for us that no record wants any more: all but active jobs' current attempts."""

import logging
from collections.abc import Mapping

from bson import ObjectId

from execution_engine.core.ids import parse_tag
from execution_engine.core.states import FINAL
from execution_engine.dispatch.desk import Desk
from execution_engine.store.database import Document
from execution_engine.store.jobs import JobStore

_log = logging.getLogger("execution_engine.dispatch")


def end_orphans(jobs: JobStore, desk: Desk) -> None:
    """Have a backend cancel attempts that were given up, and whatever it still runs of ended or unknown jobs."""
    listed = desk.queue()
    tags = {entry.backend_id: parsed for entry in listed if entry.tag and (parsed := parse_tag(entry.tag))}
    orphans = _orphans(jobs, tags)
    if orphans:
        _log.warning("backend %s: cancelling %d orphans", desk.backend.name, len(orphans))
        desk.ask(lambda backend: backend.cancel(orphans))


def _orphans(store: JobStore, tags: Mapping[str, tuple[ObjectId, int]]) -> list[str]:
    fields = {"status": 1, "claimed": 1, "attempt.n": 1}
    jobs = store.get_many({job_id for job_id, _ in tags.values()}, fields) if tags else {}
    return [backend_id for backend_id, (job_id, attempt) in tags.items() if _is_orphan(jobs.get(job_id), attempt)]


def _is_orphan(job: Document | None, attempt: int) -> bool:
    return job is None or job["status"] in FINAL or not job["claimed"] or job["attempt"]["n"] != attempt
