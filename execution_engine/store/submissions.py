"""Writing what somebody submits: all of it or nothing, and within the limit of waiting jobs, if the user has one.

The limit is exact, whatever else the same user submits at that moment, and wherever: each submission under a limit
counts the user's waiting jobs and changes the user's record in ``submitters``, in one transaction. Of two that count at
the same time, one finds the record changed, and counts anew. Users without a limit pay nothing for it.
"""

import contextlib
from collections.abc import Callable, Sequence

from pymongo import timeout
from pymongo.client_session import ClientSession
from pymongo.collection import Collection
from pymongo.database import Database
from pymongo.errors import DuplicateKeyError

from execution_engine.core.states import NOT_STARTED
from execution_engine.store.database import Document

SECONDS = 25  # by itself the driver would try for two minutes, and its caller is gone by then


class QueueFull(Exception):
    """The user may not have that many waiting jobs. ``waiting``: how many there are; counted to one above the limit."""

    def __init__(self, waiting: int) -> None:
        super().__init__(waiting)
        self.waiting = waiting


class Submissions:
    """Transactions that make jobs exist."""

    def __init__(self, database: Database[Document]) -> None:
        self._client = database.client
        self._jobs = database.jobs
        self._submitters = database.submitters

    def write(
        self, collection: Collection[Document], first: Document, jobs: Sequence[Document], most: int | None
    ) -> None:
        """Write ``first``, a job or a batch, to its collection, and the jobs of a batch.

        Raises:
            QueueFull: the user would have more than ``most`` waiting jobs.
            DuplicateKeyError: there is a submission with the same key.
        """
        if most is not None:
            self._know(first["user"])

        def write(session: ClientSession | None) -> None:
            if most is not None:
                waiting = self.count_waiting(first["user"], most + 1, session)
                if waiting + max(1, len(jobs)) > most:
                    raise QueueFull(waiting)
            # Last what may collide: a process that dies in here leaves its key locked for a minute.
            if jobs:
                self._jobs.insert_many(jobs, session=session)
            collection.insert_one(first, session=session)
            if most is not None:
                self._submitters.update_one({"_id": first["user"]}, {"$inc": {"turns": 1}}, session=session)

        self.transact(write)

    def count_waiting(self, user: str, most: int | None = None, session: ClientSession | None = None) -> int:
        """How many of the user's jobs wait, here or in a backend; counted up to ``most``."""
        query = {"user": user, "status": {"$in": list(NOT_STARTED)}}
        bound = {} if most is None else {"limit": most}
        return self._jobs.count_documents(query, session=session, hint="user_status_created", **bound)

    def transact(self, write: Callable[[ClientSession | None], None]) -> None:
        """All of ``write`` or nothing; it may be called several times."""
        with timeout(SECONDS), self._client.start_session() as session:
            session.with_transaction(write)

    def _know(self, user: str) -> None:
        if self._submitters.find_one({"_id": user}, {"_id": 1}) is None:
            with contextlib.suppress(DuplicateKeyError):
                self._submitters.insert_one({"_id": user, "turns": 0})
