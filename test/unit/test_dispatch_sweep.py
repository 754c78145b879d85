import datetime as dt

import pytest
from bson import ObjectId
from store_engine import finish, record, running, submit

from execution_engine.core.clock import now
from execution_engine.dispatch import sweep
from execution_engine.dispatch.sweep import sweep_orphans
from execution_engine.jobs.engine import Engine
from execution_engine.store.payloads import input_document, input_key, output_key


def abandoned_input(engine: Engine, job_id: ObjectId) -> str:
    """A submission that stored its input, and then the process died."""
    engine.payloads.put_inputs([input_document(job_id, b"{}", None, now())])
    return input_key(job_id)


def losing_output(engine: Engine, job_id: ObjectId) -> str:
    """A report that stored its output and came second."""
    key = output_key(job_id, 1, "0123456789abcdef")
    engine.payloads.put_output(key, b"[]", now())
    return key


def kept(engine: Engine) -> set[str]:
    return {document["_id"] for document in engine.database.job_io.find()}


def two_hours_on() -> dt.datetime:
    return now() + dt.timedelta(hours=2)


def test_what_belongs_to_no_job_is_removed(engine: Engine) -> None:
    abandoned_input(engine, ObjectId())
    losing_output(engine, ObjectId())
    waiting = submit(engine)
    done, credential = running(engine)
    finish(engine, done, credential)
    failed, credential = running(engine)
    finish(engine, failed, credential, "error")
    losing_output(engine, done)
    losing_output(engine, failed)
    assert sweep_orphans(engine.jobs, engine.payloads, two_hours_on()) == 4
    output = record(engine, done)["output"]["key"]
    assert kept(engine) == {input_key(waiting), input_key(done), output, input_key(failed)}


def test_the_output_of_a_job_that_is_about_to_end_stays(engine: Engine) -> None:
    job_id, _ = running(engine)
    output = losing_output(engine, job_id)
    assert sweep_orphans(engine.jobs, engine.payloads, two_hours_on()) == 0
    assert output in kept(engine)


def test_a_submission_that_may_still_be_under_way_is_left_alone(engine: Engine) -> None:
    abandoned_input(engine, ObjectId())
    assert sweep_orphans(engine.jobs, engine.payloads) == 0


def test_old_jobs_are_not_looked_at_again(engine: Engine) -> None:
    abandoned_input(engine, ObjectId())
    assert sweep_orphans(engine.jobs, engine.payloads, now() + dt.timedelta(days=3)) == 0


def test_many_are_swept_page_by_page(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweep, "_PAGE", 3)
    jobs = [submit(engine) for _ in range(5)]
    for _ in range(5):
        abandoned_input(engine, ObjectId())
    assert sweep_orphans(engine.jobs, engine.payloads, two_hours_on()) == 5
    assert kept(engine) == {input_key(job_id) for job_id in jobs}
