"""Leases with fencing numbers: of several processes one acts, and a deposed one can't write.

Time is mongod's own ($$NOW), so that clocks of hosts don't matter.
"""

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import TypeVar

from pymongo import ReturnDocument
from pymongo.client_session import ClientSession
from pymongo.database import Database
from pymongo.errors import DuplicateKeyError

from execution_engine.core.clock import EPOCH
from execution_engine.store.database import Document

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
    """Acquire, release, and write under a lease, all of one process's in one thread; renew it in any."""

    def __init__(self, database: Database[Document]) -> None:
        self._client = database.client
        self._leases = database.leases

    def acquire(self, name: str, owner: str, seconds: float) -> Lease | None:
        """Take or renew the lease for ``seconds``; None while another one holds it."""
        now = "$$NOW"
        if not self._is_to_be_had(name, owner):
            return None
        taken = self._leases.find_one_and_update(
            {"_id": name, "$expr": {"$or": [{"$eq": ["$owner", owner]}, {"$lte": ["$until", now]}]}},
            [
                {
                    "$set": {
                        "fence": {"$cond": [{"$eq": ["$owner", owner]}, "$fence", {"$add": ["$fence", 1]}]},
                        "owner": owner,
                        "until": {"$add": [now, int(seconds * 1000)]},
                        "session": self._session.session_id["id"],
                    }
                }
            ],
            return_document=ReturnDocument.AFTER,
        )
        if taken is None:
            return self._create(name, owner, seconds)
        return Lease(name, owner, taken["fence"])

    def renew(self, lease: Lease, seconds: float) -> bool:
        """Keep the lease for ``seconds`` more, from any thread; False if it is another's now."""
        held = {"_id": lease.name, "owner": lease.owner, "fence": lease.fence}
        until = [{"$set": {"until": {"$add": ["$$NOW", int(seconds * 1000)]}}}]
        return self._leases.update_one(held, until).matched_count == 1

    def _is_to_be_had(self, name: str, owner: str) -> bool:
        """Whether nobody else holds it; what the last holder may have left open is then ended.

        A process that dies in a transaction leaves it to mongod, which keeps its locks, also that on the lease, for a
        minute (transactionLifetimeLimitSeconds), and an attempt to take the lease would wait for them.
        """
        fields = {"owner": 1, "session": 1, "over": {"$lte": ["$until", "$$NOW"]}}
        last = self._leases.find_one({"_id": name}, fields)
        if last is None or last["owner"] in (owner, None):
            return True
        if last["over"] and "session" in last:
            self._client.admin.command("killSessions", [{"id": last["session"]}])
        return bool(last["over"])

    @cached_property
    def _session(self) -> ClientSession:
        """All transactions of this process run in one session, which the lease names."""
        return self._client.start_session()

    def _create(self, name: str, owner: str, seconds: float) -> Lease | None:
        if self._leases.find_one({"_id": name}, {"_id": 1}):
            return None
        with contextlib.suppress(DuplicateKeyError):
            # Expired from the start: acquire() decides who gets it, by mongod's clock.
            self._leases.insert_one({"_id": name, "owner": None, "fence": 0, "until": EPOCH, "used": 0})
        return self.acquire(name, owner, seconds)

    def is_held(self, name: str, at: datetime) -> bool:
        """Whether anybody holds the lease at ``at``, for information only: clocks may differ."""
        return self.held_until(name) > at

    def held_until(self, name: str) -> datetime:
        """When the lease ends, or ended, unless it is renewed or released; long ago, if nobody has ever held it."""
        until: datetime = (self._leases.find_one({"_id": name}, {"until": 1}) or {}).get("until", EPOCH)
        return until

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

        return self._session.with_transaction(body)
