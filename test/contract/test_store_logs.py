from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from bson import ObjectId
from pymongo.database import Database
from pymongo.errors import BulkWriteError
from store_databases import opened, pytest_generate_tests, watched

from execution_engine.core.errors import CredentialInvalid, LogGap
from execution_engine.store import logs as logs_module
from execution_engine.store.log_chunks import CHUNK_LINES, Line
from execution_engine.store.logs import LogStore, Page

__all__ = ["pytest_generate_tests"]

NOW = 1_800_000_000_000


@pytest.fixture
def database(request: pytest.FixtureRequest) -> Database[Any]:
    return opened(request)


@pytest.fixture
def store(database: Database[Any]) -> LogStore:
    return LogStore(database)


@pytest.fixture
def job() -> ObjectId:
    return ObjectId()


def allowed() -> None:
    """The caller may write."""


def refused() -> None:
    raise CredentialInvalid


def lines(first: int, count: int, **changes: Any) -> list[Line]:
    return [
        Line(f"line {n}", "stdout", NOW + n) if not changes else Line(f"line {n}", **changes)
        for n in range(first, first + count)
    ]


def texts(page: Page) -> list[str]:
    return [line.text for line in page.lines]


def numbers(first: int, end: int) -> list[str]:
    return [f"line {n}" for n in range(first, end)]


# -- lines with numbers


def test_lines_follow_each_other(store: LogStore, job: ObjectId) -> None:
    assert store.add(job, 1, 0, lines(0, 3), allowed) == 3
    assert store.add(job, 1, 3, lines(3, 2), allowed) == 5
    assert store.total(job) == 5
    assert store.read(job, 0, 100) == Page(0, lines(0, 5), 5)


def test_what_is_held_is_dropped(store: LogStore, job: ObjectId, database: Database[Any]) -> None:
    store.add(job, 1, 0, lines(0, 3), allowed)
    assert store.add(job, 1, 0, lines(0, 3), allowed) == 3
    assert store.add(job, 1, 1, lines(1, 1), allowed) == 3
    assert store.add(job, 1, 2, lines(2, 3), allowed) == 5
    assert texts(store.read(job, 0, 100)) == numbers(0, 5)
    assert database.job_logs.count_documents({}) == 2


def test_a_gap_is_refused_and_says_where_to_go_on(store: LogStore, job: ObjectId) -> None:
    with pytest.raises(LogGap, match="Line 0 is expected next, but these lines begin with 1; send again from 0"):
        store.add(job, 1, 1, lines(1, 1), allowed)
    store.add(job, 1, 0, lines(0, 3), allowed)
    with pytest.raises(LogGap) as caught:
        store.add(job, 1, 4, lines(4, 1), allowed)
    assert caught.value.data == {"next_line": 3}
    assert store.total(job) == 3


def test_no_lines_are_no_change(store: LogStore, job: ObjectId, database: Database[Any]) -> None:
    assert store.add(job, 1, 0, [], allowed) == 0
    assert store.append(job, 1, [], allowed) == 0
    store.add(job, 1, 0, lines(0, 3), allowed)
    assert store.add(job, 1, 3, [], allowed) == 3
    assert store.append(job, 1, [], allowed) == 3
    assert database.job_logs.count_documents({}) == 1


def test_who_may_not_write_changes_nothing(store: LogStore, job: ObjectId) -> None:
    with pytest.raises(CredentialInvalid):
        store.add(job, 1, 0, lines(0, 3), refused)
    with pytest.raises(CredentialInvalid):
        store.append(job, 1, lines(0, 3), refused)
    assert store.total(job) == 0


def test_logs_of_different_jobs_have_nothing_to_do_with_each_other(store: LogStore, job: ObjectId) -> None:
    store.add(job, 1, 0, lines(0, 3), allowed)
    assert store.read(ObjectId(), 0, 10) == Page(0, [], 0)
    assert store.append(ObjectId(), 1, lines(7, 1), allowed) == 1


