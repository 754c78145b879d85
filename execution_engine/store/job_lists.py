"""Reading jobs in order: by a named index, between two positions, and never more than was asked for."""

import datetime as dt
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import NamedTuple

from bson import ObjectId
from pymongo.cursor import Cursor
from pymongo.database import Database

from execution_engine.core.clock import EPOCH
from execution_engine.store.database import Document

QUERY_MS = 2_000  # one query of a list reads some ten thousand keys at most
FIRST_ID, LAST_ID = ObjectId("0" * 24), ObjectId("f" * 24)


class Position(NamedTuple):
    """A place in a list: where the job ``job_id`` stands, or would stand."""

    time: dt.datetime
    job_id: ObjectId


@dataclass(frozen=True, slots=True)
class Order:
    """What a list is sorted by: ``field`` is created or finished; ``direction`` -1 has the newest first."""

    field: str
    direction: int

    def position(self, job: Document) -> Position:
        """Where the job stands."""
        return Position(job[self.field], job["_id"])

    def sort(self, jobs: Iterable[Document]) -> list[Document]:
        """The jobs in order."""
        return sorted(jobs, key=self.position, reverse=self.direction < 0)

    def is_before(self, one: Position, other: Position) -> bool:
        """Whether ``one`` stands nearer to the beginning of the list."""
        return one > other if self.direction < 0 else one < other

    def first_of(self, positions: Iterable[Position | None]) -> Position | None:
        """The one nearest to the beginning of the list; None is its end."""
        known = [position for position in positions if position is not None]
        return (max if self.direction < 0 else min)(known, default=None)

    def start_of(self, time: dt.datetime) -> Position:
        """Before all jobs of this time."""
        return Position(time, LAST_ID if self.direction < 0 else FIRST_ID)

    def end_of(self, time: dt.datetime) -> Position:
        """After all jobs of this time."""
        return Position(time, FIRST_ID if self.direction < 0 else LAST_ID)

    def between(self, after: Position | None, until: Position | None) -> list[Document]:
        """The conditions of standing behind ``after``, and up to and including ``until``.

        Plain ranges of the time come first: of them MongoDB makes the index's bounds, of ``$nor`` it does not, nor does
        it take one for a choice between indexes, as it may an ``$or``.
        """
        onward, back = ("$lt", "$gt") if self.direction < 0 else ("$gt", "$lt")
        conditions = self.around(after, until)
        if after:
            conditions.append({"$nor": [{self.field: after.time, "_id": {f"{back}e": after.job_id}}]})
        if until:
            conditions.append({"$nor": [{self.field: until.time, "_id": {onward: until.job_id}}]})
        return conditions

    def around(self, after: Position | None, until: Position | None) -> list[Document]:
        """The ranges alone: with all jobs of the times where they begin and end."""
        onward, back = ("$lt", "$gt") if self.direction < 0 else ("$gt", "$lt")
        conditions: list[Document] = []
        if self.field == "finished":
            conditions.append({"finished": {"$gte": EPOCH}})  # what an index of ended jobs alone asks for
        if after:
            conditions.append({self.field: {f"{onward}e": after.time}})
        if until:
            conditions.append({self.field: {f"{back}e": until.time}})
        return conditions


class JobLists:
    """Queries for lists; each names its index, and MongoDB gives up after QUERY_MS."""

    def __init__(self, database: Database[Document]) -> None:
        self._jobs = database.jobs

    def read(
        self, query: Document, index: str, order: Order, limit: int, fields: Collection[str] | None
    ) -> list[Document]:
        """Up to ``limit`` jobs in order: whole records (None), or their ids and these fields."""
        wanted = None if fields is None else dict.fromkeys(fields, 1)
        return list(self._find(query, index, order, wanted).limit(limit).batch_size(limit))

    def nth(self, query: Document, index: str, order: Order, n: int) -> Position | None:
        """The position of the ``n``-th match, if there are so many; a query within the index reads its keys alone."""
        found = list(self._find(query, index, order, {order.field: 1}).skip(n - 1).limit(1))
        return order.position(found[0]) if found else None

    def _find(self, query: Document, index: str, order: Order, fields: Document | None) -> Cursor[Document]:
        sort = [(order.field, order.direction), ("_id", order.direction)]
        return self._jobs.find(query, fields).hint(index).sort(sort).max_time_ms(QUERY_MS)

    def get_many(self, job_ids: list[ObjectId], query: Document) -> dict[ObjectId, Document]:
        """Those of the jobs that (still) match the query."""
        found = self._jobs.find({"$and": [{"_id": {"$in": job_ids}}, query]}).hint("_id_").max_time_ms(QUERY_MS)
        return {job["_id"]: job for job in found.batch_size(len(job_ids))}

    def with_id(self, query: Document, limit: int) -> list[Document]:
        """Up to ``limit`` jobs that match a query whose condition on ``_id`` is narrow; in no useful order."""
        return list(self._jobs.find(query).hint("_id_").limit(limit).max_time_ms(QUERY_MS))

    def app_ids(self, prefix: str, limit: int) -> list[str]:
        """Up to ``limit`` of the app ids in use that begin with ``prefix``, by one look at the index for each."""
        pipeline: list[Document] = [
            {"$match": {"app_id": {"$gte": prefix, "$lt": f"{prefix}\U0010ffff"}}},
            {"$group": {"_id": "$app_id"}},
            {"$limit": limit},
        ]
        return [row["_id"] for row in self._jobs.aggregate(pipeline, hint="app_created", maxTimeMS=QUERY_MS)]
