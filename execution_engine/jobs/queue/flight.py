"""What backends have of our jobs: those that run, and those that wait inside, in each backend's own order."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from bson import ObjectId

from execution_engine.core.states import Status
from execution_engine.store.database import Document


class Inside(NamedTuple):
    """A job that waits inside a backend, or is on its way there."""

    job_id: ObjectId
    user: str
    backend: str


class Flight(NamedTuple):
    """By client group: jobs that run and jobs in flight (running or inside) by user; the jobs inside, in order.

    ``running_in``, ``inside_of``: jobs by backend and client group.
    """

    running: dict[str, Counter[str]]
    in_flight: dict[str, Counter[str]]
    inside: dict[str, list[Inside]]
    running_in: Counter[tuple[str, str]]
    inside_of: Counter[tuple[str, str]]


def flight_of(counts: Iterable[Document], inside: Iterable[Document], orders: Mapping[str, list[str]]) -> Flight:
    """Put together from counts by kind, the jobs inside, and backends' ids of jobs in each backend's order.

    A job that its backend has not listed yet is behind those that it has.
    """
    found = Flight({}, {}, {}, Counter(), Counter())
    for row in counts:
        group, user, n = row["client_group"], row["user"], row["n"]
        found.in_flight.setdefault(group, Counter())[user] += n
        place = row["backend"], group
        if row["status"] == Status.RUNNING:
            found.running.setdefault(group, Counter())[user] += n
            found.running_in[place] += n
        else:
            found.inside_of[place] += n
    ranks = {name: {backend_id: rank for rank, backend_id in enumerate(order)} for name, order in orders.items()}

    def rank(job: Document) -> tuple[int, ObjectId]:
        known = ranks.get(job["backend"], {})
        return known.get(job.get("backend_id", ""), len(known)), job["_id"]

    for job in sorted(inside, key=rank):
        line = found.inside.setdefault(job["client_group"], [])
        line.append(Inside(job["_id"], job["user"], job["backend"]))
    return found
