"""The order in which AWE will start what waits. Its own answer counts groups whose names are parts of each other."""

from collections import Counter
from collections.abc import Iterable

from execution_engine.backends.awe.documents import AweJob


def line_up(jobs: Iterable[AweJob]) -> list[AweJob]:
    """The jobs in AWE's order: higher priority, then earlier submission."""
    return sorted(jobs, key=lambda job: (-job.priority, job.submitted, job.id))


def positions(waiting: Iterable[AweJob]) -> dict[str, int]:
    """The place of each job, from 1, among those that wait for some worker that it waits for too."""
    ordered = line_up(waiting)
    ahead: Counter[frozenset[str]] = Counter()
    places = {}
    for job in ordered:
        places[job.id] = 1 + sum(count for groups, count in ahead.items() if groups & job.groups)
        ahead[job.groups] += 1
    return places
