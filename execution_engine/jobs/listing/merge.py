"""Lists of many workspaces: what is shared with somebody who can read ten thousand.

No index has the jobs of a set of workspaces in order. Two ways lead there, and which is short depends on the data:

- to walk along all jobs and pick those of the workspaces: short where they are busy;
- to merge the workspaces' own lists, some at a time, those first whose jobs come first by the table of store/recent.py,
  and to stop when no job of the remaining workspaces can come before the last one found: short where few of them had
  jobs of late. This is exact with every filter, since a filter only makes a workspace's list begin later.

So the walk comes first, for some keys, and goes on if what it found promises that it will soon be done; else the merge
does. Jobs that are newer than the table's mark (the last minutes) are left to the walk.
"""

import datetime as dt
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from execution_engine.jobs.listing.plans import MAX_RANGES, choose_plan, count_ranges
from execution_engine.jobs.listing.walk import Budget, Stretch, sift, walk
from execution_engine.store.database import Document, one_of
from execution_engine.store.job_lists import LAST_ID, JobLists, Order, Position
from execution_engine.store.recent import RecentStore, Top

FEW = 60  # so many workspaces are one query
_PROBE_KEYS = 300
_WALK_KEYS = 3_000
_FIRST_SLICE, _SLICE = 60, 100
_BORDER_WINDOW = 500


@dataclass(frozen=True, slots=True)
class Many:
    """The jobs in many ``workspaces`` that fulfil ``conditions`` (by field), in order.

    ``without``: the user whose jobs are not among them, which the conditions say too.
    """

    lists: JobLists
    recent: RecentStore
    workspaces: Sequence[int]
    without: str | None
    conditions: Document
    order: Order

    def page(self, after: Position | None, limit: int, budget: Budget) -> Stretch:
        """Up to ``limit`` positions behind ``after``."""
        plan = choose_plan(self.conditions, self.order)
        found = sift(self.lists, plan, Budget(_PROBE_KEYS), limit, after=after, window=_PROBE_KEYS)
        left = limit - len(found.jobs)
        if found.reached is not None and 0 < left * _PROBE_KEYS <= _WALK_KEYS * len(found.jobs):
            more = sift(self.lists, plan, Budget(_WALK_KEYS), left, after=found.reached, window=_WALK_KEYS // 4)
            found = Stretch(found.jobs + more.jobs, more.reached)
        if found.reached is None or len(found.jobs) == limit:
            return found
        mark, tops = self.recent.tops(self.workspaces, self.without, self.order)
        for merged, until in self._steps(mark):
            at, left = found.reached, limit - len(found.jobs)
            if until is not None and not self.order.is_before(at, until):
                continue
            if merged:
                more = self._merge(tops, at, until, left, budget)
            else:
                more = sift(self.lists, plan, budget, left, after=at, until=until, window=_BORDER_WINDOW)
            found = Stretch(found.jobs + more.jobs, more.reached or until)
            if more.reached is not None:
                break
        return found

    def _steps(self, mark: dt.datetime | None) -> list[tuple[bool, Position | None]]:
        """How to go on behind the first keys: whether by merging, and up to where."""
        if mark is None:
            return [(False, None)]
        border = Position(mark, LAST_ID)
        return [(False, border), (True, None)] if self.order.direction < 0 else [(True, border), (False, None)]

    def _merge(
        self, tops: Sequence[Top], after: Position, until: Position | None, limit: int, budget: Budget
    ) -> Stretch:
        """Up to ``limit`` positions between two, from the workspaces' own lists."""
        order, best, known = self.order, list[Document](), until  # known: up to where every list was read
        for part in self._slices(tops):
            begin = order.start_of(part[0].time)
            end = order.first_of([known, order.position(best[-1]) if len(best) == limit else None])
            if end is not None and order.is_before(end, begin):
                break
            if budget.left <= 0:
                known = begin if order.is_before(after, begin) else after
                break
            budget.left -= len(part)
            found = self._read(part, budget, limit, after, end)
            best = order.sort(best + found.jobs)[:limit]
            if len(found.jobs) < limit:
                known = order.first_of([known, found.reached])
        cut = [job for job in best if known is None or not order.is_before(known, order.position(job))]
        if len(cut) == limit:
            return Stretch(cut, order.position(cut[-1]))
        return Stretch(cut, None if known == until else known)

    def _read(
        self, part: Sequence[Top], budget: Budget, limit: int, after: Position, until: Position | None
    ) -> Stretch:
        plan = choose_plan({**self.conditions, "wsid": one_of(top.wsid for top in part)}, self.order)
        first = Budget(min(2 * limit, budget.left))
        budget.left -= first.left
        found = sift(self.lists, plan, first, limit, after=after, until=until, window=first.left)
        if found.reached is None or len(found.jobs) == limit:
            return found
        # Most of these workspaces' jobs are others than are looked for: those are better not sent here.
        more = walk(self.lists, plan, budget, limit - len(found.jobs), after=found.reached, until=until)
        return Stretch(found.jobs + more.jobs, more.reached)

    def _slices(self, tops: Sequence[Top]) -> Iterator[Sequence[Top]]:
        """A few, then more at a time; never more than MongoDB merges in order."""
        most = MAX_RANGES // count_ranges(self.conditions.get("status"))
        begin, size = 0, min(most, _FIRST_SLICE)
        while begin < len(tops):
            yield tops[begin : begin + size]
            begin, size = begin + size, min(most, _SLICE)
