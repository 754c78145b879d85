"""The upkeep of ``ws_recent`` (store/recent.py): reads jobs in order of their times, and tells the table.

Jobs are recorded some moments after the time that they bear, so the mark stays ``MARGIN`` behind, and what is newer
than the mark is read again each time. Doing so twice changes nothing, in whatever order and by however many processes.
"""

import datetime as dt
from collections import deque
from typing import Any

from pymongo.database import Database

from execution_engine.core.clock import EPOCH
from execution_engine.store.job_lists import JobLists, Order, Position
from execution_engine.store.recent import Ends, Job, RecentStore

MARGIN = dt.timedelta(minutes=2)
# A step takes some ten milliseconds, because jobs wait meanwhile to be handed out.
_CHUNK = 2_000  # jobs read in one step
_WRITES = 150  # workspaces written in one step


class RecentFold:
    """Brings the table up to date, step by step."""

    def __init__(self, database: Database[Any]) -> None:
        table, jobs = RecentStore(database), JobLists(database)
        self._folds = [_Fold(jobs, table, field) for field in ("created", "finished")]
        self._turns: deque[_Fold] = deque()

    def step(self, at: dt.datetime) -> bool:
        """Take the next thousands of jobs into account, of those up to ``at``; whether there are more."""
        if not self._turns:
            self._turns.extend(self._folds)
        fold = self._turns.popleft()
        if fold.step(at):
            self._turns.append(fold)
        return bool(self._turns)


class _Fold:
    """By one of a job's times.

    ``_found``: what was read so far, up to ``_read``; ``_left``: what of it is still to be written, for all to be known
    up to ``_until``; ``_written``: what the last time was.
    """

    def __init__(self, jobs: JobLists, table: RecentStore, field: str) -> None:
        self._jobs = jobs
        self._table = table
        self._order = Order(field, 1)
        self._read: Position | None = None
        self._found: dict[int, Ends] = {}
        self._written: dict[int, Ends] = {}
        self._left: list[tuple[int, Ends]] = []
        self._until = EPOCH

    def step(self, at: dt.datetime) -> bool:
        """Read the next jobs, or write the next workspaces; whether there is more to do."""
        if self._left:
            return self._write()
        mark, settled = self._table.mark(self._order.field), at - MARGIN
        last = self._add(self._read or self._order.end_of(mark or EPOCH))
        if last and last.time <= settled:
            # All of a long past is read before any of it is written: most workspaces come again and again.
            self._read = last
            return True
        # Most of what is newer than the mark was written before.
        known = self._written if mark else {}
        self._left = [(wsid, ends) for wsid, ends in self._found.items() if known.get(wsid) != ends]
        self._read, self._written, self._found, self._until = None, self._found, {}, settled
        return self._write()

    def _write(self) -> bool:
        """Tell the table of the next workspaces; at the last set the mark."""
        self._table.merge(self._order.field, dict(self._left[-_WRITES:]))
        del self._left[-_WRITES:]
        if not self._left:
            self._table.set_mark(self._order.field, self._until)
        return bool(self._left)

    def _add(self, after: Position) -> Position | None:
        """Read the next jobs; where the last one stands, if there may be more."""
        field = self._order.field
        query = {"$and": self._order.between(after, None)}
        rows = self._jobs.read(query, field, self._order, _CHUNK, {field, "wsid", "user"})
        for row in rows:
            if "wsid" in row:
                self._note(row["wsid"], Job(row[field], row["user"]))
        return self._order.position(rows[-1]) if len(rows) == _CHUNK else None

    def _note(self, wsid: int, job: Job) -> None:
        """Take in a job that is no older than those before."""
        held = self._found.get(wsid)
        if held is None:
            self._found[wsid] = Ends([job], [job])
            return
        others = [other for other in held.newest if other.user != job.user]
        oldest = held.oldest
        if len(oldest) == 1 and oldest[0].user != job.user:
            oldest = [oldest[0], job]
        self._found[wsid] = Ends([job, *others[:1]], oldest)
