"""Room under the limits of concurrent jobs: seen by the one dispatcher that holds the post, taken in its claims."""

import time
from collections import Counter
from collections.abc import Callable, Iterable

from bson import ObjectId
from pymongo.client_session import ClientSession

from execution_engine.backends.base import Submission
from execution_engine.dispatch.post import Post
from execution_engine.jobs.limits import Bound, Limits
from execution_engine.store.limits import LimitStore
from execution_engine.store.slots import NoRoom, Slot, SlotStore

_SETTLE_SECONDS = 60.0


class Places:
    """The limits as they are now, and who has how many slots under them."""

    def __init__(
        self, post: Post, limits: LimitStore, slots: SlotStore, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._post = post
        self._store = limits
        self._slots = slots
        self._clock = clock
        self._settled: tuple[int | None, frozenset[str]] = (None, frozenset())
        self._settled_at = float("-inf")
        self.limits = Limits([])

    def look(self) -> None:
        """Read the limits, and give back what has ended."""
        self.limits = Limits(self._store.all())
        if not self.limits.counted:
            return
        self._slots.free_ended(self._post.jobs.ended_lately())
        # Jobs that began before a limit was set count against it too, and so do those of an earlier dispatcher.
        counted = (self._post.term, self.limits.counted)
        if counted != self._settled or self._clock() > self._settled_at + _SETTLE_SECONDS:
            self._post.act(self._settle)
            self._settled, self._settled_at = counted, self._clock()

    def room_in(self, group: str, users: Iterable[str]) -> "GroupRoom":
        """What the users may still start in a client group."""
        bounds = {user: self.limits.running(user, group) for user in users}
        counters = {bound.counter for bound_by in bounds.values() for bound in bound_by}
        return GroupRoom(bounds, self._slots.in_use(counters) if counters else {})

    def take(self, claimed: Iterable[tuple[ObjectId, Submission]], session: ClientSession | None) -> None:
        """Slots for attempts, in the transaction that claims them.

        Raises:
            NoRoom: a limit would be exceeded, or the limits are others by now.
        """
        if Limits(self._store.all(session)) != self.limits:
            raise NoRoom("Limits were changed.")
        self._slots.take(
            [
                (Slot(bound.counter, job_id, it.attempt), bound.most)
                for job_id, it in claimed
                for bound in self.limits.running(it.user, it.client_group)
            ],
            session,
        )

    def _settle(self, session: ClientSession | None) -> None:
        wanted = [
            Slot(bound.counter, job["_id"], job["attempt"]["n"])
            for job in self._post.jobs.in_flight(session)
            for bound in self.limits.running(job["user"], job["client_group"])
        ]
        self._slots.settle(wanted, session)


class GroupRoom:
    """How many more jobs may start, while some are being chosen."""

    def __init__(self, bounds: dict[str, list[Bound]], in_use: dict[str, int]) -> None:
        self._bounds = bounds
        self._in_use = Counter(in_use)

    def allows(self, user: str) -> bool:
        """Whether one more job of the user may start."""
        return all(self._in_use[bound.counter] < bound.most for bound in self._bounds[user])

    def note(self, user: str) -> None:
        """One more of the user's is going to."""
        self._in_use.update(bound.counter for bound in self._bounds[user])
