"""Places under limits of concurrency, ``slots``: one document each, with a number that its counter has once.

A job holds one in every counter that a limit bounds, from the claim of its attempt to the attempt's confirmed end.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count

from bson import ObjectId
from pymongo.client_session import ClientSession
from pymongo.database import Database

from execution_engine.store.database import Document, one_of


class NoRoom(Exception):
    """There are not as many slots left as are wanted."""


@dataclass(frozen=True, slots=True)
class Slot:
    """One attempt's place in one counter."""

    counter: str
    job: ObjectId
    attempt: int


class SlotStore:
    """Taking, giving back and counting slots."""

    def __init__(self, database: Database[Document]) -> None:
        self._slots = database.slots
        self._jobs = database.jobs

    def in_use(self, counters: Iterable[str]) -> dict[str, int]:
        """How many slots each counter has; those without any are left out."""
        rows = self._slots.aggregate(
            [{"$match": {"counter": one_of(counters)}}, {"$group": {"_id": "$counter", "n": {"$sum": 1}}}]
        )
        return {row["_id"]: row["n"] for row in rows}

    def take(self, wanted: Sequence[tuple[Slot, int | None]], session: ClientSession | None) -> None:
        """Take a slot each, none if a limit would be exceeded; with each its limit, None to count without one.

        The unique index on counter and number makes two who take at once collide, whatever each of them has counted.

        Raises:
            NoRoom: the transaction of ``session`` must not be committed.
        """
        if not wanted:
            return
        used: defaultdict[str, set[int]] = defaultdict(set)
        counters = one_of({slot.counter for slot, _ in wanted})
        for held in self._slots.find({"counter": counters}, {"_id": 0, "counter": 1, "n": 1}, session=session):
            used[held["counter"]].add(held["n"])
        free = {counter: _free(numbers) for counter, numbers in used.items()}
        documents = []
        for slot, most in wanted:
            numbers = used[slot.counter]
            if most is not None and len(numbers) >= most:
                raise NoRoom(f"{slot.counter}: {len(numbers)} of {most} slots are in use.")
            n = next(free.setdefault(slot.counter, _free(numbers)))
            numbers.add(n)
            documents.append({"counter": slot.counter, "n": n, "job": slot.job, "attempt": slot.attempt})
        self._slots.insert_many(documents, session=session)

    def free_ended(self, job_ids: Sequence[ObjectId], session: ClientSession | None = None) -> int:
        """Give back the slots of those of the jobs whose attempt is over; how many.

        That an attempt is over stays true, so any process may do this at any time.
        """
        if not job_ids:
            return 0
        held = list(self._slots.find({"job": one_of(job_ids)}, {"job": 1, "attempt": 1}, session=session))
        return self._free_over(held, session)

    def settle(self, wanted: Iterable[Slot], session: ClientSession | None) -> None:
        """Give back what attempts hold that are over, and take whatever of ``wanted`` is missing, limit or not."""
        held = list(self._slots.find({}, session=session))
        self._free_over(held, session)
        there = {Slot(it["counter"], it["job"], it["attempt"]) for it in held}
        self.take([(slot, None) for slot in wanted if slot not in there], session)

    def _free_over(self, held: Sequence[Document], session: ClientSession | None) -> int:
        if not held:
            return 0
        # By id alone, so that a job which is just changing hands is not overlooked by a scan of an index.
        jobs = self._jobs.find(
            {"_id": one_of({slot["job"] for slot in held})},
            {"active": 1, "claimed": 1, "attempt.n": 1},
            session=session,
        )
        in_flight = {(job["_id"], job["attempt"]["n"]) for job in jobs if job["active"] and job["claimed"]}
        over = [slot["_id"] for slot in held if (slot["job"], slot["attempt"]) not in in_flight]
        if not over:
            return 0
        return self._slots.delete_many({"_id": one_of(over)}, session=session).deleted_count


def _free(used: set[int]) -> Iterator[int]:
    """Numbers that are not used yet, the lowest first."""
    return (n for n in count() if n not in used)
