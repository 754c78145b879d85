"""Leases with fencing numbers: of several processes one acts, and a deposed one can't write.

Time is mongod's own ($$NOW), so that clocks of hosts don't matter.
"""

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from pymongo import ReturnDocument
from pymongo.client_session import ClientSession
from pymongo.database import Database
from pymongo.errors import DuplicateKeyError

from execution_engine.core.clock import EPOCH
from execution_engine.store.coalesce import Coalescer
from execution_engine.store.database import Document, one_of

T = TypeVar("T")


class LeaseLost(Exception):
    """Another process holds the lease now."""


@dataclass(frozen=True, slots=True)
class Lease:
    """A held lease; ``fence`` grows with every change of holder."""

    name: str
    owner: str
    fence: int


class LeaseStore:
    """Acquire, renew, release, and write under a lease."""

    def __init__(self, database: Database[Document]) -> None:
        self._database = database
        self._leases = database.leases
        self._reads: Coalescer[str, datetime] = Coalescer(self._ends)

    def acquire(self, name: str, owner: str, seconds: float) -> Lease | None:
        """Take or renew the lease for ``seconds``; None while another one holds it."""
        now = "$$NOW"
        taken = self._leases.find_one_and_update(
            {"_id": name, "$expr": {"$or": [{"$eq": ["$owner", owner]}, {"$lte": ["$until", now]}]}},
            [
                {
                    "$set": {
                        "fence": {"$cond": [{"$eq": ["$owner", owner]}, "$fence", {"$add": ["$fence", 1]}]},
                        "owner": owner,
                        "until": {"$add": [now, int(seconds * 1000)]},
                    }
                }
            ],
            return_document=ReturnDocument.AFTER,
        )
        if taken is None:
            return self._create(name, owner, seconds)
        return Lease(name, owner, taken["fence"])

    def _create(self, name: str, owner: str, seconds: float) -> Lease | None:
        if self._leases.find_one({"_id": name}, {"_id": 1}):
            return None
        with contextlib.suppress(DuplicateKeyError):
            # Expired from the start: acquire() decides who gets it, by mongod's clock.
            self._leases.insert_one({"_id": name, "owner": None, "fence": 0, "until": EPOCH, "used": 0})
        return self.acquire(name, owner, seconds)

    def is_held(self, name: str, at: datetime) -> bool:
        """Whether anybody holds the lease at ``at``, for information only: clocks may differ."""
        until = self._reads.get(name)
        return until is not None and until > at

    def _ends(self, names: list[str]) -> dict[str, datetime]:
        return {lease["_id"]: lease["until"] for lease in self._leases.find({"_id": one_of(names)}, {"until": 1})}

    def release(self, lease: Lease) -> None:
        """Let another one have it at once; harmless if the lease was lost."""
        self._leases.update_one(
            {"_id": lease.name, "owner": lease.owner, "fence": lease.fence},
            [{"$set": {"until": "$$NOW", "owner": None}}],
        )

    def write_under(self, lease: Lease, write: Callable[[ClientSession], T]) -> T:
        """Run ``write`` in a transaction that also touches the lease document.

        A take-over changes the same document, so it conflicts with this transaction: either the write comes before
        it, or not at all.

        Raises:
            LeaseLost: another process holds the lease.
        """

        def body(session: ClientSession) -> T:
            held = self._leases.update_one(
                {"_id": lease.name, "owner": lease.owner, "fence": lease.fence}, {"$inc": {"used": 1}}, session=session
            )
            if held.matched_count != 1:
                raise LeaseLost
            return write(session)

        with self._database.client.start_session() as session:
            return session.with_transaction(body)
