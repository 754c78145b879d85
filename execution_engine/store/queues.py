"""What waits in client groups, read from ``jobs``; and ``queues``, what the dispatcher tells of each group's queue.

A record of ``queues`` has ``served``: who had a turn, the latest last; and ``notes``: how long jobs waited lately
(jobs/queue/notes.py).
"""

from collections.abc import Sequence
from typing import Any

from bson import ObjectId
from pymongo.database import Database

from execution_engine.store.database import Document

MOST_INSIDE = 5_000
_INSIDE = dict.fromkeys(("user", "client_group", "backend", "backend_id"), 1)


class QueueStore:
    """Reads of what waits, each by an index alone or of a bounded number of jobs; and the dispatcher's notes."""

    def __init__(self, database: Database[Document]) -> None:
        self._jobs = database.jobs
        self._queues = database.queues

    def waiting(self, group: str) -> list[Document]:
        """``{_id: user, n, oldest}`` of each user with jobs that wait to be handed out, by the age of the oldest."""
        rows = self._jobs.aggregate(
            [
                {"$match": {"status": "created", "claimed": False, "client_group": group}},
                {"$group": {"_id": "$user", "n": {"$sum": 1}, "oldest": {"$min": "$created"}}},
                {"$sort": {"oldest": 1, "_id": 1}},
            ],
            hint="waiting",
        )
        return list(rows)

    def waiting_ids(self, group: str, user: str, most: int, skip: int = 0) -> list[ObjectId]:
        """A user's jobs that wait in the group, oldest first."""
        query = {"status": "created", "claimed": False, "client_group": group, "user": user}
        found = self._jobs.find(query, {"_id": 1}).hint("waiting").sort([("created", 1), ("_id", 1)])
        return [job["_id"] for job in found.skip(skip).limit(most).batch_size(most)]

    def inside(self) -> list[Document]:
        """Jobs that wait inside backends, or are on their way there; at most MOST_INSIDE."""
        query = {"active": True, "claimed": True, "status": {"$in": ["created", "estimating", "queued"]}}
        return list(self._jobs.find(query, _INSIDE).hint("active").limit(MOST_INSIDE))

    def get(self, group: str) -> Document:
        """The record of a group's queue; empty if nothing was told of it."""
        return self._queues.find_one({"_id": group}) or {}

    def put_served(self, group: str, users: Sequence[str]) -> None:
        """Who had a turn, the latest last."""
        self._queues.update_one({"_id": group}, {"$set": {"served": list(users)}}, upsert=True)

    def put_notes(self, group: str, notes: Sequence[dict[str, Any]]) -> None:
        """The notes on waits."""
        self._queues.update_one({"_id": group}, {"$set": {"notes": list(notes)}}, upsert=True)
