"""Console logs: chunks that are only ever appended, ``job_logs``.

Chunks follow each other without gap or overlap: each starts where the one before ends, and the unique key (job, first
line) lets only one of two writers have a place. So a repeated call changes nothing and two appenders lose nothing.
"""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bson import ObjectId
from cachetools import LRUCache
from pymongo import ASCENDING, DESCENDING
from pymongo.collection import Collection
from pymongo.database import Database
from pymongo.errors import BulkWriteError, DuplicateKeyError

from execution_engine.core.errors import LogGap
from execution_engine.store.database import DURABLE, Document
from execution_engine.store.log_chunks import CHUNK_LINES, Line, to_chunks, unpack

PAGE_CHARS = 8_000_000  # what one answer may hold, however many lines were asked for
_DUPLICATE_KEY = 11000
_REMEMBERED_ENDS = 10_000


@dataclass(frozen=True, slots=True)
class Page:
    """``lines`` are numbered from ``first``; ``total`` lines are held."""

    first: int
    lines: list[Line]
    total: int


class LogStore:
    """Appends and reads of logs."""

    def __init__(self, database: Database[Document]) -> None:
        self._chunks = database.job_logs
        self._durable_chunks = self._chunks.with_options(read_concern=DURABLE)
        # Where logs ended when this process last wrote to them. Lines are never taken back, so a place that was the end
        # either still is, or is taken: then the insertion fails and the end is read anew.
        self._ends: LRUCache[ObjectId, int] = LRUCache(_REMEMBERED_ENDS)
        self._lock = threading.Lock()

    def total(self, job_id: ObjectId) -> int:
        """How many lines are held: the number of the next one."""
        return _end(_tail(self._chunks, job_id))

    def add(self, job_id: ObjectId, attempt: int, first: int, lines: Sequence[Line], check: Callable[[], None]) -> int:
        """Append lines whose numbers the caller knows; the number of the next line.

        Lines that are already held are dropped. ``check`` raises if the caller may no longer write. It is called after
        the end of the log was read: a newer attempt begins by writing its marker there, so whoever passes the check and
        then finds the place free is older than the newer attempt.

        Raises:
            LogGap: lines are missing before these; its data has ``next_line``.
        """
        held = self._remembered_end(job_id)
        if held != first:
            held = self.total(job_id)
        while True:
            if first > held:
                raise LogGap(
                    f"Line {held} is expected next, but these lines begin with {first}; send again from {held}.",
                    next_line=held,
                )
            check()
            new = lines[held - first :]
            if not new:
                # The call that brought them may still wait for the disk: only what can't be lost is acknowledged.
                return _end(_tail(self._durable_chunks, job_id))
            if self._insert(list(to_chunks(job_id, attempt, held, new))) == len(new):
                self._remember_end(job_id, held + len(new))
                return held + len(new)
            held = self.total(job_id)

    def append(self, job_id: ObjectId, attempt: int, lines: Sequence[Line], check: Callable[[], None]) -> int:
        """Append lines wherever the log ends now; the number of the next line. Not safe to repeat."""
        left = list(lines)
        while True:
            held = self.total(job_id)
            check()
            stored = self._insert(list(to_chunks(job_id, attempt, held, left)))
            left = left[stored:]
            if not left:
                return held + stored

    def mark_attempt(self, job_id: ObjectId, attempt: int, line: Line) -> int:
        """Write the line that separates an attempt from the one before, once; the number of the line after it."""
        while True:
            marker = self._durable_chunks.find_one({"job": job_id, "marker": attempt}, {"first": 1})
            if marker:
                return int(marker["first"]) + 1
            chunk = next(to_chunks(job_id, attempt, self.total(job_id), [line]))
            try:
                self._chunks.insert_one({**chunk, "marker": attempt})
            except DuplicateKeyError:
                continue
            return int(chunk["first"]) + 1

    def _remembered_end(self, job_id: ObjectId) -> int | None:
        with self._lock:
            return self._ends.get(job_id)

    def _remember_end(self, job_id: ObjectId, end: int) -> None:
        with self._lock:
            self._ends[job_id] = end

    def _insert(self, chunks: list[Document]) -> int:
        """How many lines found their place; fewer than there are if another writer was first."""
        if not chunks:
            return 0
        if len(chunks) == 1:
            try:
                self._chunks.insert_one(chunks[0])
            except DuplicateKeyError:
                return 0
            return int(chunks[0]["n"])
        try:
            self._chunks.insert_many(chunks, ordered=True)
        except BulkWriteError as error:
            if any(failure["code"] != _DUPLICATE_KEY for failure in error.details["writeErrors"]):
                raise
            return sum(chunk["n"] for chunk in chunks[: error.details["nInserted"]])
        return sum(chunk["n"] for chunk in chunks)

    def read(self, job_id: ObjectId, skip: int, limit: int) -> Page:
        """Up to ``limit`` lines after the first ``skip``; fewer if they are very long."""
        tail = _tail(self._chunks, job_id)
        if tail is None:
            return Page(0, [], 0)
        total = _end(tail)
        if skip >= total:
            return Page(total, [], total)
        lines = self._lines(job_id, self._chunk_at(job_id, skip, tail), skip, limit)
        return Page(skip, lines, max(total, skip + len(lines)))  # some may have come meanwhile

    def read_tail(self, job_id: ObjectId, count: int) -> Page:
        """The last ``count`` lines; fewer, still the last ones, never fewer than one chunk, if they are very long."""
        total = self.total(job_id)
        query = {"job": job_id, "first": {"$gt": total - count - CHUNK_LINES, "$lt": total}}
        lines: list[Line] = []
        chars = 0
        for chunk in self._chunks.find(query).sort("first", DESCENDING).batch_size(20):
            chars += len(chunk["text"])
            if lines and (chars > PAGE_CHARS or len(lines) >= count):
                break
            lines = unpack(chunk) + lines
        lines = lines[-count:]
        return Page(total - len(lines), lines, total)

    def first_since(self, job_id: ObjectId, ts: int) -> int:
        """The number of the first line that was read at or after ``ts`` (ms); the next line's if there is none."""
        later = self._chunks.find({"job": job_id, "until": {"$gte": ts}}, {"_id": 0, "first": 1}).hint("job_since")
        for first in later.sort("first", ASCENDING).limit(1):
            chunk = self._chunks.find_one({"job": job_id, **first}) or {}
            return int(chunk["first"]) + next(i for i, line in enumerate(unpack(chunk)) if line.ts >= ts)
        return self.total(job_id)

    def _chunk_at(self, job_id: ObjectId, line: int, tail: Document) -> int:
        if line == 0 or line >= tail["first"]:
            return 0 if line == 0 else int(tail["first"])
        query = {"job": job_id, "first": {"$lte": line}}
        chunk = self._chunks.find_one(query, {"first": 1}, sort=[("first", DESCENDING)])
        return int(chunk["first"]) if chunk else 0

    def _lines(self, job_id: ObjectId, chunk_first: int, skip: int, limit: int) -> list[Line]:
        query = {"job": job_id, "first": {"$gte": chunk_first, "$lt": skip + limit}}
        lines: list[Line] = []
        chars = 0
        for chunk in self._chunks.find(query).sort("first", ASCENDING).batch_size(20):
            lines += unpack(chunk)[max(0, skip - chunk["first"]) :]
            chars += len(chunk["text"])
            if chars >= PAGE_CHARS or len(lines) >= limit:
                break
        return lines[:limit]


def _tail(chunks: Collection[Document], job_id: ObjectId) -> Document | None:
    return chunks.find_one({"job": job_id}, {"first": 1, "n": 1}, sort=[("first", DESCENDING)])


def _end(tail: Document | None) -> int:
    return tail["first"] + tail["n"] if tail else 0
