"""Since when each dependency is up or down, ``dependencies``: the same for all processes, and after a restart."""

from datetime import datetime

from pymongo import ReturnDocument
from pymongo.database import Database
from pymongo.errors import DuplicateKeyError

from execution_engine.store.database import Document


class DependencyStore:
    """One document for each dependency: ``state``, ``since``."""

    def __init__(self, database: Database[Document]) -> None:
        self._dependencies = database.dependencies

    def note(self, name: str, state: str, at: datetime) -> datetime:
        """Since when it is in this state: ``at``, unless somebody has seen it so before."""
        try:
            self._dependencies.find_one_and_update(
                {"_id": name, "state": {"$ne": state}},
                {"$set": {"state": state, "since": at}},
                upsert=True,
                return_document=ReturnDocument.AFTER,
            )
        except DuplicateKeyError:  # it is there, in this state
            found = self._dependencies.find_one({"_id": name})
            if found is not None and found["state"] == state:
                since: datetime = found["since"]
                return since
        return at