def test_a_repeated_call_is_answered_from_what_survives(
    database: Database[Any], mongod_url: str, job: ObjectId
) -> None:
    # The first call may still wait for the disk: its lines are no answer while they could be lost.
    with watched(mongod_url, database.name) as (seen, commands):
        store = LogStore(seen)
        store.add(job, 1, 0, lines(0, 3), allowed)
        store.mark_attempt(job, 2, Line("---", "system", NOW))
        commands.sent.clear()
        assert store.add(job, 1, 0, lines(0, 3), allowed) == 4
        assert store.mark_attempt(job, 2, Line("---", "system", NOW)) == 4
    levels = [command["readConcern"]["level"] for name, command in commands.sent if name == "find"]
    assert levels == ["local", "majority", "majority"]


def test_an_end_that_one_process_remembers_may_be_past_in_another(
    store: LogStore, job: ObjectId, database: Database[Any]
) -> None:
    other = LogStore(database)
    store.add(job, 1, 0, lines(0, 3), allowed)
    other.add(job, 1, 3, lines(3, 2), allowed)
    assert store.add(job, 1, 3, lines(3, 4), allowed) == 7
    assert other.add(job, 1, 5, lines(5, 3), allowed) == 8
    with pytest.raises(LogGap) as caught:
        store.add(job, 1, 9, lines(9, 1), allowed)
    assert caught.value.data == {"next_line": 8}
    assert texts(store.read(job, 0, 100)) == numbers(0, 8)


# -- two at once


class Interrupted(LogStore):
    """A log in which somebody else writes between the look at its end and the write there."""

    def __init__(self, database: Database[Any], *others: Any) -> None:
        super().__init__(database)
        self.others = list(others)

    def total(self, job_id: ObjectId) -> int:
        held = super().total(job_id)
        if self.others:
            self.others.pop(0)()
        return held


def test_a_resent_batch_that_meets_the_first_is_not_doubled(
    store: LogStore, job: ObjectId, database: Database[Any]
) -> None:
    def first() -> None:
        store.add(job, 1, 0, lines(0, 3), allowed)

    assert Interrupted(database, first).add(job, 1, 0, lines(0, 5), allowed) == 5
    assert texts(store.read(job, 0, 10)) == numbers(0, 5)


def test_a_resent_batch_that_comes_after_a_longer_one_adds_nothing(
    store: LogStore, job: ObjectId, database: Database[Any]
) -> None:
    def longer() -> None:
        store.add(job, 1, 0, lines(0, 8), allowed)

    assert Interrupted(database, longer).add(job, 1, 0, lines(0, 5), allowed) == 8
    assert texts(store.read(job, 0, 10)) == numbers(0, 8)


def test_two_who_append_lose_nothing(store: LogStore, job: ObjectId, database: Database[Any]) -> None:
    def other(n: int) -> Any:
        return lambda: store.append(job, 1, [Line(f"other {n}", "stdout", NOW)], allowed)

    assert Interrupted(database, other(0), other(1)).append(job, 1, lines(0, 2), allowed) == 4
    assert texts(store.read(job, 0, 10)) == ["other 0", "other 1", *numbers(0, 2)]


def test_who_was_half_way_when_another_came_goes_on_behind_it(
    store: LogStore, job: ObjectId, monkeypatch: pytest.MonkeyPatch
) -> None:
    count = 2 * CHUNK_LINES + 10
    insert = store._insert

    def interrupted(chunks: list[Any]) -> int:
        monkeypatch.undo()
        stored = insert(chunks[:1])
        store.append(job, 1, [Line("other", "stderr", NOW)], allowed)
        return stored + insert(chunks[1:])

    monkeypatch.setattr(store, "_insert", interrupted)
    assert store.append(job, 1, lines(0, count), allowed) == count + 1
    expected = [*numbers(0, CHUNK_LINES), "other", *numbers(CHUNK_LINES, count)]
    assert texts(store.read(job, 0, 10_000)) == expected


