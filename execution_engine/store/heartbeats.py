"""Signs of life and progress, ``heartbeats``: one small document a job, overwritten, never journaled on its own."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from bson import ObjectId
from pymongo.database import Database
from pymongo.write_concern import WriteConcern

from execution_engine.store.coalesce import Coalescer
from execution_engine.store.database import BATCH_DOCUMENTS, Document, one_of


class HeartbeatStore:
    """Writes and reads of heartbeats."""

    def __init__(self, database: Database[Document]) -> None:
        # A lost sign of life is replaced by the next one: no need to wait for the disk.
        self._beats = database.get_collection("heartbeats", write_concern=WriteConcern(w=1, j=False))
        self._reads: Coalescer[ObjectId, Document] = Coalescer(self._load)

    def beat(self, job_id: ObjectId, attempt: int, at: datetime, progress: dict[str, Any] | None) -> None:
        """The attempt's runner was heard of; ``progress`` as the runner gave it."""
        put: Document = {"attempt": attempt, "at": at}
        if progress:
            put["progress"] = {**progress, "at": at}
        self._beats.update_one({"_id": job_id}, {"$set": put}, upsert=True)

    def get_many(self, job_ids: Iterable[ObjectId]) -> dict[ObjectId, Document]:
        """Heartbeats by job; jobs that never gave one are left out."""
        return self._reads.get_many(job_ids)

    def _load(self, job_ids: list[ObjectId]) -> dict[ObjectId, Document]:
        found = self._beats.find({"_id": one_of(job_ids)}).batch_size(BATCH_DOCUMENTS)
        return {beat["_id"]: beat for beat in found}

    def silent_since(self, at: datetime) -> list[ObjectId]:
        """The jobs that were heard of before ``at`` and not again."""
        return [beat["_id"] for beat in self._beats.find({"at": {"$lt": at}}, {"_id": 1})]

    def forget(self, job_ids: Iterable[ObjectId]) -> None:
        """Drop the heartbeats of ended jobs."""
        self._beats.delete_many({"_id": {"$in": list(job_ids)}})
