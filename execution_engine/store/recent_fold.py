"""The upkeep of ``ws_recent`` (store/recent.py): reads jobs in order of their times, and tells the table.

Jobs are recorded some moments after the time that they bear, so the mark stays ``MARGIN`` behind, and what is newer
than the mark is read again each time. Doing so twice changes nothing, in whatever order and by however many processes.
"""

import datetime as dt
from collections.abc import Iterable
from typing import Any

from pymongo.database import Database

from execution_engine.core.clock import EPOCH
from execution_engine.store.database import Document
from execution_engine.store.recent import Ends, Job, RecentStore

MARGIN = dt.timedelta(minutes=2)
_CHUNK = 20_000  # jobs read in one step
_WRITES = 2_000  # workspaces written in one step
_STEP_MS = 30_000


class RecentFold:
    """Brings the table up to date, step by step."""

    def __init__(self, database: Database[Any]) -> None:
        self._table = RecentStore(database)
        self._folds = [_Fold(database, self._table, field) for field in ("created", "finished")]

    def step(self, at: dt.datetime) -> bool:
        """Take all jobs into account up to ``at``, or the next some thousand of them; whether there are more."""
        unfinished = [fold.step(at) for fold in self._folds]
        return any(unfinished)


class _Fold:
    """By one of a job's times.

    ``_found``: what was read so far, up to ``_read``; ``_left``: what of it is still to be written, for all to be known
    up to ``_until``; ``_written``: what the last time was.
    """

    def __init__(self, database: Database[Any], table: RecentStore, field: str) -> None:
        self._jobs = database.jobs
        self._table = table
        self._field = field
        self._read: dt.datetime | None = None
        self._found: dict[int, Ends] = {}
        self._written: dict[int, Ends] = {}
        self._left: list[tuple[int, Ends]] = []
        self._until = EPOCH

    def step(self, at: dt.datetime) -> bool:
        field, mark, settled = self._field, self._table.mark(self._field), at - MARGIN
        if self._left:
            return self._write()
        since = self._read or mark or EPOCH
        match: Document = {field: {"$gt": since}}
        edge = self._edge(match)
        if edge:
            match = {field: {"$gt": since, "$lte": edge}}
        self._add(match)
        until = min(edge or settled, settled)
        if edge and until > since:
            # All of a long past is read before any of it is written: most workspaces come again and again.
            self._read = until
            return True
        # Most of what is newer than the mark was written before.
        known = self._written if mark else {}
        self._left = [(wsid, ends) for wsid, ends in self._found.items() if known.get(wsid) != ends]
        self._read, self._written, self._found, self._until = None, self._found, {}, until
        return self._write()

    def _write(self) -> bool:
        """Tell the table of the next thousands; at the last set the mark."""
        self._table.merge(self._field, dict(self._left[-_WRITES:]))
        del self._left[-_WRITES:]
        if not self._left:
            self._table.set_mark(self._field, self._until)
        return bool(self._left)

    def _edge(self, match: Document) -> dt.datetime | None:
        """The time where the chunk ends, if there is so much."""
        field = self._field
        chunk = self._jobs.find(match, {field: 1, "_id": 0}).hint(field).sort(field, 1).max_time_ms(_STEP_MS)
        return next((job[field] for job in chunk.skip(_CHUNK - 1).limit(1)), None)

    def _add(self, match: Document) -> None:
        time = f"${self._field}"
        by_user = {"_id": {"w": "$wsid", "u": "$user"}, "n": {"$max": time}, "o": {"$min": time}}
        ends = {
            end: {"$topN": {"n": 2, "sortBy": {end: direction}, "output": [f"${end}", "$_id.u"]}}
            for end, direction in (("n", -1), ("o", 1))
        }
        pipeline = [{"$match": match}, {"$group": by_user}, {"$group": {"_id": "$_id.w", **ends}}]
        for row in self._jobs.aggregate(pipeline, hint=self._field, maxTimeMS=_STEP_MS):
            wsid: int | None = row["_id"]
            if wsid is None:
                continue
            newest, oldest = ([Job(*job) for job in row[end]] for end in ("n", "o"))
            if held := self._found.get(wsid):
                newest = _first_two([*held.newest, *newest], newest=True)
                oldest = _first_two([*held.oldest, *oldest], newest=False)
            self._found[wsid] = Ends(newest, oldest)


def _first_two(jobs: Iterable[Job], *, newest: bool) -> list[Job]:
    """The first, and the first of anybody else."""
    ranked = sorted(jobs, reverse=newest)
    other = next((job for job in ranked if job.user != ranked[0].user), None)
    return [ranked[0], other] if other else [ranked[0]]
