"""The places of waiting jobs in their client groups' queues, and what history says about their starts."""

import datetime as dt
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from bson import ObjectId

from execution_engine.jobs.engine import Engine
from execution_engine.jobs.forecast import Forecast, forecast
from execution_engine.jobs.holds import closed_group
from execution_engine.jobs.queue.look import Queue
from execution_engine.jobs.queue.looks import BELIEVED_SECONDS
from execution_engine.jobs.queue.order import jobs_ahead
from execution_engine.store.database import Document

_LOOK_AGE = dt.timedelta(seconds=BELIEVED_SECONDS)


class Place(NamedTuple):
    """Where a job stands in its client group.

    position: from 1, over the jobs that wait inside backends and those that wait here. inside: how many of the jobs
    ahead are inside backends; users: whose jobs ahead are, without its own; own: jobs ahead of the same user.
    forecast: when it may start, or in words why nothing can be said.
    """

    position: int
    inside: int
    users: int
    own: int
    forecast: Forecast | str


def find_places(engine: Engine, jobs: Iterable[Document]) -> dict[ObjectId, Place]:
    """For each of the jobs, which must not have started; one shared look at each group serves all of them.

    A job that has just moved on, or that is behind very many of its own user's, is left out.
    """
    places = {}
    for job in jobs:
        if job["client_group"] in engine.settings.client_groups:
            place = _place(engine, job)
            if place is not None:
                places[job["_id"]] = place
    return places


def next_place(engine: Engine, group: str, user: str) -> Place:
    """Where a job of the user would stand that is submitted now."""
    queue = engine.queues.read(group)
    n = queue.standing(user).waiting + queue.held.get(user, 0) + 1
    return place_here(queue, user, n, engine.settings.client_groups[group].backends)


def _place(engine: Engine, job: Document) -> Place | None:
    group, user = job["client_group"], job["user"]
    queue = engine.queues.read(group)
    if job["claimed"]:
        return place_inside(queue, job["_id"])
    n = engine.queues.own(group, user).get(job["_id"])
    if n is None and job["created"] > queue.at - _LOOK_AGE:
        n = queue.standing(user).waiting + queue.held.get(user, 0) + 1  # it came after one of the looks
    backends = engine.routing.read().backends(group, user, job["method"])
    return place_here(queue, user, n, backends) if n else None


def place_inside(queue: Queue, job_id: ObjectId) -> Place | None:
    """Of a job that waits inside a backend; None if the look did not find it there."""
    found = next((it for it in queue.inside if it.job_id == job_id), None)
    if found is None:
        return None
    ahead = []
    for other in queue.inside:
        if other is found:
            break
        if other.backend == found.backend:
            ahead.append(other.user)
    own = ahead.count(found.user)
    users = len(set(ahead) - {found.user})
    position = len(ahead) + 1
    return Place(position, len(ahead), users, own, _when(queue, position))


def place_here(queue: Queue, user: str, n: int, backends: Sequence[str]) -> Place:
    """Of a user's ``n``-th job (from 1) that waits to be handed out to one of the backends."""
    standing = queue.standing(user)
    ahead = jobs_ahead({**queue.standings, user: standing}, user, n)
    inside = [it.user for it in queue.inside]
    position = len(inside) + sum(ahead.values()) + 1
    users = len((set(inside) | ahead.keys()) - {user})
    own = ahead.get(user, 0) + inside.count(user)
    if n > standing.waiting and queue.held.get(user):
        when: Forecast | str = "A limit holds it; when it has room depends on the jobs that count against the limit."
    elif closed_group(backends, queue.backends):
        when = "No backend takes such jobs now."
    else:
        when = _when(queue, position)
    return Place(position, len(inside), users, own, when)


def _when(queue: Queue, position: int) -> Forecast | str:
    told = forecast(position, queue.waits)
    return told if isinstance(told, Forecast) else told.message
