"""What the dispatcher last knew of each backend, ``backends``: for the web processes, which never call one."""

from datetime import datetime
from typing import Any

from pymongo.database import Database

from execution_engine.store.database import Document


class BackendStore:
    """Writes and reads of backends' states."""

    def __init__(self, database: Database[Document]) -> None:
        self._backends = database.backends

    def report(
        self, name: str, at: datetime, state: str, reason: str | None, resources: dict[str, Any], notice: str
    ) -> None:
        """Replace what is known of a backend.

        ``state``: up or down, ``reason`` why in plain words; ``resources``: totals and use; ``notice``: how it is
        set up.
        """
        change: Document = {"$set": {"state": state, "at": at, "resources": resources, "notice": notice}}
        if reason:
            change["$set"]["reason"] = reason
        else:
            change["$unset"] = {"reason": ""}
        self._backends.update_one({"_id": name}, change, upsert=True)

    def all(self) -> dict[str, Document]:
        """The last report of each backend by name."""
        return {report["_id"]: report for report in self._backends.find()}
