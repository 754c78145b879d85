"""Every index, with the query that it serves: one place.

Keys of lists end in ``_id``, so that a keyset cursor never meets a tie. Filters of partial indexes are plain
equalities: with ``$in`` there, MongoDB 6.0 scans the whole index.
"""

import contextlib
from dataclasses import dataclass, field
from typing import Any

from pymongo import ASCENDING, DESCENDING, IndexModel
from pymongo.collection import Collection
from pymongo.database import Database
from pymongo.errors import NetworkTimeout, OperationFailure

from execution_engine.store.audit import SOURCES

Key = list[tuple[str, int]]
_NEWEST: Key = [("created", DESCENDING), ("_id", DESCENDING)]
_LATEST: Key = [("at", DESCENDING), ("_id", DESCENDING)]
_LAST_ENDED: Key = [("finished", DESCENDING), ("_id", DESCENDING)]
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


def _only_with(*names: str) -> dict[str, Any]:
    return {"partialFilterExpression": {name: {"$exists": True} for name in names}}


INDEXES: tuple[Index, ...] = (
    Index("jobs", "user_created", [*_up("user"), *_NEWEST], "list: mine, or one user's"),
    Index("jobs", "user_status_created", [*_up("user", "status"), *_NEWEST], "list: one user's by status, or by words"),
    Index("jobs", "user_method_created", [*_up("user", "method"), *_NEWEST], "list: one user's by method"),
    Index("jobs", "user_app_created", [*_up("user", "app_id"), *_NEWEST], "list: one user's by app"),
    Index(
        "jobs",
        "user_finished",
        [*_up("user"), *_LAST_ENDED, *_up("status", "wsid")],
        "list: one user's by time of end",
        _only_with("finished"),
    ),
    Index(
        "jobs",
        "wsid_created",
        [*_up("wsid"), *_NEWEST, *_up("user", "status")],
        "list: of workspaces, shared",
        _only_with("wsid"),
    ),
    Index(
        "jobs",
        "wsid_status_created",
        [*_up("wsid", "status"), *_NEWEST, *_up("user")],
        "list: of workspaces, shared, by status, or by words",
        _only_with("wsid"),
    ),
    Index(
        "jobs",
        "wsid_finished",
        [*_up("wsid"), *_LAST_ENDED, *_up("user", "status")],
        "list: of workspaces, shared, by time of end",
        _only_with("wsid", "finished"),
    ),
    Index(
        "jobs",
        "sharee_created",
        [*_up("shared_with"), *_NEWEST],
        "list: shared by name",
        _only_with("shared_with"),
    ),
    Index(
        "jobs",
        "sharee_finished",
        [*_up("shared_with"), *_LAST_ENDED],
        "list: shared by name, by time of end",
        _only_with("shared_with", "finished"),
    ),
    Index("jobs", "created", [*_NEWEST, *_up("wsid", "user", "status")], "list: all; shared, the newest; recency"),
    Index(
        "jobs",
        "status_created",
        [*_up("status"), *_NEWEST, *_up("wsid", "user")],
        "list: all by status; shared by status, the newest",
    ),
    Index(
        "jobs",
        "finished",
        [*_LAST_ENDED, *_up("wsid", "user", "status")],
        "list: all by time of end; shared by time of end, the newest; recency",
        _only_with("finished"),
    ),
    Index("jobs", "method_created", [*_up("method"), *_NEWEST], "list: all by method"),
    Index("jobs", "app_created", [*_up("app_id"), *_NEWEST], "list: all by app; apps by prefix", _only_with("app_id")),
    Index("jobs", "group_created", [*_up("client_group"), *_NEWEST], "list: all by client group"),
    Index("jobs", "tok_created", [*_up("tok"), *_NEWEST], "list: all by words of the error", _only_with("tok")),
    Index(
        "jobs",
        "waiting",
        _up("status", "claimed", "client_group", "user", "created", "_id", "method"),
        "dispatch: the heads of every user's queue in a group; a user's jobs there, without some methods",
        {"partialFilterExpression": {"status": "created"}},
    ),
    Index(
        "jobs",
        "active",
        _up("active", "claimed", "backend", "client_group", "user", "status", "_id"),
        "reconcile: all jobs in flight; how many each user has in a group, of the index alone",
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
        "untold",
        _up("untold", "_id"),
        "after the end: jobs of which the Catalog is still to be told",
        {"partialFilterExpression": {"untold": True}},
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
    *(
        Index(
            source,
            "outbox",
            _up("outbox.at", "_id"),
            "audit: records with notes that are not in it yet",
            {"partialFilterExpression": {"outbox": {"$exists": True}}},
        )
        for source in SOURCES
    ),
    Index("audit", "at", _LATEST, "audit: the newest; those to be forgotten"),
    Index("audit", "jobs_at", [*_up("jobs"), *_LATEST], "audit: of a job, a batch, or of what was retried"),
    Index("audit", "actor_at", [*_up("actor"), *_LATEST], "audit: by person"),
    Index("audit", "act_at", [*_up("act"), *_LATEST], "audit: by kind of act"),
    Index("audit", "actor_act_at", [*_up("actor", "act"), *_LATEST], "audit: by person and kind of act"),
    Index("slots", "counter_n", _up("counter", "n"), "limits: a counter's slots, each number once", {"unique": True}),
    Index("slots", "job", _up("job", "attempt"), "limits: the slots that a job gives back"),
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
        declared = [index for index in INDEXES if index.collection == collection]
        _drop_outdated(database[collection], declared)
        _build(database[collection], [IndexModel(i.key, name=i.name, **i.options) for i in declared])


def _build(collection: Collection[Any], models: list[IndexModel]) -> None:
    """Make the indexes; of many jobs that takes longer than one answer may, but goes on, so it is waited for."""
    while True:
        with contextlib.suppress(NetworkTimeout):
            collection.create_indexes(models)
            return


def _drop_outdated(collection: Collection[Any], declared: list[Index]) -> None:
    """Drop those that an older engine made under the same name with another key; MongoDB would refuse the new ones."""
    found = collection.index_information()
    for index in declared:
        if index.name in found and list(found[index.name]["key"]) != index.key:
            with contextlib.suppress(OperationFailure):  # another process was faster
                collection.drop_index(index.name)