def test_other_faults_of_the_database_are_not_taken_for_a_lost_race(
    store: LogStore, job: ObjectId, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: Any, **__: Any) -> None:
        raise BulkWriteError({"writeErrors": [{"code": 14_031, "errmsg": "no space"}], "nInserted": 0})

    monkeypatch.setattr(store._chunks, "insert_many", fails)
    with pytest.raises(BulkWriteError):
        store.append(job, 1, lines(0, CHUNK_LINES + 1), allowed)


def test_late_lines_of_an_old_attempt_never_displace_a_new_ones(
    store: LogStore, job: ObjectId, database: Database[Any]
) -> None:
    store.add(job, 1, 0, lines(0, 3), allowed)
    current = [1]

    def the_first_is_current() -> None:
        if current[0] != 1:
            raise CredentialInvalid

    def second_begins() -> None:
        current[0] = 2
        assert store.mark_attempt(job, 2, Line("--- attempt 2 ---", "system", NOW)) == 4

    class BetweenCheckAndWrite(LogStore):
        def _insert(self, chunks: list[Any]) -> int:
            if current[0] == 1:
                second_begins()
            return super()._insert(chunks)

    with pytest.raises(CredentialInvalid):
        BetweenCheckAndWrite(database).add(job, 1, 3, lines(3, 5), the_first_is_current)
    assert store.add(job, 2, 4, lines(4, 1), allowed) == 5
    assert texts(store.read(job, 0, 100)) == [*numbers(0, 3), "--- attempt 2 ---", "line 4"]


def test_the_marker_of_an_attempt_is_written_once(store: LogStore, job: ObjectId, database: Database[Any]) -> None:
    marker = Line("--- attempt 2 ---", "system", NOW)
    store.add(job, 1, 0, lines(0, 3), allowed)
    assert store.mark_attempt(job, 2, marker) == 4
    store.add(job, 2, 4, lines(4, 2), allowed)
    assert store.mark_attempt(job, 2, marker) == 4

    def first() -> None:
        store.mark_attempt(job, 3, marker)

    assert Interrupted(database, first).mark_attempt(job, 3, marker) == 7
    assert store.total(job) == 7
    assert store.mark_attempt(ObjectId(), 2, marker) == 1


def test_a_marker_is_written_once_by_several_at_once(store: LogStore, job: ObjectId) -> None:
    store.add(job, 1, 0, lines(0, 3), allowed)
    marker = Line("--- attempt 2 ---", "system", NOW)
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda _: store.mark_attempt(job, 2, marker), range(16)))
    assert answers == [4] * 16
    assert store.total(job) == 4


# -- reading


@pytest.fixture
def long_log(store: LogStore, job: ObjectId) -> int:
    """Lines in several chunks of different lengths."""
    total = 0
    for count in (1, 5, CHUNK_LINES + 200, 3, 2 * CHUNK_LINES):
        total = store.add(job, 1, total, lines(total, count), allowed)
    return total


@pytest.mark.parametrize("limit", [1, 3, 999, 1_000, 1_001, 10_000])
def test_any_part_can_be_read(store: LogStore, job: ObjectId, long_log: int, limit: int) -> None:
    for skip in (0, 1, 5, 6, 7, 205, 1_005, 1_006, 1_205, 1_206, 1_208, 1_209, 1_210, 3_000, long_log - 1):
        page = store.read(job, skip, limit)
        assert (page.first, page.total) == (skip, long_log)
        assert texts(page) == numbers(skip, min(long_log, skip + limit))


@pytest.mark.parametrize("beyond", [0, 1, 100])
def test_behind_the_end_there_is_nothing(store: LogStore, job: ObjectId, long_log: int, beyond: int) -> None:
    assert store.read(job, long_log + beyond, 10) == Page(long_log, [], long_log)


