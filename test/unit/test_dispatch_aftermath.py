from typing import Any

from bson import ObjectId
from store_engine import finish, hand_out, person, record, running, submit

from execution_engine.core.clock import now
from execution_engine.dispatch.aftermath import Aftermath
from execution_engine.jobs.control import cancel
from execution_engine.jobs.engine import Engine


def aftermath_of(engine: Engine, *, catalog_counts: bool) -> Aftermath:
    return Aftermath(engine.jobs, engine.payloads, engine.heartbeats, catalog_counts=catalog_counts)


def completed(engine: Engine, **params: Any) -> ObjectId:
    job_id, credential = running(engine, **params)
    engine.heartbeats.beat(job_id, 1, now(), None)
    finish(engine, job_id, credential)
    return job_id


def test_after_the_end_nothing_is_left_of_the_token_and_of_the_signs_of_life(engine: Engine) -> None:
    job_id = completed(engine)
    going_on, _ = running(engine)
    engine.heartbeats.beat(going_on, 1, now(), None)
    assert engine.payloads.get_token(job_id)
    aftermath_of(engine, catalog_counts=False).run()
    assert engine.payloads.get_token(job_id) is None
    assert engine.heartbeats.get_many([job_id]) == {}
    assert "cleanup" not in record(engine, job_id)
    assert "untold" not in record(engine, job_id)
    assert engine.payloads.get_token(going_on)
    assert engine.heartbeats.get_many([going_on])


def test_the_catalog_is_to_be_told_of_what_ran(engine: Engine) -> None:
    ran, waiting, lost = completed(engine), submit(engine), submit(engine)
    cancel(engine, person("alice"), waiting, None)
    hand_out(engine, lost)
    aftermath_of(engine, catalog_counts=True).run()
    aftermath_of(engine, catalog_counts=True).run()
    assert [job["_id"] for job in iter(engine.jobs.take_untold, None)] == [ran]


def test_a_repeated_round_marks_no_job_twice(engine: Engine) -> None:
    job_id = completed(engine)
    aftermath_of(engine, catalog_counts=True).run()
    assert engine.jobs.take_untold()
    engine.jobs.mark_cleaned([job_id], untold=True)
    assert not engine.jobs.any_untold()
