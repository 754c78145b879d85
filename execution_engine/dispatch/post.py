"""The dispatcher's post: while it holds the lease it may write, and every write proves it."""

import time
from collections.abc import Callable, Sequence
from typing import TypeVar

from bson import ObjectId
from pymongo.client_session import ClientSession

from execution_engine.core.transitions import Transition
from execution_engine.jobs.holds import DISPATCH_LEASE
from execution_engine.store.jobs import JobStore
from execution_engine.store.leases import Lease, LeaseLost, LeaseStore
from execution_engine.store.slots import SlotStore

T = TypeVar("T")

_LONGEST_ROUND = 600.0
"""Seconds without a new round after which the post is let go: the dispatcher hangs, where it should have timed out."""
_SAFETY = 0.8  # beyond this share of the lease's time, by its own clock, the holder makes sure of it before it writes


class Post:
    """The lease of one dispatcher process, and its writes under it."""

    def __init__(
        self,
        jobs: JobStore,
        slots: SlotStore,
        leases: LeaseStore,
        owner: str,
        seconds: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.jobs = jobs
        self._slots = slots
        self._leases = leases
        self._owner = owner
        self._seconds = seconds
        self._clock = clock
        self._lease: Lease | None = None
        self._renewed_at = 0.0
        self._seen_at = 0.0

    def hold(self) -> bool:
        """Take the post or keep it; False while another process has it."""
        begun = self._seen_at = self._clock()
        if self._lease and begun < self._renewed_at + self._seconds / 3:
            return True
        self._lease = self._leases.acquire(DISPATCH_LEASE, self._owner, self._seconds)
        self._renewed_at = begun
        return self._lease is not None

    def renew(self) -> None:
        """Keep the post during a round that lasts longer than the lease, for a slow backend; in a thread of its own."""
        lease, begun = self._lease, self._clock()
        if lease and begun < self._seen_at + _LONGEST_ROUND and self._leases.renew(lease, self._seconds):
            self._renewed_at = begun

    def leave(self) -> None:
        """Let a stand-by take over at once."""
        if self._lease:
            self._leases.release(self._lease)
            self._lease = None

    @property
    def term(self) -> int | None:
        """A number that changes whenever somebody else may have held the post meanwhile; None without the post."""
        return self._lease.fence if self._lease else None

    def write(self, writes: Sequence[tuple[ObjectId, Transition]]) -> int:
        """Apply the transitions whose conditions hold; how many did. Attempts that they end give their slots back.

        Raises:
            LeaseLost: the post is another's now, or may be.
        """
        if not writes:
            return 0
        ended = [job_id for job_id, transition in writes if transition.ends_attempt]

        def write(session: ClientSession | None) -> int:
            applied = self.jobs.apply_many(writes, session)
            if ended:
                self._slots.free_ended(ended, session)
            return applied

        return self.act(write)

    def act(self, write: Callable[[ClientSession | None], T]) -> T:
        """Do ``write`` in one transaction with the lease; it may be called again, after what it did was rolled back.

        Raises:
            LeaseLost: the post is another's now, or may be.
        """
        if self._lease and self._clock() > self._renewed_at + self._seconds * _SAFETY:
            self._make_sure()
        if self._lease is None:
            raise LeaseLost
        return self._leases.write_under(self._lease, write)

    def _make_sure(self) -> None:
        """After a call that lasted as long as the lease: go on, unless somebody has held it in between."""
        before, begun = self._lease, self._clock()
        self._lease = self._leases.acquire(DISPATCH_LEASE, self._owner, self._seconds)
        self._renewed_at = begun
        if self._lease != before:
            raise LeaseLost
