"""Keeping the backends supplied: in each client group users take turns, within their limits."""

import logging
from collections import Counter
from collections.abc import Mapping, Sequence

from execution_engine.config import ClientGroupSettings
from execution_engine.core.states import Status
from execution_engine.dispatch.choice import choose
from execution_engine.dispatch.desk import Desk
from execution_engine.dispatch.handover import hand_over
from execution_engine.dispatch.places import Places
from execution_engine.dispatch.post import Post
from execution_engine.dispatch.turns import Turns
from execution_engine.jobs.routing import Routing, RoutingReader
from execution_engine.store.database import Document
from execution_engine.store.slots import NoRoom

_SERVED = 1_000  # to others those who were served before these are the same as those who never were
_log = logging.getLogger("execution_engine.dispatch")


class Feed:
    """Hands waiting jobs to the backends that have room for more."""

    def __init__(
        self,
        post: Post,
        places: Places,
        routing: RoutingReader,
        groups: Sequence[ClientGroupSettings],
        desks: Mapping[str, Desk],
    ) -> None:
        self._post = post
        self._places = places
        self._routing = routing
        self._groups = groups
        self._desks = desks
        self._turns = {group.name: Turns() for group in groups}

    def run(self) -> int:
        """Hand out what fits now; how many jobs were handed out."""
        if not self._post.jobs.any_waiting():
            return 0
        self._places.look()
        routing = self._routing.read()
        flight = self._post.jobs.in_flight_counts()
        return sum(self._feed_group(group, routing, flight) for group in self._groups)

    def served(self) -> dict[str, list[str]]:
        """Who had a turn in each group, the latest last."""
        return {name: turns.latest(_SERVED) for name, turns in self._turns.items()}

    def _feed_group(self, group: ClientGroupSettings, routing: Routing, flight: Sequence[Document]) -> int:
        mine = [row for row in flight if row["client_group"] == group.name]
        room = self._room(group, mine)
        users = self._post.jobs.queue_heads(group.name) if any(room.values()) else []
        if not users:
            return 0
        load: Counter[str] = Counter()
        for row in mine:
            load[row["user"]] += row["n"]
        chosen = choose(
            self._turns[group.name].begin(users, load),
            room,
            self._places.room_in(group.name, users),
            lambda user, most, seen, closed: self._post.jobs.waiting_of(group.name, user, most, seen, closed),
            lambda job: routing.backends(group.name, job["user"], job["method"]),
        )
        return sum(self._hand_over(self._desks[name], jobs) for name, jobs in chosen.items())

    def _room(self, group: ClientGroupSettings, flight: Sequence[Document]) -> dict[str, int]:
        """How many more of the group's jobs may wait in each backend that takes jobs."""
        waiting: Counter[str] = Counter()
        for row in flight:
            if row["status"] != Status.RUNNING:
                waiting[row["backend"]] += row["n"]
        return {
            name: max(0, desk.ahead(group.feed_ahead) - waiting[name])
            for name, desk in self._desks.items()
            if desk.takes_jobs
        }

    def _hand_over(self, desk: Desk, jobs: Sequence[Document]) -> int:
        try:
            return hand_over(self._post, self._places, desk, jobs)
        except NoRoom as error:
            # Jobs were claimed since the slots were counted: the next round counts anew.
            _log.warning("%d jobs were not handed out: %s", len(jobs), error)
            return 0
