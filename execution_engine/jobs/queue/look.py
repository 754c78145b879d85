"""Looks at the queues of client groups."""

import datetime as dt
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bson import ObjectId

from execution_engine.core.clock import now
from execution_engine.jobs.forecast import Wait
from execution_engine.jobs.limit_reader import LimitReader
from execution_engine.jobs.queue.flight import Flight, Inside, flight_of
from execution_engine.jobs.queue.looks import Looks
from execution_engine.jobs.queue.notes import notes_of
from execution_engine.jobs.queue.order import Standing
from execution_engine.store.backends import BackendStore
from execution_engine.store.database import Document
from execution_engine.store.jobs import JobStore
from execution_engine.store.queues import QueueStore

MOST_OWN = 10_000
"""A job behind so many others of its own user is shown without a place."""


@dataclass(frozen=True, slots=True)
class Queue:
    """A client group's queue at one moment.

    standings: of the users whose jobs wait here and may have a turn. held: by user, how many of theirs may not, because
    of a limit of theirs. inside: jobs that wait in backends, each backend's in its own order. running, in_flight: jobs
    by user; in flight are those that run or are inside. served: the higher, the later somebody had a turn. backends:
    their records. waits: how long jobs waited lately, as far as is known at the moment.
    """

    at: dt.datetime
    standings: Mapping[str, Standing]
    held: Mapping[str, int]
    inside: Sequence[Inside]
    running: Mapping[str, int]
    in_flight: Mapping[str, int]
    served: Mapping[str, int]
    backends: Mapping[str, Document]
    waits: Sequence[Wait]
    oldest: dt.datetime | None

    @property
    def ready(self) -> int:
        """How many jobs wait here for their turn."""
        return sum(it.waiting for it in self.standings.values())

    def standing(self, user: str) -> Standing:
        """Also of a user who has nothing waiting here."""
        newcomer = Standing(0, self.in_flight.get(user, 0), self.served.get(user, 0), len(self.standings))
        return self.standings.get(user, newcomer)


class QueueReader:
    """Reads queues, for all who ask in this process."""

    def __init__(self, queues: QueueStore, jobs: JobStore, backends: BackendStore, limits: LimitReader) -> None:
        self.store = queues
        self._jobs = jobs
        self._backends = backends
        self._limits = limits
        self._flights: Looks[None, Flight] = Looks(1)
        self._groups: Looks[str, Queue] = Looks(1_000)
        self._own: Looks[tuple[str, str], dict[ObjectId, int]] = Looks(50)

    def read(self, group: str) -> Queue:
        """The queue of a client group."""
        return self._groups.get(group, lambda: self._look(group))

    def flight(self) -> Flight:
        """What backends have, of all client groups."""
        return self._flights.get(
            None, lambda: flight_of(self._jobs.in_flight_counts(), self.store.inside(), self._backends.orders())
        )

    def own(self, group: str, user: str) -> dict[ObjectId, int]:
        """The user's jobs that wait in the group, each with its number from 1; the first MOST_OWN."""
        return self._own.get(
            (group, user),
            lambda: {job_id: n for n, job_id in enumerate(self.store.waiting_ids(group, user, MOST_OWN), 1)},
        )

    def _look(self, group: str) -> Queue:
        at, flight, told = now(), self.flight(), self.store.get(group)
        rows = self.store.waiting(group)
        held = self._held(group, {row["_id"]: row["n"] for row in rows})
        in_flight = flight.in_flight.get(group, Counter())
        served = {user: turn for turn, user in enumerate(told.get("served", ()), 1)}
        standings = {
            user: Standing(row["n"] - held[user], in_flight[user], served.get(user, 0), age)
            for age, row in enumerate(rows)
            if row["n"] > held[user := row["_id"]]
        }
        return Queue(
            at=at,
            standings=standings,
            held={user: n for user, n in held.items() if n},
            inside=flight.inside.get(group, []),
            running=flight.running.get(group, Counter()),
            in_flight=in_flight,
            served=served,
            backends=self._backends.all(),
            waits=[note.wait(at) for note in notes_of(told)],
            oldest=rows[0]["oldest"] if rows else None,
        )

    def _held(self, group: str, waiting: Mapping[str, int]) -> dict[str, int]:
        """How many of each user's jobs may have no turn now. What holds a whole group changes no order in it."""
        limits = self._limits.read()
        bounds = {
            user: [it for it in limits.running(user, group) if it.target.user or it.target.each_user]
            for user in waiting
        }
        used = self._limits.in_use() if any(bounds.values()) else Counter()
        held = {}
        for user, n in waiting.items():
            room = min((max(0, it.most - used[it.counter]) for it in bounds[user]), default=n)
            held[user] = max(0, n - room)
        return held
