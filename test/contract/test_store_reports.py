from typing import Any

import pytest
from bson import ObjectId
from pymongo.database import Database
from store_databases import opened, pytest_generate_tests

from execution_engine.core.clock import from_ms
from execution_engine.store.backends import BackendStore
from execution_engine.store.heartbeats import HeartbeatStore

__all__ = ["pytest_generate_tests"]

EARLY, LATE = from_ms(1_800_000_000_000), from_ms(1_800_000_005_000)


@pytest.fixture
def database(request: pytest.FixtureRequest) -> Database[Any]:
    return opened(request)


def test_the_last_sign_of_life_counts(database: Database[Any]) -> None:
    store, job_id, silent = HeartbeatStore(database), ObjectId(), ObjectId()
    store.beat(job_id, 1, EARLY, {"percent": 10.0, "message": "reading"})
    store.beat(job_id, 1, LATE, {"percent": 20.0})
    assert store.get_many([job_id, silent]) == {
        job_id: {"_id": job_id, "attempt": 1, "at": LATE, "progress": {"percent": 20.0, "at": LATE}}
    }


def test_progress_stays_with_its_time_until_there_is_newer(database: Database[Any]) -> None:
    store, job_id = HeartbeatStore(database), ObjectId()
    store.beat(job_id, 1, EARLY, {"percent": 10.0})
    for nothing in (None, {}):
        store.beat(job_id, 1, LATE, nothing)
        beat = store.get_many([job_id])[job_id]
        assert (beat["at"], beat["progress"]) == (LATE, {"percent": 10.0, "at": EARLY})


def test_ended_jobs_signs_of_life_are_forgotten(database: Database[Any]) -> None:
    store, ended, running = HeartbeatStore(database), ObjectId(), ObjectId()
    for job_id in (ended, running):
        store.beat(job_id, 1, EARLY, None)
    store.forget([ended, ObjectId()])
    assert store.get_many([ended, running]).keys() == {running}


def test_since_when_a_backend_is_as_it_is(database: Database[Any]) -> None:
    store = BackendStore(database)
    for at, state, reason in ((EARLY, "down", "the disk is full"), (LATE, "down", "nobody is at home")):
        store.report("local", at, state, reason, {}, "")
    local = store.all()["local"]
    assert (local["since"], local["at"], local["reason"]) == (EARLY, LATE, "nobody is at home")
    store.report("local", LATE, "up", None, {}, "")
    assert store.all()["local"]["since"] == LATE


def test_one_word_about_a_backend_stands_at_a_time(database: Database[Any]) -> None:
    store, note = BackendStore(database), {"id": ObjectId()}
    first, second = ({"since": EARLY, "by": name, "reason": "new disks"} for name in ("root", "rita"))
    assert store.set_drained("local", None, first, note), "also before its first report"
    assert not store.set_drained("local", None, second, note)
    assert store.set_drained("local", first, second, note)
    assert not store.set_drained("local", first, None, note)
    assert (store.get_drained("local"), store.drained()) == (second, {"local"})
    assert store.set_drained("local", second, None, note)
    assert (store.get_drained("local"), store.get_drained("far"), store.drained()) == (None, None, set())


def test_a_backend_is_as_it_was_last_reported(database: Database[Any]) -> None:
    store = BackendStore(database)
    assert store.all() == {}
    store.report("local", EARLY, "down", "the disk is full", {}, "")
    store.report("far", EARLY, "up", None, {"slots_total": 8}, "apps run as nobody")
    assert store.all()["local"]["reason"] == "the disk is full"
    store.report("local", LATE, "up", None, {"slots_total": 4}, "apps are trusted")
    local = store.all()["local"]
    assert local == {
        "_id": "local",
        "state": "up",
        "at": LATE,
        "since": LATE,
        "resources": {"slots_total": 4},
        "notice": "apps are trusted",
    }
    assert store.all().keys() == {"local", "far"}
