"""What is known of each backend, ``backends``: for the web processes, which never call one.

A record has the dispatcher's last report, and in ``drained`` the word of an administrator that it is to take no new
jobs: ``{since, by, reason}``. Neither side writes the other's fields.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from pymongo.database import Database
from pymongo.errors import DuplicateKeyError

from execution_engine.store.database import Document


class BackendStore:
    """Writes and reads of backends' states."""

    def __init__(self, database: Database[Document]) -> None:
        self._backends = database.backends
        self._orders = database.backend_orders  # apart: what is known of the backends is read much more often

    def report(
        self, name: str, at: datetime, state: str, reason: str | None, resources: dict[str, Any], notice: str
    ) -> None:
        """Replace the report of a backend; ``since`` in it stays as long as the state does.

        ``state``: up or down, ``reason`` why in plain words; ``resources``: totals and use; ``notice``: how it is
        set up.
        """
        change: Document = {
            "$set": {"state": state, "at": at, "resources": resources, "notice": notice},
            "$setOnInsert": {"since": at},
        }
        if reason:
            change["$set"]["reason"] = reason
        else:
            change["$unset"] = {"reason": ""}
        another = {"_id": name, "$or": [{"state": {"$ne": state}}, {"since": None}]}
        self._backends.update_one(another, {"$set": {"state": state, "since": at}})
        self._backends.update_one({"_id": name}, change, upsert=True)

    def all(self) -> dict[str, Document]:
        """The record of each backend by name; one that was never reported has no ``state``."""
        return {report["_id"]: report for report in self._backends.find({}, {"outbox": 0})}

    def report_order(self, name: str, backend_ids: Sequence[str]) -> None:
        """Which of our jobs wait inside a backend, in its own order."""
        self._orders.update_one({"_id": name}, {"$set": {"waiting": list(backend_ids)}}, upsert=True)

    def orders(self) -> dict[str, list[str]]:
        """The backends' ids of the jobs that wait inside, by backend."""
        return {order["_id"]: order["waiting"] for order in self._orders.find()}

    def drained(self) -> set[str]:
        """The names of those that are to take no new jobs."""
        return {report["_id"] for report in self._backends.find({"drained": {"$exists": True}}, {"_id": 1})}

    def get_drained(self, name: str) -> Document | None:
        """Since when, by whom and why a backend is to take no new jobs; None: it may."""
        drained: Document | None = (self._backends.find_one({"_id": name}, {"drained": 1}) or {}).get("drained")
        return drained

    def set_drained(self, name: str, held: Document | None, wanted: Document | None, note: Document) -> bool:
        """Change that from exactly ``held`` to ``wanted``; False if it is another by now. ``note`` for the audit."""
        change: Document = {"$push": {"outbox": note}}
        change |= {"$set": {"drained": wanted}} if wanted else {"$unset": {"drained": ""}}
        try:
            done = self._backends.update_one({"_id": name, "drained": held}, change, upsert=held is None)
        except DuplicateKeyError:  # it is there, and not as held
            return False
        return done.matched_count > 0 or done.upserted_id is not None
