"""When each workspace's first and last jobs were, ``ws_recent``: lets a list of many workspaces skip most of them.

A document for each workspace, ``_id`` its number. For each time of a job (c: created, f: finished) and each end (n: the
newest, o: the oldest): ``cn`` the time, ``cnu`` whose job that was, ``cn2`` the time of the newest of anybody else. So
the newest job that is not mine is known exactly, for every reader.

Everything here is derived, by :meth:`RecentStore.fold`, and behind by a while; how far is written down, for each time,
as the mark (``_id`` the name of the time): of all jobs up to the mark the table knows. Jobs are recorded some moments
after the time that they bear, so the mark stays ``MARGIN`` behind, and what is newer than the mark is read again by
each fold. Folding twice changes nothing, in whatever order and by however many processes. Whoever adds jobs of a past
before the mark deletes the collection.
"""

import datetime as dt
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from pymongo import UpdateOne
from pymongo.database import Database

from execution_engine.core.clock import EPOCH
from execution_engine.store.database import Document
from execution_engine.store.job_lists import QUERY_MS, Order

MARGIN = dt.timedelta(minutes=2)
_CHUNK = 20_000  # jobs read in one step
_FOLD_MS = 30_000
_TIMES = {"created": "c", "finished": "f"}


class Top(NamedTuple):
    """Where a workspace's jobs begin in a list."""

    time: dt.datetime
    wsid: int


class RecentStore:
    """The table, its upkeep, and the one question it answers."""

    def __init__(self, database: Database[Document]) -> None:
        self._jobs = database.jobs
        self._recent = database.ws_recent

    def mark(self, field: str) -> dt.datetime | None:
        """Up to when the table knows of all jobs that were created, or had finished; None: of none yet."""
        return (self._recent.find_one({"_id": field}) or {}).get("time")

    def tops(self, wsids: Sequence[int], without: str | None, order: Order) -> list[Top]:
        """The workspaces with jobs of others than ``without``, those first whose jobs come first."""
        name = _TIMES[order.field] + ("n" if order.direction < 0 else "o")
        fields = {name: 1} if without is None else {name: 1, f"{name}u": 1, f"{name}2": 1}
        found = self._recent.find({"_id": {"$in": list(wsids)}}, fields).hint("_id_").max_time_ms(QUERY_MS)
        other = f"{name}2"
        tops = []
        for row in found.batch_size(len(wsids)):
            time = row.get(name) if without is None or row.get(f"{name}u") != without else row.get(other)
            if time is not None:
                tops.append(Top(time, row["_id"]))
        return sorted(tops, reverse=order.direction < 0)

    def fold(self, at: dt.datetime) -> bool:
        """Bring the table up to ``at``, or nearer to it by one step for each time; whether there is more to do."""
        unfinished = [self._fold(field, at) for field in _TIMES]
        return any(unfinished)

    def _fold(self, field: str, at: dt.datetime) -> bool:
        since = self.mark(field) or EPOCH
        match: Document = {field: {"$gt": since}}
        edge = next(
            self._jobs.find(match, {field: 1, "_id": 0}).hint(field).sort(field, 1).skip(_CHUNK - 1).limit(1), None
        )
        settled = at - MARGIN
        until = min(edge[field], settled) if edge else settled
        if edge:
            # At least to the end of the chunk; beyond what is settled, so that the newest show too.
            match = {field: {"$gt": since, "$lte": edge[field]}}
        writes = [_merge(row["_id"], name, row) for name, row in self._ends(field, match)]
        if writes:
            self._recent.bulk_write(writes, ordered=False)
        if until > since:
            self._recent.update_one({"_id": field}, {"$max": {"time": until}}, upsert=True)
        return bool(edge) and until > since

    def _ends(self, field: str, match: Document) -> Iterable[tuple[str, Document]]:
        """The newest and the oldest of each workspace: time, whose, and time of the next of anybody else."""
        rows = self._jobs.aggregate(
            [
                {"$match": match},
                {
                    "$group": {
                        "_id": {"w": "$wsid", "u": "$user"},
                        "n": {"$max": f"${field}"},
                        "o": {"$min": f"${field}"},
                    }
                },
            ],
            hint=field,
            maxTimeMS=_FOLD_MS,
        )
        by_workspace: dict[int, list[Document]] = {}
        for row in rows:
            if "w" in row["_id"]:
                by_workspace.setdefault(row["_id"]["w"], []).append(row)
        for wsid, users in by_workspace.items():
            for end in ("n", "o"):
                ranked = sorted(users, key=lambda row: row[end], reverse=end == "n")
                yield (
                    _TIMES[field] + end,
                    {
                        "_id": wsid,
                        "time": ranked[0][end],
                        "user": ranked[0]["_id"]["u"],
                        "other": ranked[1][end] if len(ranked) > 1 else None,
                    },
                )


def _merge(wsid: int, name: str, new: Document) -> UpdateOne:
    """Take the further of what is held and ``new``; the result does not depend on the order of such updates."""
    further, beats = ("$max", "$gt") if name.endswith("n") else ("$min", "$lt")
    time, user, other = f"${name}", f"${name}u", f"${name}2"
    same = {"$eq": [user, {"$literal": new["user"]}]}
    wins: Any = {"$or": [{"$eq": [{"$type": time}, "missing"]}, {beats: [new["time"], time]}]}
    # Of anybody else than the winner: all but the winner's own time. $max and $min pass over null and missing.
    if_new_wins = {further: [{"$cond": [same, None, time]}, other, new["other"]]}
    if_held_wins = {further: [other, {"$cond": [same, None, new["time"]]}, new["other"]]}
    change = {
        name: {"$cond": [wins, new["time"], time]},
        f"{name}u": {"$cond": [wins, {"$literal": new["user"]}, user]},
        f"{name}2": {"$cond": [wins, if_new_wins, if_held_wins]},
    }
    return UpdateOne({"_id": wsid}, [{"$set": change}], upsert=True)
