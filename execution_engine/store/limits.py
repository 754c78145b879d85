"""The limits that are set, ``limits``: one record each, under a name that says what is limited.

A limit that was removed keeps its record, without a value: its outbox may hold notes for the audit.
"""

from pymongo.client_session import ClientSession
from pymongo.database import Database
from pymongo.errors import DuplicateKeyError

from execution_engine.store.database import Document


class LimitStore:
    """Reads and conditional writes of limits."""

    def __init__(self, database: Database[Document]) -> None:
        self._limits = database.limits

    def all(self, session: ClientSession | None = None) -> list[Document]:
        """Every limit that is set; there are few of them."""
        return list(self._limits.find({"value": {"$exists": True}}, {"outbox": 0}, session=session))

    def value(self, name: str) -> int | None:
        """What the limit is; None if there is none."""
        record = self.get(name)
        return record["value"] if record else None

    def get(self, name: str) -> Document | None:
        """A limit that is set."""
        return self._limits.find_one({"_id": name, "value": {"$exists": True}}, {"outbox": 0})

    def put(self, name: str, held: int | None, record: Document, note: Document) -> bool:
        """Set the limit where its value is still ``held`` (None: there is none); False if it is not.

        ``record``: what it is to be; ``note``: for the audit.
        """
        change: Document = {"$set": record, "$push": {"outbox": note}}
        if "reason" not in record:
            change["$unset"] = {"reason": ""}
        try:
            result = self._limits.update_one(_still(name, held), change, upsert=held is None)
        except DuplicateKeyError:  # somebody else has set it
            return False
        return result.matched_count == 1 or result.upserted_id is not None

    def remove(self, name: str, held: int, note: Document) -> bool:
        """Take the limit away where its value is still ``held``; False if it is not."""
        change = {"$unset": {"value": ""}, "$push": {"outbox": note}}
        return self._limits.update_one(_still(name, held), change).matched_count == 1


def _still(name: str, held: int | None) -> Document:
    return {"_id": name, "value": {"$exists": False} if held is None else held}
