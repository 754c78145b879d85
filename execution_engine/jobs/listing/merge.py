"""Lists of many workspaces: what is shared with somebody who can read ten thousand.

No index has the jobs of a set of workspaces in order. Two ways lead there, and which is short depends on the data:

- to walk along all jobs and pick those of the workspaces: short where they are busy;
- to merge the workspaces' own lists, some at a time, those first whose jobs come first by the table of store/recent.py,
  and to stop when no job of the remaining workspaces can come before the last one found: short where few of them had
  jobs of late. Each is read only from its first to its last job by the table, so workspaces in which others than the
  reader had few jobs cost little, however many the reader has there. This is exact with every filter, since a filter
  only makes a workspace's list begin later and end earlier.

So the walk comes first, for some keys, and goes on if what it found promises that it will be done sooner than the merge
of all workspaces whose jobs may be the next; else the merge does. Jobs that are newer than the table's mark (the last
minutes) are left to the walk.
"""

import datetime as dt
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from execution_engine.jobs.listing.plans import MAX_RANGES, Plan, choose_plan, count_ranges
from execution_engine.jobs.listing.walk import Budget, Stretch, sift, walk
from execution_engine.store.database import Document, one_of
from execution_engine.store.job_lists import LAST_ID, JobLists, Order, Position
from execution_engine.store.recent import RecentStore, Span

FEW = 60  # so many workspaces are one query
_PROBE_KEYS = 300
_WALK_KEYS = 3_000
_KEYS_A_WORKSPACE = 10  # so many keys are passed over in the time in which one workspace is merged
_RESERVE = 1.3  # what is expected of some hundred keys is a guess
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
        expected = _expected_keys(found, limit, _PROBE_KEYS)
        if found.reached is not None and 0 < expected <= _WALK_KEYS:
            left = limit - len(found.jobs)
            more = sift(self.lists, plan, Budget(_WALK_KEYS), left, after=found.reached, window=_WALK_KEYS // 4)
            found = Stretch(found.jobs + more.jobs, more.reached)
            expected = _expected_keys(found, limit, _PROBE_KEYS + _WALK_KEYS)
        if found.reached is None or expected == 0:
            return found
        mark, spans = self.recent.spans(self.workspaces, self.without, self.order)
        begun = sum(span.first == found.reached.time for span in self._rest(spans, found.reached))
        if expected <= _KEYS_A_WORKSPACE * begun:
            found = self._walk(found, plan, limit, int(expected * _RESERVE), budget)
        for merged, until in self._steps(mark):
            at, left = found.reached, limit - len(found.jobs)
            if at is None or left == 0:
                break
            if until is not None and not self.order.is_before(at, until):
                continue
            if merged:
                more = self._merge(spans, at, until, left, budget)
            else:
                more = sift(self.lists, plan, budget, left, after=at, until=until, window=_BORDER_WINDOW)
            found = Stretch(found.jobs + more.jobs, more.reached or until)
            if more.reached is not None:
                break
        return found

    def _walk(self, found: Stretch, plan: Plan, limit: int, keys: int, budget: Budget) -> Stretch:
        """Go on along all jobs for so many keys; what does not match is better not sent here."""
        share = Budget(min(keys, budget.left))
        budget.left -= share.left
        more = walk(self.lists, plan, share, limit - len(found.jobs), after=found.reached, window=share.left)
        return Stretch(found.jobs + more.jobs, more.reached)

    def _rest(self, spans: Sequence[Span], after: Position) -> list[Span]:
        """What of the spans is behind a position, in order."""
        order = self.order
        rest = [
            span._replace(first=after.time) if order.is_before(order.start_of(span.first), after) else span
            for span in spans
            if not order.is_before(order.end_of(span.last), after)
        ]
        return sorted(rest, reverse=order.direction < 0)

    def _steps(self, mark: dt.datetime | None) -> list[tuple[bool, Position | None]]:
        """How to go on behind the first keys: whether by merging, and up to where."""
        if mark is None:
            return [(False, None)]
        border = Position(mark, LAST_ID)
        return [(False, border), (True, None)] if self.order.direction < 0 else [(True, border), (False, None)]

    def _merge(
        self, spans: Sequence[Span], after: Position, until: Position | None, limit: int, budget: Budget
    ) -> Stretch:
        """Up to ``limit`` positions between two, from the workspaces' own lists."""
        order, best, known = self.order, list[Document](), until  # known: up to where every list was read
        for part in self._slices(self._rest(spans, after)):
            begin = order.start_of(part[0].first)
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
        self, part: Sequence[Span], budget: Budget, limit: int, after: Position, until: Position | None
    ) -> Stretch:
        plan = choose_plan({**self.conditions, "wsid": one_of(span.wsid for span in part)}, self.order).within(part)
        first = Budget(min(2 * limit, budget.left))
        budget.left -= first.left
        found = sift(self.lists, plan, first, limit, after=after, until=until, window=first.left)
        if found.reached is None or len(found.jobs) == limit:
            return found
        # Most of these workspaces' jobs are others than are looked for: those are better not sent here.
        more = walk(self.lists, plan, budget, limit - len(found.jobs), after=found.reached, until=until)
        return Stretch(found.jobs + more.jobs, more.reached)

    def _slices(self, spans: Sequence[Span]) -> Iterator[Sequence[Span]]:
        """A few, then more at a time; never more than MongoDB merges in order."""
        most = MAX_RANGES // count_ranges(self.conditions.get("status"))
        begin, size = 0, min(most, _FIRST_SLICE)
        while begin < len(spans):
            yield spans[begin : begin + size]
            begin, size = begin + size, min(most, _SLICE)


def _expected_keys(found: Stretch, limit: int, keys: int) -> float:
    """How many more keys it takes to find ``limit`` jobs, if the next ones are as those ``keys`` that were read."""
    left = limit - len(found.jobs)
    return left * keys / len(found.jobs) if found.jobs else math.inf
