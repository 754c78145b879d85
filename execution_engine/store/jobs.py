"""The hot records: ``jobs``, and ``batches`` (the parents; a batch's jobs point to it)."""

import operator
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from bson import ObjectId
from pymongo import ReturnDocument, UpdateOne
from pymongo.client_session import ClientSession
from pymongo.collection import Collection
from pymongo.database import Database
from pymongo.errors import DuplicateKeyError

from execution_engine.core.errors import Busy
from execution_engine.core.states import FINAL
from execution_engine.core.transitions import Transition
from execution_engine.store.database import BATCH_DOCUMENTS, DURABLE, Document, one_of
from execution_engine.store.submissions import QueueFull, Submissions

_IN_FLIGHT = dict.fromkeys(
    (
        "status",
        "backend",
        "backend_id",
        "attempt",
        "losses",
        "running",
        "cancel_requested",
        "client_group",
        "user",
        "hold",
    ),
    1,
)

SHOWN_RETRIES = 1_000
ENDED = 1_000  # at a time


class JobStore:
    """Reads and conditional writes of job records."""

    def __init__(self, database: Database[Document]) -> None:
        self._jobs = database.jobs
        self._batches = database.batches
        self.submissions = Submissions(database)
        """Whose jobs wait."""

    def submitted_before(self, user: str, key: str | None) -> Document | None:
        """The job that the user submitted with this idempotency key, once it is durable."""
        return _with_key(self._jobs.with_options(read_concern=DURABLE), user, key) if key else None

    def batch_submitted_before(self, user: str, key: str | None) -> Document | None:
        """The batch that the user submitted with this idempotency key, once it is durable."""
        return _with_key(self._batches.with_options(read_concern=DURABLE), user, key) if key else None

    def insert(self, job: Document, most_waiting: int | None = None) -> Document | None:
        """Make the job exist, durably.

        Returns None, or the job that the same user submitted before with the same idempotency key.

        Raises:
            QueueFull: its user would have more than ``most_waiting`` waiting jobs.
        """
        return self._inserted(self._jobs, job, [], most_waiting)

    def insert_batch(
        self, batch: Document, jobs: Sequence[Document], most_waiting: int | None = None
    ) -> Document | None:
        """Make the batch and all of its jobs exist, or none of them: one transaction.

        Returns None, or the batch that the same user submitted before with the same idempotency key.

        Raises:
            QueueFull: its user would have more than ``most_waiting`` waiting jobs.
        """
        return self._inserted(self._batches, batch, jobs, most_waiting)

    def _inserted(
        self, collection: Collection[Document], first: Document, jobs: Sequence[Document], most_waiting: int | None
    ) -> Document | None:
        try:
            if jobs or most_waiting is not None:
                self.submissions.write(collection, first, jobs, most_waiting)
            else:
                collection.insert_one(first)
        except DuplicateKeyError:
            return _earlier(collection, first)
        except QueueFull:
            # The same request may have been let in meanwhile, as the last one.
            key = first.get("idempotency", {}).get("key")
            if key is not None and (earlier := _with_key(collection, first["user"], key)):
                return earlier
            raise
        return None

    def get(self, job_id: ObjectId) -> Document | None:
        """One job's whole record."""
        return self._jobs.find_one({"_id": job_id})

    def get_many(
        self, job_ids: Iterable[ObjectId], fields: Mapping[str, int] | None = None
    ) -> dict[ObjectId, Document]:
        """Records by id; unknown ids are left out."""
        found = self._jobs.find({"_id": one_of(job_ids)}, fields).batch_size(BATCH_DOCUMENTS)
        return {job["_id"]: job for job in found}

    def get_batch(self, batch_id: ObjectId) -> Document | None:
        """A batch's own record."""
        return self._batches.find_one({"_id": batch_id})

    def get_batches(self, batch_ids: Iterable[ObjectId]) -> dict[ObjectId, Document]:
        """Batches' own records by id; unknown ids are left out."""
        return {batch["_id"]: batch for batch in self._batches.find({"_id": {"$in": list(batch_ids)}})}

    def batch_counts(self, batch_ids: Sequence[ObjectId]) -> dict[ObjectId, dict[str, int]]:
        """How many jobs of each batch are in which status."""
        counts: dict[ObjectId, dict[str, int]] = {batch_id: {} for batch_id in batch_ids}
        rows = self._jobs.aggregate(
            [
                {"$match": {"batch_id": {"$in": list(batch_ids)}}},
                {"$group": {"_id": {"batch": "$batch_id", "status": "$status"}, "n": {"$sum": 1}}},
            ]
        )
        for row in rows:
            counts[row["_id"]["batch"]][row["_id"]["status"]] = row["n"]
        return counts

    def batch_job_ids(self, batch_id: ObjectId) -> list[ObjectId]:
        """The ids of a batch's jobs, in the order of submission."""
        found = self._jobs.find({"batch_id": batch_id}, {"batch_n": 1})
        return [job["_id"] for job in sorted(found, key=operator.itemgetter("batch_n"))]

    def retries_of(self, job_ids: Sequence[ObjectId]) -> dict[ObjectId, list[ObjectId]]:
        """The retries of each of the jobs, oldest first; of very many the newest, SHOWN_RETRIES in all."""
        found = self._jobs.find({"retry_of": {"$in": list(job_ids)}}, {"retry_of": 1})
        retries: dict[ObjectId, list[ObjectId]] = {}
        for job in reversed(list(found.sort("_id", -1).limit(SHOWN_RETRIES))):
            retries.setdefault(job["retry_of"], []).append(job["_id"])
        return retries

    def hide(self, ids: Sequence[ObjectId], user: str, most: int, note: Document) -> None:
        """Note that the user does not want to see these ended jobs, or these batches' ended jobs, in lists.

        ``most``: people whom a job can note; ``note`` for the audit.
        """
        self._jobs.update_many(
            {**_jobs_of(ids), "active": False, "hidden_by": {"$ne": user}, f"hidden_by.{most - 1}": {"$exists": False}},
            {"$push": {"hidden_by": user, "outbox": note}},
        )

    def unhide(self, ids: Sequence[ObjectId], user: str, note: Document) -> None:
        """Take that back."""
        self._jobs.update_many(
            {**_jobs_of(ids), "hidden_by": user}, {"$pull": {"hidden_by": user}, "$push": {"outbox": note}}
        )

    def mark_retried(self, job_id: ObjectId) -> None:
        """Note that the job may have retries."""
        self._jobs.update_one({"_id": job_id}, {"$set": {"retried": True}})

    def apply(self, job_id: ObjectId, transition: Transition) -> Document | None:
        """The job after the transition, or None if its condition did not hold and nothing changed."""
        return self._jobs.find_one_and_update(
            transition.condition(job_id), transition.change(), return_document=ReturnDocument.AFTER
        )

    def apply_many(
        self, transitions: Iterable[tuple[ObjectId, Transition]], session: ClientSession | None = None
    ) -> int:
        """Apply each whose condition holds; how many did."""
        writes = [UpdateOne(t.condition(job_id), t.change()) for job_id, t in transitions]
        return self._jobs.bulk_write(writes, ordered=False, session=session).modified_count if writes else 0

    def apply_to_batch(self, batch_id: ObjectId, transition: Transition) -> int:
        """Apply it to each of a batch's jobs whose condition holds; how many did. Much faster than one by one."""
        condition = transition.condition(None)
        del condition["_id"]
        return self._jobs.update_many({"batch_id": batch_id, **condition}, transition.change()).modified_count

    def apply_to_batch_itself(self, batch_id: ObjectId, transition: Transition) -> Document | None:
        """As :meth:`apply`, for a batch's own record."""
        return self._batches.find_one_and_update(
            transition.condition(batch_id), transition.change(), return_document=ReturnDocument.AFTER
        )

    def unshare_in_batch(self, batch_id: ObjectId, transition: Transition) -> None:
        """Apply a transition that may leave some of a batch's jobs shared with nobody: then nothing says so."""
        self.apply_to_batch(batch_id, transition)
        self._jobs.update_many({"batch_id": batch_id, "shared_with": []}, {"$unset": {"shared_with": ""}})

    def note_backend_id(self, ids: Mapping[tuple[ObjectId, int], str]) -> None:
        """Record backends' ids by (job, attempt), whatever state the job has reached meanwhile."""
        writes = [
            UpdateOne({"_id": job_id, "attempt.n": attempt}, {"$set": {"backend_id": backend_id}})
            for (job_id, attempt), backend_id in ids.items()
        ]
        if writes:
            self._jobs.bulk_write(writes, ordered=False)

    def any_waiting(self) -> bool:
        """Whether any job waits to be handed out."""
        return self._jobs.find_one({"status": "created", "claimed": False}, {"_id": 1}, hint="waiting") is not None

    def queue_heads(self, group: str) -> list[str]:
        """The users with jobs waiting in the group, by the age of their oldest one."""
        rows = self._jobs.aggregate(
            [
                {"$match": {"status": "created", "claimed": False, "client_group": group}},
                {"$sort": {"user": 1, "created": 1}},
                {"$group": {"_id": "$user", "oldest": {"$first": "$created"}}},
                {"$sort": {"oldest": 1}},
            ],
            hint="waiting",
        )
        return [row["_id"] for row in rows]

    def waiting_of(
        self, group: str, user: str, limit: int, seen: Sequence[Any] = (), closed: Sequence[str] = ()
    ) -> list[Document]:
        """A user's jobs that wait in the group, oldest first, without those ``seen`` and the methods ``closed``."""
        query: Document = {"status": "created", "claimed": False, "client_group": group, "user": user}
        if seen:
            query["_id"] = {"$nin": list(seen)}
        if closed:
            query["method"] = {"$nin": list(closed)}
        fields = dict.fromkeys(("attempt", "requirements", "constraints", "client_group", "user", "method"), 1)
        return list(self._jobs.find(query, fields).hint("waiting").sort([("created", 1), ("_id", 1)]).limit(limit))

    def claimed_by(
        self, claim_id: str, job_ids: Sequence[ObjectId], session: ClientSession | None = None
    ) -> set[ObjectId]:
        """Those of the jobs that the claim ``claim_id`` got."""
        query = {"_id": {"$in": list(job_ids)}, "attempt.claim": claim_id}
        found = self._jobs.find(query, {"_id": 1}, session=session)
        return {job["_id"] for job in found}

    def note_holds(self, holds: Iterable[tuple[Document, Document | None, datetime | None]]) -> None:
        """What jobs in flight wait for: (job, ``{code, message}`` or None, since when its backend holds it or None)."""
        writes = []
        for job, hold, held_since in holds:
            noted = {"hold": hold, "attempt.held_since": held_since}
            put = {name: value for name, value in noted.items() if value is not None}
            drop = {name: "" for name, value in noted.items() if value is None}
            change = ({"$set": put} if put else {}) | ({"$unset": drop} if drop else {})
            here = {"_id": job["_id"], "status": job["status"], "attempt.n": job["attempt"]["n"], "claimed": True}
            writes.append(UpdateOne(here, change))
        if writes:
            self._jobs.bulk_write(writes, ordered=False)

    def in_flight(self, session: ClientSession | None = None) -> list[Document]:
        """All jobs that a backend may have: what the reconciler needs of them."""
        return list(self._jobs.find({"active": True, "claimed": True}, _IN_FLIGHT, session=session).hint("active"))

    def in_flight_counts(self) -> list[Document]:
        """How many of them there are of each kind: ``{backend, client_group, user, status, n}``; of the index alone."""
        kind = {name: f"${name}" for name in ("backend", "client_group", "user", "status")}
        rows = self._jobs.aggregate(
            [{"$match": {"active": True, "claimed": True}}, {"$group": {"_id": kind, "n": {"$sum": 1}}}], hint="active"
        )
        return [{**row["_id"], "n": row["n"]} for row in rows]

    def ended_lately(self) -> list[ObjectId]:
        """Ended jobs that something is left to do for."""
        return [job["_id"] for job in self._jobs.find({"cleanup": True}, {"_id": 1}).hint("cleanup").limit(ENDED)]

    def ended_with_work_left(self, limit: int) -> list[Document]:
        """Ended jobs whose token is still to be erased: their ids, status, output and losses, and when they ran."""
        fields = dict.fromkeys(("status", "output", "losses", "running"), 1)
        return list(self._jobs.find({"cleanup": True}, fields).hint("cleanup").limit(limit))

    def mark_cleaned(self, job_ids: Sequence[ObjectId], *, untold: bool = False) -> None:
        """Nothing is left to do for these ended jobs; ``untold``: but to tell the Catalog."""
        change: Document = {"$unset": {"cleanup": ""}}
        if untold:
            change["$set"] = {"untold": True}
        query = {"_id": {"$in": list(job_ids)}, "cleanup": True, "status": {"$in": list(FINAL)}}
        self._jobs.update_many(query, change)

    def any_untold(self) -> bool:
        """Whether the Catalog is still to be told of any job."""
        return self._jobs.find_one({"untold": True}, {"_id": 1}) is not None

    def take_untold(self) -> Document | None:
        """The oldest job that the Catalog is still to be told of; from now on it counts as told."""
        return self._jobs.find_one_and_update({"untold": True}, {"$unset": {"untold": ""}}, sort=[("_id", 1)])

    def put_back_untold(self, job_id: ObjectId) -> None:
        """The Catalog was not told of it."""
        self._jobs.update_one({"_id": job_id}, {"$set": {"untold": True}})


def _jobs_of(ids: Sequence[ObjectId]) -> Document:
    """The condition of having one of the ids, or of being in a batch that has."""
    return {"$or": [{"_id": one_of(ids)}, {"batch_id": one_of(ids)}]}


def _with_key(collection: Collection[Document], user: str, key: str) -> Document | None:
    return collection.find_one({"user": user, "idempotency.key": key})


def _earlier(collection: Collection[Document], record: Document) -> Document:
    """What holds the place that ``record`` wanted: submitted before, by the same user, with the same key."""
    found = None
    if "idempotency" in record:
        found = _with_key(collection, record["user"], record["idempotency"]["key"])
    # Without a key only the id can collide: the driver has repeated a write whose answer was lost.
    found = found or collection.find_one({"_id": record["_id"]})
    if found is None:
        raise Busy("Another request with the same idempotency key is under way; send it again.")
    return found
