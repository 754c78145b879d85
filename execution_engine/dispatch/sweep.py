"""Removing payloads that belong to no job: a submission that crashed after its first write, a report that lost."""

import datetime as dt

from bson import ObjectId

from execution_engine.core.clock import now
from execution_engine.core.states import FINAL
from execution_engine.store.database import Document
from execution_engine.store.jobs import JobStore
from execution_engine.store.payloads import PayloadStore

# Submissions older than this are over, one way or the other; those older than the reach were swept before.
SETTLED_AFTER = dt.timedelta(hours=1)
REACH = dt.timedelta(days=2)
_PAGE = 1_000


def sweep_orphans(jobs: JobStore, payloads: PayloadStore, at: dt.datetime | None = None) -> int:
    """Delete orphaned input and output documents of the last days; how many."""
    at = at or now()
    since, until = ObjectId.from_datetime(at - REACH), ObjectId.from_datetime(at - SETTLED_AFTER)
    swept = 0
    while keys := payloads.written_between(since, until, _PAGE):
        known = jobs.get_many({ObjectId(key[:24]) for key in keys}, {"status": 1, "active": 1, "output.key": 1})
        orphans = [key for key in keys if _is_orphan(key, known)]
        payloads.delete(orphans)
        swept += len(orphans)
        if len(keys) < _PAGE:
            break
        since = ObjectId(keys[-1][:24])
    return swept


def _is_orphan(key: str, known: dict[ObjectId, Document]) -> bool:
    job = known.get(ObjectId(key[:24]))
    if job is None:
        return True
    # While a job is active its report may be just about to be recorded.
    return not key.endswith(".in") and job["status"] in FINAL and job.get("output", {}).get("key") != key