@pytest.mark.parametrize("count", [1, 2, 999, 1_000, 1_001, 2_000, 2_004, 3_208, 3_209, 10_000])
def test_the_last_lines(store: LogStore, job: ObjectId, long_log: int, count: int) -> None:
    page = store.read_tail(job, count)
    assert (page.first, page.total) == (max(0, long_log - count), long_log)
    assert texts(page) == numbers(page.first, long_log)


def test_a_log_without_lines_has_no_last_ones(store: LogStore, job: ObjectId) -> None:
    assert store.read_tail(job, 5) == Page(0, [], 0)


def test_an_answer_has_a_largest_size(store: LogStore, job: ObjectId, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs_module, "PAGE_CHARS", 250)
    for n in range(10):
        store.add(job, 1, 2 * n, [Line(f"{n:050}", "stdout", NOW), Line(f"{n:049}x", "stdout", NOW)], allowed)
    page = store.read(job, 0, 20)
    assert (page.first, len(page.lines), page.total) == (0, 6, 20)
    assert len(store.read(job, page.first + len(page.lines), 20).lines) == 6


def test_the_last_lines_are_the_last_also_if_they_are_very_long(
    store: LogStore, job: ObjectId, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logs_module, "PAGE_CHARS", 250)
    for n in range(10):
        store.add(job, 1, 2 * n, [Line(f"{n:050}", "stdout", NOW), Line(f"{n:049}x", "stdout", NOW)], allowed)
    page = store.read_tail(job, 15)
    assert page.first + len(page.lines) == page.total == 20
    assert texts(page)[-1] == f"{9:049}x"
    assert len(page.lines) == 4
    monkeypatch.setattr(logs_module, "PAGE_CHARS", 1)
    assert len(store.read_tail(job, 15).lines) == 2, "one chunk always"
    assert len(store.read_tail(job, 1).lines) == 1


def test_lines_that_come_while_a_page_is_read_are_counted(
    store: LogStore, job: ObjectId, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.add(job, 1, 0, lines(0, 3), allowed)
    read_chunks = store._lines

    def late(*place: Any) -> Any:
        monkeypatch.undo()
        store.add(job, 1, 3, lines(3, 3), allowed)
        return read_chunks(*place)

    monkeypatch.setattr(store, "_lines", late)
    page = store.read(job, 0, 5)
    assert texts(page) == numbers(0, 5)
    assert page.total >= 5, "nobody is told a next line behind the end"


# -- by time


def test_lines_since_a_time(store: LogStore, job: ObjectId, long_log: int) -> None:
    for n in (0, 1, 5, 6, 1_000, 1_207, long_log - 1):
        assert store.first_since(job, NOW + n) == n
    assert store.first_since(job, 0) == 0
    assert store.first_since(job, NOW + long_log) == long_log
    assert store.first_since(ObjectId(), NOW) == 0


def test_a_time_between_two_lines_is_the_later_one(store: LogStore, job: ObjectId) -> None:
    times = [NOW, NOW + 100, NOW + 200]
    store.add(job, 1, 0, [Line("x", "stdout", ts) for ts in times], allowed)
    assert store.first_since(job, NOW + 101) == 2


def test_lines_of_a_machine_whose_clock_was_set_are_found(store: LogStore, job: ObjectId) -> None:
    # It began in 1970, then it asked for the time.
    store.add(job, 1, 0, [Line("x", "stdout", 1_000), Line("y", "stdout", NOW)], allowed)
    store.add(job, 1, 2, [Line("z", "stdout", NOW + 1)], allowed)
    assert store.first_since(job, NOW) == 1
    assert [line.ts for line in store.read(job, 0, 9).lines] == [1_000, NOW, NOW + 1]


def test_lines_since_a_time_begin_with_the_first_also_if_clocks_went_back(store: LogStore, job: ObjectId) -> None:
    store.add(job, 1, 0, [Line("early", "stdout", NOW + 100)], allowed)
    store.add(job, 1, 1, [Line("set back", "stdout", NOW + 50)], allowed)
    assert store.first_since(job, NOW + 40) == 0
