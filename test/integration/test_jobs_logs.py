from typing import Any

from bson import ObjectId
from pymongo.database import Database

from execution_engine.store.log_chunks import Line
from execution_engine.store.logs import LogStore

LINES = 1_000_000
PAGE = 1_000
NOW = 1_800_000_000_000


def allowed() -> None:
    """The caller may write."""


def page_of(first: int) -> list[Line]:
    return [Line(f"{n:0100}", "stdout", NOW + n) for n in range(first, first + PAGE)]


def effort(database: Database[Any], *pages: int) -> list[tuple[int, int, int]]:
    """What reading each of the pages costs: queries, keys and documents."""
    store, costs = LogStore(database), []
    job = database.job_logs.find_one({}, {"job": 1}) or {}
    for first in pages:
        database.command("profile", 2)
        assert len(store.read(job["job"], first, PAGE).lines) == PAGE
        database.command("profile", 0)
        seen = list(database["system.profile"].find({"ns": f"{database.name}.job_logs"}))
        database["system.profile"].drop()
        costs.append((len(seen), sum(q["keysExamined"] for q in seen), sum(q["docsExamined"] for q in seen)))
    return costs


def test_a_million_lines_are_taken_and_read_back_whole(real_database: Database[Any]) -> None:
    store, job = LogStore(real_database), ObjectId()
    for first in range(0, LINES, PAGE):
        assert store.add(job, 1, first, page_of(first), allowed) == first + PAGE
    assert store.total(job) == LINES
    for first in range(0, LINES, PAGE):
        page = store.read(job, first, PAGE)
        assert (page.first, page.lines, page.total) == (first, page_of(first), LINES)
    assert store.read_tail(job, 3).lines == page_of(LINES - PAGE)[-3:]
    assert store.first_since(job, NOW + LINES - 5) == LINES - 5
    start, middle, end = effort(real_database, 0, LINES // 2 + 17, LINES - PAGE)
    # The middle has to find its chunk first, and this page lies in two.
    assert start == (2, 2, 2)
    assert end == (2, 2, 2)
    assert middle[0] <= 3
    assert middle[2] <= 4
