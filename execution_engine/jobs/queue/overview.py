"""A client group's queue as somebody may see it: numbers and the own jobs; for administrators everybody's numbers."""

import datetime as dt
from collections.abc import Sequence
from itertools import islice
from typing import NamedTuple

from bson import ObjectId

from execution_engine.core.errors import ClientGroupNotFound
from execution_engine.jobs.engine import Engine
from execution_engine.jobs.holds import closed_group
from execution_engine.jobs.identity import Admin, User
from execution_engine.jobs.queue.look import Queue
from execution_engine.jobs.queue.places import Place, next_place, place_here, place_inside
from execution_engine.jobs.usage import people_of
from execution_engine.store.database import Document

MOST_SHOWN = 20


class GroupQueue(NamedTuple):
    """waiting, inside, running: jobs that wait here, wait inside backends, run. users: how many have jobs waiting.

    closed: what keeps all of the group's jobs from being handed out. mine: the caller's own that are next. next: where
    another one would stand. people: each user's numbers, for administrators.
    """

    client_group: str
    waiting: int
    inside: int
    running: int
    users: int
    oldest: dt.datetime | None
    closed: Document | None
    mine: Sequence[tuple[ObjectId, Place]]
    next: Place
    people: list[Document] | None


def find_queue(engine: Engine, user: User, client_group: str | None) -> GroupQueue:
    """The queue of a client group; of the default one, if none is named.

    Raises:
        ClientGroupNotFound
    """
    group = require_group(engine, client_group)
    queue = engine.queues.read(group)
    people = people_of(queue)
    return GroupQueue(
        client_group=group,
        waiting=queue.ready + sum(queue.held.values()),
        inside=len(queue.inside),
        running=sum(queue.running.values()),
        users=sum(1 for it in people if it["waiting"] or it["inside"] or it["held"]),
        oldest=queue.oldest,
        closed=closed_group(engine.settings.client_groups[group].backends, queue.backends),
        mine=_mine(engine, group, queue, user.name),
        next=next_place(engine, group, user.name),
        people=people if user.admin >= Admin.READ else None,
    )


def require_group(engine: Engine, client_group: str | None) -> str:
    """The name of a client group, the default one for None.

    Raises:
        ClientGroupNotFound: the configuration has no such group.
    """
    name = client_group or engine.settings.default_client_group
    groups = engine.settings.client_groups
    if name not in groups:
        raise ClientGroupNotFound(
            f"params.client_group: there is no client group {name!r}; there are {', '.join(sorted(groups))}."
        )
    return name


def _mine(engine: Engine, group: str, queue: Queue, user: str) -> list[tuple[ObjectId, Place]]:
    backends = engine.settings.client_groups[group].backends
    inside = [it.job_id for it in queue.inside if it.user == user][:MOST_SHOWN]
    found = [(job_id, place_inside(queue, job_id)) for job_id in inside]
    here = engine.queues.own(group, user) if user in queue.standings or user in queue.held else {}
    found += [
        (job_id, place_here(queue, user, n, backends)) for job_id, n in islice(here.items(), MOST_SHOWN - len(found))
    ]
    return [(job_id, place) for job_id, place in found if place]
