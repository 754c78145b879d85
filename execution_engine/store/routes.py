"""The routes that administrators have set, ``routes``: one record for each thing that a route may be about.

A record outlives its route, without ``backends``: the note of the removal waits in its outbox for the audit.
"""

from bson import ObjectId
from pymongo.database import Database
from pymongo.errors import DuplicateKeyError

from execution_engine.store.database import Document

SUBJECTS = ("client_group", "method", "user")


class RouteStore:
    """Reads and conditional writes of routes."""

    def __init__(self, database: Database[Document]) -> None:
        self._routes = database.routes

    def all(self) -> list[Document]:
        """Every route."""
        return list(self._routes.find({"backends": {"$exists": True}}, {"outbox": 0}))

    def get(self, subject: Document) -> Document | None:
        """The record of ``subject``, which has some of SUBJECTS; of a removed route one without ``backends``."""
        return self._routes.find_one({"_id": _id_of(subject)}, {"outbox": 0})

    def write(self, subject: Document, before: Document | None, facts: Document | None, note: Document) -> bool:
        """Put a route with these facts in the place of ``before``, or none; False if somebody else was faster.

        ``note``: for the audit, written with it.
        """
        state = {"version": ObjectId(), **(facts or {})}
        if before is None:
            try:
                self._routes.insert_one({"_id": _id_of(subject), **subject, **state, "outbox": [note]})
            except DuplicateKeyError:
                return False
            return True
        gone = _facts(before) - state.keys()
        change: Document = {"$set": state, "$push": {"outbox": note}}
        if gone:
            change["$unset"] = dict.fromkeys(gone, "")
        written = self._routes.update_one({"_id": before["_id"], "version": before["version"]}, change)
        return written.modified_count == 1


def _facts(record: Document) -> set[str]:
    return record.keys() - {"_id", *SUBJECTS}


def _id_of(subject: Document) -> str:
    return " ".join(subject.get(name, "*") for name in SUBJECTS)
