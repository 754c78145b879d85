import datetime as dt
from typing import Any

import pytest
from bson import ObjectId
from pymongo.database import Database
from store_databases import opened, pytest_generate_tests

from execution_engine.core.clock import from_ms
from execution_engine.store.job_lists import JobLists, Order, Position

__all__ = ["pytest_generate_tests"]

NEWEST, OLDEST = Order("created", -1), Order("created", 1)
INDEX = "user_created"


@pytest.fixture
def database(request: pytest.FixtureRequest) -> Database[Any]:
    return opened(request)


@pytest.fixture
def lists(database: Database[Any]) -> JobLists:
    return JobLists(database)


def at(seconds: int) -> dt.datetime:
    return from_ms(1_800_000_000_000 + 1_000 * seconds)


@pytest.fixture
def jobs(database: Database[Any]) -> list[dict[str, Any]]:
    """Nine jobs, oldest first; three share each second."""
    made = [{"_id": ObjectId(), "user": "alice", "created": at(n // 3), "app_id": f"m/{n % 2}"} for n in range(9)]
    database.jobs.insert_many(made)
    return made


@pytest.mark.parametrize("order", [NEWEST, OLDEST])
def test_what_stands_between_two_positions(lists: JobLists, jobs: list[dict[str, Any]], order: Order) -> None:
    listed = order.sort(jobs)
    places: list[Position | None] = [None, *(order.position(job) for job in listed)]
    for begin, after in enumerate(places):
        for end, until in enumerate(places):
            query = {"$and": [{"user": "alice"}, *order.between(after, until)]}
            found = lists.read(query, INDEX, order, 100, None)
            assert found == listed[begin : end if until else None]
            nearby = {"$and": [{"user": "alice"}, *order.around(after, until)]}
            assert len(lists.read(nearby, INDEX, order, 100, ["created"])) >= len(found)


def test_a_place_before_and_after_all_jobs_of_a_time(lists: JobLists, jobs: list[dict[str, Any]]) -> None:
    for order in (NEWEST, OLDEST):
        query = {"$and": order.between(order.start_of(at(1)), order.end_of(at(1)))}
        assert lists.read(query, INDEX, order, 100, None) == order.sort(jobs[3:6])


def test_only_as_many_as_were_asked_for(lists: JobLists, jobs: list[dict[str, Any]]) -> None:
    assert lists.read({"user": "alice"}, INDEX, NEWEST, 4, None) == jobs[:4:-1]
    (first,) = lists.read({"user": "alice"}, INDEX, NEWEST, 1, ["created"])
    assert first == {"_id": jobs[-1]["_id"], "created": at(2)}
    assert lists.read({"user": "bob"}, INDEX, NEWEST, 4, None) == []


def test_where_the_nth_stands(lists: JobLists, jobs: list[dict[str, Any]]) -> None:
    for n in range(1, 10):
        assert lists.nth({"user": "alice"}, INDEX, OLDEST, n) == OLDEST.position(jobs[n - 1])
    assert lists.nth({"user": "alice"}, INDEX, OLDEST, 10) is None


def test_those_that_still_match(lists: JobLists, jobs: list[dict[str, Any]]) -> None:
    ids = [job["_id"] for job in jobs]
    assert lists.get_many([*ids, ObjectId()], {"app_id": "m/1"}).keys() == set(ids[1::2])
    assert len(lists.with_id({"_id": {"$in": ids}, "app_id": "m/0"}, 100)) == 5
    assert len(lists.with_id({"_id": {"$in": ids}}, 2)) == 2


@pytest.mark.usefixtures("jobs")
def test_apps_in_use_by_the_beginning_of_their_names(lists: JobLists) -> None:
    assert sorted(lists.app_ids("m/", 10)) == ["m/0", "m/1"]
    assert lists.app_ids("m/1", 10) == ["m/1"]
    assert lists.app_ids("n", 10) == []
    assert len(lists.app_ids("m", 1)) == 1
