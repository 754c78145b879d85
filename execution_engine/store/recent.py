"""When each workspace's first and last jobs were, ``ws_recent``: lets a list of many workspaces skip most of them.

A document for each workspace, ``_id`` its number. For each time of a job (c: created, f: finished) and each end (n: the
newest, o: the oldest): ``cn`` the time, ``cnu`` whose job that was, ``cn2`` the time of the newest of anybody else. So
the newest job that is not mine is known exactly, for every reader.

Everything here is derived, by store/recent_fold.py, and behind by a while; how far is written down, for each time, as
the mark (``_id`` -1 and -2): of all jobs up to the mark the table knows. Whoever adds jobs of a past before
the mark deletes the collection.
"""

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from pymongo import UpdateOne
from pymongo.database import Database

from execution_engine.store.database import Document
from execution_engine.store.job_lists import QUERY_MS, Order

_TIMES = {"created": "c", "finished": "f"}
_MARKS = {"created": -1, "finished": -2}


class Span(NamedTuple):
    """A workspace's jobs in a list: the times of the first and of the last of them."""

    first: dt.datetime
    last: dt.datetime
    wsid: int


class Job(NamedTuple):
    """What counts here of a job: one of its times, and whose it is."""

    time: dt.datetime
    user: str


class Ends(NamedTuple):
    """A workspace's newest and oldest jobs: each the first, and the first of anybody else if there is one."""

    newest: list[Job]
    oldest: list[Job]


class RecentStore:
    """The table: questions, and changes in it that may be repeated."""

    def __init__(self, database: Database[Document]) -> None:
        self._recent = database.ws_recent

    def mark(self, field: str) -> dt.datetime | None:
        """Up to when the table knows of all jobs that were created, or had finished; None: of none yet."""
        return (self._recent.find_one({"_id": _MARKS[field]}) or {}).get("mark")

    def spans(self, wsids: Sequence[int], without: str | None, order: Order) -> tuple[dt.datetime | None, list[Span]]:
        """The mark, and the spans of the workspaces with jobs of others than ``without``; None: of anybody."""
        ends = [_TIMES[order.field] + end for end in ("no" if order.direction < 0 else "on")]
        fields = ["mark", *ends]
        if without is not None:
            fields += [f"{end}{what}" for end in ends for what in ("u", "2")]
        asked = {"_id": {"$in": [_MARKS[order.field], *wsids]}}
        # In the order of the numbers, so that the mark is read first: what is read later may only know more.
        found = self._recent.find(asked, dict.fromkeys(fields, 1)).hint("_id_").sort("_id", 1).max_time_ms(QUERY_MS)
        mark, spans = None, []
        for row in found.batch_size(len(wsids) + 1):
            if row["_id"] < 0:
                mark = row["mark"]
                continue
            first, last = (
                row.get(end if without is None or row.get(f"{end}u") != without else f"{end}2") for end in ends
            )
            if first is not None and last is not None:
                spans.append(Span(first, last, row["_id"]))
        return mark, spans

    def merge(self, field: str, found: Mapping[int, Ends]) -> None:
        """Let the table know of these jobs, by workspace; ``field``: which of their times."""
        writes = [
            UpdateOne(
                {"_id": wsid}, [{"$set": _merged(field, "n", ends.newest) | _merged(field, "o", ends.oldest)}], True
            )
            for wsid, ends in found.items()
        ]
        if writes:
            self._recent.bulk_write(writes, ordered=False)

    def set_mark(self, field: str, time: dt.datetime) -> None:
        """The table knows of all jobs up to ``time``."""
        self._recent.update_one({"_id": _MARKS[field]}, {"$max": {"mark": time}}, upsert=True)


def _merged(field: str, end: str, new: list[Job]) -> Document:
    """The further of what is held and ``new``; the result does not depend on the order of such updates."""
    name = _TIMES[field] + end
    further, beats = ("$max", "$gt") if end == "n" else ("$min", "$lt")
    time, user, other = f"${name}", f"${name}u", f"${name}2"
    first, second = new[0], new[1].time if len(new) > 1 else None
    same = {"$eq": [user, {"$literal": first.user}]}
    wins: Any = {"$or": [{"$eq": [{"$type": time}, "missing"]}, {beats: [first.time, time]}]}
    # Of anybody else than the winner: all but the winner's own time. $max and $min pass over null and missing.
    if_new_wins = {further: [{"$cond": [same, None, time]}, other, second]}
    if_held_wins = {further: [other, {"$cond": [same, None, first.time]}, second]}
    return {
        name: {"$cond": [wins, first.time, time]},
        f"{name}u": {"$cond": [wins, {"$literal": first.user}, user]},
        f"{name}2": {"$cond": [wins, if_new_wins, if_held_wins]},
    }
