"""Reading a list by one index, no more keys than a budget allows.

What the index's order answers by itself costs a key for each job shown. Where more is asked, jobs that match may be
rare: then the index is read in windows of so many keys each, and what has been read is known when the budget ends.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

from execution_engine.jobs.listing.matching import matcher
from execution_engine.jobs.listing.plans import Plan
from execution_engine.store.database import Document
from execution_engine.store.job_lists import JobLists, Order, Position

FIRST_WINDOW = 1_000
_GROWTH = 4


@dataclass(slots=True)
class Budget:
    """How many more keys may be read."""

    left: int


@dataclass(slots=True)
class Stretch:
    """A part of a list. ``reached``: up to where it is complete; None: to the end of what was asked for."""

    jobs: list[Document]
    reached: Position | None


def join(parts: Sequence[Stretch], order: Order, limit: int) -> Stretch:
    """Up to ``limit`` jobs of several lists as one list: as far as all of them are complete."""
    end = order.first_of(part.reached for part in parts)
    jobs = order.sort(job for part in parts for job in part.jobs)
    known = [job for job in jobs if end is None or not order.is_before(end, order.position(job))]
    if len(known) >= limit:
        return Stretch(known[:limit], order.position(known[limit - 1]))
    return Stretch(known, end)


def walk(
    lists: JobLists,
    plan: Plan,
    budget: Budget,
    limit: int,
    *,
    after: Position | None,
    until: Position | None = None,
    whole: bool = False,
    window: int = FIRST_WINDOW,
) -> Stretch:
    """Up to ``limit`` jobs between two positions; ``whole``: their records, else only their positions.

    It ends with the last of them, with the last position, or with the budget, and always gets on.
    """
    jobs: list[Document] = []
    fields = None if whole else {plan.order.field}
    if not plan.rest:
        jobs = lists.read(plan.query(after, until), plan.index, plan.order, limit, fields)
        return Stretch(jobs, plan.order.position(jobs[-1]) if len(jobs) == limit else None)
    window = max(1, min(window, budget.left))
    while True:
        edge = _edge(lists, plan, window, after, until)
        jobs += lists.read(plan.query(after, edge or until), plan.index, plan.order, limit - len(jobs), fields)
        if len(jobs) == limit:
            return Stretch(jobs, plan.order.position(jobs[-1]))
        if edge is None:
            return Stretch(jobs, None)
        after = edge
        budget.left -= window
        if budget.left <= 0:
            return Stretch(jobs, after)
        window = min(window * _GROWTH, budget.left)


def sift(
    lists: JobLists,
    plan: Plan,
    budget: Budget,
    limit: int,
    *,
    after: Position | None,
    until: Position | None = None,
    window: int,
) -> Stretch:
    """As :func:`walk`, for positions; but what the index's order does not answer is checked here.

    Of many workspaces that is faster: MongoDB takes longer to prepare a condition with ten thousand numbers, or to find
    a window's end first, than to send some hundred keys.
    """
    jobs: list[Document] = []
    accepts = matcher(plan.rest)
    fields = {plan.order.field, *(name for condition in plan.rest for name in condition)}
    while True:
        window = max(1, min(window, budget.left))
        rows = lists.read(plan.keys(after, until, exact=True), plan.index, plan.order, window, fields)
        budget.left -= len(rows)
        jobs += islice(filter(accepts, rows), limit - len(jobs))
        if len(jobs) == limit:
            return Stretch(jobs, plan.order.position(jobs[-1]))
        if len(rows) < window:
            return Stretch(jobs, None)
        after = plan.order.position(rows[-1])
        if budget.left <= 0:
            return Stretch(jobs, after)
        window *= _GROWTH


def _edge(lists: JobLists, plan: Plan, window: int, after: Position | None, until: Position | None) -> Position | None:
    """Where the window ends; None: behind ``until``, or the end of the list."""
    edge = lists.nth(plan.keys(after, until, exact=False), plan.index, plan.order, window)
    if edge and after and not plan.order.is_before(after, edge):
        # More jobs of the very same time than the window has keys.
        edge = lists.nth(plan.keys(after, until, exact=True), plan.index, plan.order, window)
    return edge if edge and (until is None or plan.order.is_before(edge, until)) else None
