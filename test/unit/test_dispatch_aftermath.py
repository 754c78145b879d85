from typing import Any

from bson import ObjectId
from store_engine import begin, finish, hand_out, person, record, running, submit

from execution_engine.core import transitions
from execution_engine.core.clock import now
from execution_engine.dispatch.aftermath import Aftermath
from execution_engine.jobs.control import cancel
from execution_engine.jobs.engine import Engine
from execution_engine.store.payloads import output_key


def aftermath_of(engine: Engine, *, catalog_counts: bool) -> Aftermath:
    return Aftermath(engine.jobs, engine.payloads, engine.heartbeats, engine.slots, catalog_counts=catalog_counts)


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


def test_reports_that_did_not_decide_are_deleted(engine: Engine) -> None:
    job_id, credential = running(engine)
    for digest in ("1" * 16, "2" * 16):
        engine.payloads.put_output(output_key(job_id, 1, digest), b"[]", now())
    other, _ = running(engine)
    kept = output_key(other, 1, "3" * 16)
    engine.payloads.put_output(kept, b"[]", now())
    finish(engine, job_id, credential, "error")
    aftermath_of(engine, catalog_counts=False).run()
    outputs = {document["_id"] for document in engine.database.job_io.find({"_id": {"$regex": ".out."}})}
    assert outputs == {kept}


def test_the_result_of_the_last_attempt_stays(engine: Engine) -> None:
    job_id, _ = running(engine)
    engine.payloads.put_output(output_key(job_id, 1, "1" * 16), b"[]", now())
    assert engine.jobs.apply(job_id, transitions.lose(now(), attempt=1, note="preempted", losses=1))
    credential = begin(engine, job_id, hand_out(engine, job_id), attempt=2)["credential"]
    finish(engine, job_id, credential, attempt=2)
    aftermath_of(engine, catalog_counts=False).run()
    outputs = [document["_id"] for document in engine.database.job_io.find({"_id": {"$regex": ".out."}})]
    assert outputs == [record(engine, job_id)["output"]["key"]]
