"""Console logs: chunks that are only ever appended, ``job_logs``.

Chunks follow each other without gap or overlap: each starts where the one before ends, and the unique key (job, first
line) lets only one of two writers have a place. So a repeated call changes nothing and two appenders lose nothing.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bson import ObjectId
from pymongo import ASCENDING, DESCENDING
from pymongo.database import Database
from pymongo.errors import BulkWriteError, DuplicateKeyError

from execution_engine.core.errors import LogGap
from execution_engine.store.database import Document
from execution_engine.store.log_chunks import Line, to_chunks, unpack

PAGE_CHARS = 8_000_000  # what one answer may hold, however many lines were asked for
_DUPLICATE_KEY = 11000


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

    def total(self, job_id: ObjectId) -> int:
        """How many lines are held: the number of the next one."""
        tail = self._tail(job_id)
        return tail["first"] + tail["n"] if tail else 0

    def _tail(self, job_id: ObjectId) -> Document | None:
        return self._chunks.find_one({"job": job_id}, {"first": 1, "n": 1}, sort=[("first", DESCENDING)])

    def add(self, job_id: ObjectId, attempt: int, first: int, lines: Sequence[Line], check: Callable[[], None]) -> int:
        """Append lines whose numbers the caller knows; the number of the next line.

        Lines that are already held are dropped. ``check`` raises if the caller may no longer write. It is called after
        the end of the log was read: a newer attempt begins by writing its marker there, so whoever passes the check and
        then finds the place free is older than the newer attempt.

        Raises:
            LogGap: lines are missing before these; its data has ``next_line``.
        """
        while True:
            held = self.total(job_id)
            if first > held:
                raise LogGap(
                    f"Line {held} is expected next, but these lines begin with {first}; send again from {held}.",
                    next_line=held,
                )
            check()
            new = lines[held - first :]
            if self._insert(list(to_chunks(job_id, attempt, held, new))) == len(new):
                return held + len(new)

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
            marker = self._chunks.find_one({"job": job_id, "marker": attempt}, {"first": 1})
            if marker:
                return int(marker["first"]) + 1
            chunk = next(to_chunks(job_id, attempt, self.total(job_id), [line]))
            try:
                self._chunks.insert_one({**chunk, "marker": attempt})
            except DuplicateKeyError:
                continue
            return int(chunk["first"]) + 1

    def _insert(self, chunks: list[Document]) -> int:
        """How many lines found their place; fewer than there are if another writer was first."""
        if not chunks:
            return 0
        try:
            self._chunks.insert_many(chunks, ordered=True)
        except BulkWriteError as error:
            if any(failure["code"] != _DUPLICATE_KEY for failure in error.details["writeErrors"]):
                raise
            return sum(chunk["n"] for chunk in chunks[: error.details["nInserted"]])
        return sum(chunk["n"] for chunk in chunks)

    def read(self, job_id: ObjectId, skip: int, limit: int) -> Page:
        """Up to ``limit`` lines after the first ``skip``; fewer if they are very long."""
        tail = self._tail(job_id)
        if tail is None:
            return Page(0, [], 0)
        total = tail["first"] + tail["n"]
        if skip >= total:
            return Page(total, [], total)
        return Page(skip, self._lines(job_id, self._chunk_at(job_id, skip, tail), skip, limit), total)

    def read_tail(self, job_id: ObjectId, count: int) -> Page:
        """The last ``count`` lines; fewer, still the last ones, never fewer than one chunk, if they are very long."""
        total = self.total(job_id)
        return self.read(job_id, max(0, total - count), count)

    def first_since(self, job_id: ObjectId, ts: int) -> int:
        """The number of the first line that was read at or after ``ts`` (ms); the next line's if there is none."""
        chunk = self._chunks.find_one({"job": job_id, "until": {"$gte": ts}}, sort=[("until", ASCENDING)])
        if chunk is None:
            return self.total(job_id)
        return int(chunk["first"]) + next(i for i, line in enumerate(unpack(chunk)) if line.ts >= ts)

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
