import pytest
from bson import ObjectId
from store_engine import begin, claim, hand_out, person, record, submit

from execution_engine.core import transitions
from execution_engine.core.clock import now
from execution_engine.dispatch.giving_up import confirm_cancel, give_up
from execution_engine.jobs.control import cancel
from execution_engine.jobs.engine import Engine


def test_a_lost_attempt_goes_back_to_the_queue_and_says_why(engine: Engine) -> None:
    job_id = submit(engine)
    hand_out(engine, job_id)
    assert engine.jobs.apply(job_id, give_up(now(), record(engine, job_id), 3, "the backend forgot it"))
    job = record(engine, job_id)
    assert (job["status"], job["claimed"], job["active"]) == ("created", False, True)
    assert not {"queued", "backend_id"} & job.keys()
    assert job["history"][-1]["note"] == "the backend forgot it"
    assert claim(engine, job_id)[0] == 2


def test_after_the_last_attempt_the_job_fails(engine: Engine) -> None:
    job_id = submit(engine)
    hand_out(engine, job_id)
    assert engine.jobs.apply(job_id, give_up(now(), record(engine, job_id), 1, "the backend forgot it"))
    job = record(engine, job_id)
    assert (job["status"], job["active"]) == ("error", False)
    assert job["cause"]["code"] == "start_failed"
    assert job["cause"]["detail"] == "Attempt 1: the backend forgot it"


def cancelled(engine: Engine) -> ObjectId:
    job_id = submit(engine)
    hand_out(engine, job_id)
    cancel(engine, person("alice"), job_id, None)
    return job_id


@pytest.mark.parametrize("tries", [1, 3])
def test_a_job_that_is_to_stop_is_neither_handed_out_again_nor_failed(engine: Engine, tries: int) -> None:
    job_id = cancelled(engine)
    assert engine.jobs.apply(job_id, give_up(now(), record(engine, job_id), tries, "lost")) is None


@pytest.mark.parametrize("tries", [1, 3])
def test_an_attempt_that_has_begun_meanwhile_is_not_given_up(engine: Engine, tries: int) -> None:
    job_id = submit(engine)
    ticket = hand_out(engine, job_id)
    before = record(engine, job_id)
    begin(engine, job_id, ticket)
    assert engine.jobs.apply(job_id, give_up(now(), before, tries, "lost")) is None


def test_only_lost_attempts_count(engine: Engine) -> None:
    job_id = submit(engine)
    for _ in range(5):  # attempts that no backend ever had
        attempt, _ = claim(engine, job_id)
        assert engine.jobs.apply(job_id, transitions.release(now(), attempt=attempt, note="not taken"))
    for losses in (1, 2):
        hand_out(engine, job_id)
        assert engine.jobs.apply(job_id, give_up(now(), record(engine, job_id), 3, "lost"))
        assert record(engine, job_id)["losses"] == losses
    hand_out(engine, job_id)
    assert engine.jobs.apply(job_id, give_up(now(), record(engine, job_id), 3, "lost"))
    assert record(engine, job_id)["cause"]["detail"] == "Attempt 8: lost"


@pytest.mark.parametrize(("started", "code"), [(False, "cancelled_before_start"), (True, "cancelled")])
def test_a_confirmed_cancel_ends_the_job(engine: Engine, started: bool, code: str) -> None:
    job_id = cancelled(engine)
    assert engine.jobs.apply(job_id, confirm_cancel(now(), 1, started=started))
    job = record(engine, job_id)
    assert (job["status"], job["cause"]["code"], job["history"][-1]["actor"]) == ("terminated", code, "engine")


def test_only_a_wish_to_cancel_is_confirmed(engine: Engine) -> None:
    job_id = submit(engine)
    hand_out(engine, job_id)
    assert engine.jobs.apply(job_id, confirm_cancel(now(), 1, started=False)) is None
