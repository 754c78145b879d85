import datetime as dt

import pytest
from bson import ObjectId
from store_engine import finish, record, running, submit

from execution_engine.core.clock import now
from execution_engine.dispatch import sweep
from execution_engine.dispatch.sweep import forget_late_heartbeats, forget_old_acts, sweep_orphans
from execution_engine.jobs.engine import Engine
from execution_engine.store.payloads import input_document, input_key


def abandoned_input(engine: Engine, job_id: ObjectId) -> str:
    """A submission that stored its input, and then the process died."""
    engine.payloads.put_inputs([input_document(job_id, b"{}", None, now())])
    return input_key(job_id)


def kept(engine: Engine) -> set[str]:
    return {document["_id"] for document in engine.database.job_io.find()}


def two_hours_on() -> dt.datetime:
    return now() + dt.timedelta(hours=2)


def test_what_belongs_to_no_job_is_removed(engine: Engine) -> None:
    abandoned_input(engine, ObjectId())
    waiting = submit(engine)
    done, credential = running(engine)
    finish(engine, done, credential)
    assert sweep_orphans(engine.jobs, engine.payloads, two_hours_on()) == 1
    output = record(engine, done)["output"]["key"]
    assert kept(engine) == {input_key(waiting), input_key(done), output}


def test_a_submission_that_may_still_be_under_way_is_left_alone(engine: Engine) -> None:
    abandoned_input(engine, ObjectId())
    assert sweep_orphans(engine.jobs, engine.payloads) == 0


def test_the_place_is_remembered(engine: Engine) -> None:
    assert sweep_orphans(engine.jobs, engine.payloads, two_hours_on()) == 0
    abandoned_input(engine, ObjectId())
    assert sweep_orphans(engine.jobs, engine.payloads, two_hours_on()) == 0
    assert sweep_orphans(engine.jobs, engine.payloads, two_hours_on() + dt.timedelta(hours=2)) == 0


def test_many_are_swept_page_by_page(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweep, "_PAGE", 3)
    jobs = [submit(engine) for _ in range(5)]
    for _ in range(5):
        abandoned_input(engine, ObjectId())
    assert sweep_orphans(engine.jobs, engine.payloads, two_hours_on()) == 5
    assert kept(engine) == {input_key(job_id) for job_id in jobs}


def test_a_very_long_past_is_swept_in_several_goes(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweep, "_PAGE", 2)
    monkeypatch.setattr(sweep, "_PAGES", 2)
    for _ in range(6):
        abandoned_input(engine, ObjectId())
    goes = [sweep_orphans(engine.jobs, engine.payloads, two_hours_on()) for _ in range(3)]
    assert sum(goes) == 6
    assert goes[0] < 6


def test_heartbeats_that_came_after_the_end_are_forgotten(engine: Engine) -> None:
    at_work, _ = running(engine)
    done, credential = running(engine)
    finish(engine, done, credential)
    for job_id in (at_work, done):
        engine.heartbeats.beat(job_id, 1, now(), None)
    forget_late_heartbeats(engine.jobs, engine.heartbeats)
    assert engine.database.heartbeats.count_documents({}) == 2
    forget_late_heartbeats(engine.jobs, engine.heartbeats, two_hours_on())
    assert [beat["_id"] for beat in engine.database.heartbeats.find()] == [at_work]


def test_old_acts_are_forgotten_the_oldest_first_if_so_wished(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    days = [400, 366, 364, 500, 0]
    engine.audit.add([{"_id": str(age), "at": now() - dt.timedelta(days=age), "jobs": []} for age in days])
    assert forget_old_acts(engine.audit, 0) == 0
    monkeypatch.setattr(sweep, "_FORGOTTEN_AT_ONCE", 2)
    assert [forget_old_acts(engine.audit, 365) for _ in range(3)] == [2, 1, 0]
    assert [entry["_id"] for entry in engine.database.audit.find().sort("at", 1)] == ["364", "0"]
