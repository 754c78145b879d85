import threading
from typing import Any

import pytest
from bson import ObjectId
from pymongo.database import Database
from pymongo.errors import BulkWriteError
from store_databases import opened, pytest_generate_tests

from execution_engine.store.limits import LimitStore
from execution_engine.store.slots import NoRoom, Slot, SlotStore

__all__ = ["pytest_generate_tests"]


@pytest.fixture
def database(request: pytest.FixtureRequest) -> Database[Any]:
    return opened(request)


@pytest.fixture
def slots(database: Database[Any]) -> SlotStore:
    return SlotStore(database)


def job(database: Database[Any], *, claimed: bool = True, active: bool = True, attempt: int = 1) -> ObjectId:
    record = {"_id": ObjectId(), "claimed": claimed, "active": active, "attempt": {"n": attempt}}
    return database.jobs.insert_one(record).inserted_id


def slot(counter: str = "user=ann", job_id: ObjectId | None = None, attempt: int = 1) -> Slot:
    return Slot(counter, job_id or ObjectId(), attempt)


def numbers(database: Database[Any], counter: str = "user=ann") -> list[int]:
    return sorted(held["n"] for held in database.slots.find({"counter": counter}))


def test_slots_are_numbered_within_their_counter(slots: SlotStore, database: Database[Any]) -> None:
    slots.take([(slot(), 3), (slot("group=njs"), 1), (slot(), 3)], None)
    slots.take([(slot(), 3)], None)
    slots.take([], None)
    assert numbers(database) == [0, 1, 2]
    assert slots.in_use(["user=ann", "group=njs", "user=bob"]) == {"user=ann": 3, "group=njs": 1}


def test_where_a_limit_is_reached_nothing_is_taken(slots: SlotStore, database: Database[Any]) -> None:
    slots.take([(slot(), 2)], None)
    with pytest.raises(NoRoom, match="user=ann: 2 of 2"):
        slots.take([(slot("group=njs"), 9), (slot(), 2), (slot(), 2)], None)
    assert database.slots.count_documents({}) == 1


def test_without_a_limit_slots_are_only_counted(slots: SlotStore, database: Database[Any]) -> None:
    slots.take([(slot(), None) for _ in range(5)], None)
    with pytest.raises(NoRoom):
        slots.take([(slot(), 5)], None)
    assert numbers(database) == [0, 1, 2, 3, 4]


def test_a_number_that_is_free_again_is_taken_again(slots: SlotStore, database: Database[Any]) -> None:
    jobs = [job(database, active=n != 1) for n in range(3)]
    slots.take([(slot(job_id=job_id), 3) for job_id in jobs], None)
    assert slots.free_ended(jobs) == 1
    assert numbers(database) == [0, 2]
    slots.take([(slot(), 3)], None)
    assert numbers(database) == [0, 1, 2]


def test_the_same_number_is_never_there_twice(slots: SlotStore, database: Database[Any]) -> None:
    slots.take([(slot(), 1)], None)
    double = {"counter": "user=ann", "n": 0, "job": ObjectId(), "attempt": 1}
    with pytest.raises(BulkWriteError):
        database.slots.insert_many([double])


def test_only_attempts_that_are_over_give_their_slots_back(slots: SlotStore, database: Database[Any]) -> None:
    at_work, ended = job(database), job(database, active=False, claimed=False)
    released, again = job(database, claimed=False), job(database, attempt=2)
    gone = ObjectId()
    jobs = [at_work, ended, released, again, gone]
    slots.take([(slot(job_id=job_id), None) for job_id in jobs] + [(slot(job_id=again, attempt=2), None)], None)
    assert slots.free_ended(jobs) == 4
    assert slots.free_ended(jobs) == 0
    assert slots.free_ended([]) == 0
    held = {(it["job"], it["attempt"]) for it in database.slots.find()}
    assert held == {(at_work, 1), (again, 2)}


def test_to_settle_is_to_have_what_is_in_flight_and_nothing_else(slots: SlotStore, database: Database[Any]) -> None:
    known, unknown, ended = job(database), job(database), job(database, active=False)
    slots.take([(slot(job_id=known), 9), (slot(job_id=ended), 9)], None)
    wanted = [slot(counter, job_id) for counter in ("user=ann", "group=njs") for job_id in (known, unknown)]
    for _ in range(2):
        slots.settle(wanted, None)
        held = sorted((it["counter"], it["job"]) for it in database.slots.find())
        assert held == sorted((it.counter, it.job) for it in wanted)


def test_many_who_take_at_once_have_no_more_than_there_are(slots: SlotStore, database: Database[Any]) -> None:
    """Even without the lease, which lets only one of them try."""
    start = threading.Barrier(16)
    taken: list[int] = []

    def take() -> None:
        start.wait(20)
        for _ in range(5):
            try:
                with database.client.start_session() as session:
                    session.with_transaction(lambda it: slots.take([(slot(), 10)], it))
                taken.append(1)
            except (NoRoom, BulkWriteError):
                pass

    threads = [threading.Thread(target=take) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert numbers(database) == list(range(10))
    assert len(taken) == 10


def test_a_limit_is_set_only_from_what_it_was_believed_to_be(database: Database[Any]) -> None:
    limits = LimitStore(database)
    record = {"kind": "running", "user": "ann", "value": 5}
    assert limits.value("running/user=ann") is None
    assert limits.put("running/user=ann", None, record, {"act": "set_limit"})
    assert not limits.put("running/user=ann", None, record | {"value": 6}, {})
    assert not limits.put("running/user=ann", 4, record | {"value": 6}, {})
    assert limits.put("running/user=ann", 5, record | {"value": 7}, {})
    assert limits.value("running/user=ann") == 7
    assert limits.all() == [{"_id": "running/user=ann", **record, "value": 7}]


def test_a_limit_that_was_removed_is_none_and_can_be_set_again(database: Database[Any]) -> None:
    limits = LimitStore(database)
    record = {"kind": "running", "user": "ann", "value": 5}
    limits.put("running/user=ann", None, record, {"n": 1})
    assert not limits.remove("running/user=ann", 4, {"n": 2})
    assert limits.remove("running/user=ann", 5, {"n": 3})
    assert limits.all() == []
    assert limits.value("running/user=ann") is None
    assert limits.put("running/user=ann", None, record, {"n": 4})
    assert [note["n"] for note in database.limits.find_one({})["outbox"]] == [1, 3, 4]
