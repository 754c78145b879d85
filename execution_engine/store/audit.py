"""What people did, ``audit``: entries that are added, never changed, and forgotten only by their age.

The note of an act is written with the act itself, into the outbox of the record that the act changes, by the same
atomic write: neither exists without the other. From there :meth:`AuditStore.collect` brings it here. Ids are made of
the note and the record, so that a note which is collected twice, by two processes or after a crash, is one entry.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from bson import ObjectId
from pymongo import DESCENDING, UpdateOne
from pymongo.collection import Collection
from pymongo.database import Database
from pymongo.errors import BulkWriteError

from execution_engine.store.database import Document

SOURCES = ("jobs", "batches", "limits", "backends", "routes")
"""The collections whose records have outboxes."""

PAGE_MS = 5_000
_DUPLICATE_KEY = 11000
_ROUND = 1_000
_ROUNDS = 30
_WANTED = dict.fromkeys(("outbox", "batch_id", "retry_of"), 1)


@dataclass(frozen=True, slots=True)
class Span:
    """Times from ``since`` on and before ``until``; None: no bound."""

    since: datetime | None = None
    until: datetime | None = None


class AuditStore:
    """Additions and reads of the audit."""

    def __init__(self, database: Database[Document]) -> None:
        self._entries = database.audit
        self._sources: list[Collection[Document]] = [database[name] for name in SOURCES]

    def add(self, entries: Sequence[Document]) -> None:
        """Write entries, durably; those that are there stay as they are."""
        if not entries:
            return
        try:
            self._entries.insert_many(entries, ordered=False)
        except BulkWriteError as error:
            if any(failure["code"] != _DUPLICATE_KEY for failure in error.details["writeErrors"]):
                raise

    def collect(self) -> int:
        """Bring what lies in outboxes into the audit; from how many records. Any process may do this at any time.

        All that lay there at the call is in afterwards, unless that is more than a second's work.
        """
        collected = 0
        for _ in range(_ROUNDS):
            found = [self._empty(source) for source in self._sources]
            collected += sum(found)
            if max(found) < _ROUND:
                break
        return collected

    def _empty(self, source: Collection[Document]) -> int:
        held = list(source.find({"outbox": {"$exists": True}}, _WANTED).hint("outbox").limit(_ROUND))
        self.add([entry for record in held for entry in _entries(record)])
        # Only what was just written leaves an outbox: with a further note in it, it waits for the next time.
        emptied = [
            UpdateOne({"_id": record["_id"], "outbox": record["outbox"]}, {"$unset": {"outbox": ""}}) for record in held
        ]
        if emptied:
            source.bulk_write(emptied, ordered=False)
        return len(held)

    def forget(self, before: datetime, most: int) -> int:
        """Delete up to ``most`` entries that are older, the oldest first; how many."""
        old = self._entries.find({"at": {"$lt": before}}, {"_id": 1}).hint("at").sort([("at", 1), ("_id", 1)])
        ids = [entry["_id"] for entry in old.limit(most)]
        if ids:
            self._entries.delete_many({"_id": {"$in": ids}})
        return len(ids)

    def page(
        self, match: Document, index: str, span: Span, after: tuple[datetime, str] | None, limit: int
    ) -> list[Document]:
        """Up to ``limit`` entries, newest first, by the named index; gives up after PAGE_MS.

        ``after``: time and id of the last entry of the page before.
        """
        query = dict(match)
        times = {name: time for name, time in (("$gte", span.since), ("$lt", span.until)) if time is not None}
        if after:
            time, last = after
            # Implied by the $or; said again here because the index's bounds are made from it.
            times["$lte"] = time
            query["$or"] = [{"at": {"$lt": time}}, {"at": time, "_id": {"$lt": last}}]
        if times:
            query["at"] = times
        order = [("at", DESCENDING), ("_id", DESCENDING)]
        return list(self._entries.find(query).hint(index).sort(order).limit(limit).max_time_ms(PAGE_MS))


def entry_id(note: Document, record_id: ObjectId | str) -> str:
    """The id of the entry that a note makes for one record."""
    return f"{note['id']}/{record_id}"


def _entries(record: Document) -> Iterable[Document]:
    related = [record[name] for name in ("batch_id", "retry_of") if name in record]
    # What is no job has a name for an id; its notes say themselves what they are about.
    about = {"jobs": [record["_id"], *related]} if isinstance(record["_id"], ObjectId) else {}
    for note in record["outbox"]:
        entry = {name: value for name, value in note.items() if name != "id"}
        yield {"_id": entry_id(note, record["_id"]), **about, **entry}
