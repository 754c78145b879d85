"""Every index, with the query that it serves: one place.

Keys of lists end in ``_id``, so that a keyset cursor never meets a tie. Filters of partial indexes are plain
equalities: with ``$in`` there, MongoDB 6.0 scans the whole index.
"""

from dataclasses import dataclass, field
from typing import Any

from pymongo import ASCENDING, DESCENDING, IndexModel
from pymongo.database import Database
from pymongo.errors import OperationFailure

Key = list[tuple[str, int]]
_NEWEST: Key = [("created", DESCENDING), ("_id", DESCENDING)]
_LAST_ENDED: Key = [("finished", DESCENDING), ("_id", DESCENDING)]
_ENDED = {"finished": {"$exists": True}}
_NAMESPACE_EXISTS = 48


@dataclass(frozen=True, slots=True)
class Index:
    """One index: its collection, name, key, options, and the query that needs it."""

    collection: str
    name: str
    key: Key
    serves: str
    options: dict[str, Any] = field(default_factory=dict)


def _up(*names: str) -> Key:
    return [(name, ASCENDING) for name in names]


INDEXES: tuple[Index, ...] = (
    Index("jobs", "user_created", [*_up("user"), *_NEWEST], "list: mine"),
    Index("jobs", "user_status_created", [*_up("user", "status"), *_NEWEST], "list: mine by status"),
    Index("jobs", "user_method_created", [*_up("user", "method"), *_NEWEST], "list: mine by method"),
    Index("jobs", "user_app_created", [*_up("user", "app_id"), *_NEWEST], "list: mine by app"),
    Index(
        "jobs",
        "user_finished",
        [*_up("user"), *_LAST_ENDED],
        "list: mine by time of end",
        {"partialFilterExpression": _ENDED},
    ),
    Index("jobs", "wsid_created", [*_up("wsid"), *_NEWEST], "list: of a workspace", {"sparse": True}),
    Index(
        "jobs",
        "wsid_status_created",
        [*_up("wsid", "status"), *_NEWEST],
        "list: of a workspace by status",
        {"partialFilterExpression": {"wsid": {"$exists": True}}},
    ),
    Index(
        "jobs",
        "wsid_finished",
        [*_up("wsid"), *_LAST_ENDED],
        "list: of a workspace by time of end",
        {"partialFilterExpression": {"wsid": {"$exists": True}, "finished": {"$exists": True}}},
    ),
    Index(
        "jobs",
        "waiting",
        _up("status", "claimed", "client_group", "user", "created", "_id"),
        "dispatch: the heads of every user's queue in a group",
        {"partialFilterExpression": {"status": "created"}},
    ),
    Index(
        "jobs",
        "active",
        _up("active", "status", "client_group", "user", "_id"),
        "reconcile: all jobs in flight; what each user runs in a group",
        {"partialFilterExpression": {"active": True}},
    ),
    Index(
        "jobs",
        "cleanup",
        _up("cleanup", "_id"),
        "after the end: jobs with something left to do",
        {"partialFilterExpression": {"cleanup": True}},
    ),
    Index(
        "jobs",
        "idempotency",
        _up("user", "idempotency.key"),
        "submission: the same key again",
        {"unique": True, "partialFilterExpression": {"idempotency.key": {"$exists": True}}},
    ),
    Index("jobs", "batch", _up("batch_id", "status", "_id"), "a batch's jobs and their states", {"sparse": True}),
    Index("jobs", "retries", _up("retry_of", "_id"), "retries of a job", {"sparse": True}),
    Index(
        "batches",
        "idempotency",
        _up("user", "idempotency.key"),
        "submission: the same key again",
        {"unique": True, "partialFilterExpression": {"idempotency.key": {"$exists": True}}},
    ),
    Index("batches", "user_created", [*_up("user"), *_NEWEST], "batches: mine"),
    Index("job_logs", "job_first", _up("job", "first"), "a log's chunks in order, each place once", {"unique": True}),
    Index(
        "job_logs",
        "job_marker",
        _up("job", "marker"),
        "one marker line for each attempt",
        {"unique": True, "partialFilterExpression": {"marker": {"$exists": True}}},
    ),
    Index("job_logs", "job_since", _up("job", "until", "first"), "a log's first chunk with lines since a time"),
)


def ensure_indexes(database: Database[Any]) -> None:
    """Make the collections that need options, and all indexes; harmless when they exist."""
    try:
        # Repetitive text: zstd stores it in about half of what the default takes, at the same speed.
        compressed = {"wiredTiger": {"configString": "block_compressor=zstd"}}
        database.create_collection("job_logs", check_exists=False, storageEngine=compressed)
    except OperationFailure as error:
        # Processes that start together may all find it missing: only the server's own answer tells.
        if error.code != _NAMESPACE_EXISTS:
            raise
    for collection in sorted({index.collection for index in INDEXES}):
        models = [IndexModel(i.key, name=i.name, **i.options) for i in INDEXES if i.collection == collection]
        database[collection].create_indexes(models)
