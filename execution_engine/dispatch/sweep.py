"""Removing what nobody needs any more: payloads of submissions that crashed, late signs of life, old acts."""

import datetime as dt

from bson import ObjectId

from execution_engine.core.clock import now
from execution_engine.core.states import FINAL
from execution_engine.store.audit import AuditStore
from execution_engine.store.heartbeats import HeartbeatStore
from execution_engine.store.jobs import JobStore
from execution_engine.store.payloads import PayloadStore

# Submissions and heartbeats older than this are over, one way or the other.
SETTLED_AFTER = dt.timedelta(hours=1)
_PAGE = 1_000
_PAGES = 50  # in one go; the rest follows with the next
_FORGOTTEN_AT_ONCE = 500  # takes some ten milliseconds


def sweep_orphans(jobs: JobStore, payloads: PayloadStore, at: dt.datetime | None = None) -> int:
    """Delete the orphans among what was written since the last sweep, in order of the jobs' ids; how many."""
    since = payloads.swept_until()
    until = ObjectId.from_datetime((at or now()) - SETTLED_AFTER)
    swept = 0
    for _ in range(_PAGES):
        keys = payloads.written_between(since, until, _PAGE)
        known = jobs.get_many({ObjectId(key[:24]) for key in keys}, {"_id": 1})
        orphans = [key for key in keys if ObjectId(key[:24]) not in known]
        payloads.delete(orphans)
        swept += len(orphans)
        since = ObjectId(keys[-1][:24]) if len(keys) == _PAGE else until
        payloads.note_swept(since)
        if since == until:
            break
    return swept


def forget_late_heartbeats(jobs: JobStore, heartbeats: HeartbeatStore, at: dt.datetime | None = None) -> None:
    """Drop those that were on their way when their job ended, and so came after they were forgotten."""
    silent = heartbeats.silent_since((at or now()) - SETTLED_AFTER)
    known = jobs.get_many(silent, {"status": 1})
    heartbeats.forget(job_id for job_id in silent if known.get(job_id, {}).get("status") in {*FINAL, None})


def forget_old_acts(audit: AuditStore, keep_days: int, at: dt.datetime | None = None) -> int:
    """Delete the oldest entries of the audit that are older than so many days; how many. 0 days: none are, ever."""
    return audit.forget((at or now()) - dt.timedelta(days=keep_days), _FORGOTTEN_AT_ONCE) if keep_days else 0
