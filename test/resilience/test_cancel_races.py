"""Cancels against ends: whoever comes first decides, and everybody is told the same."""

import random
from concurrent.futures import ThreadPoolExecutor

import pytest

from test.conftest import Stack
from test.resilience.conftest import MakeEngine
from test.resilience.crowd import Crowd, check_history, check_log


@pytest.fixture(scope="module")
def engine(make_engine: MakeEngine) -> Stack:
    """One for all tests here."""
    return make_engine()


def test_cancel_storm_against_jobs_that_end(engine: Stack) -> None:
    crowd = Crowd(engine, 40)
    crowd.submit()
    crowd.wait_running()

    def cancel_some(seed: int) -> None:
        ids = random.Random(seed).sample(crowd.ids, 10)
        answer = engine.call("cancel_jobs", {"job_ids": ids}, "alice")
        assert answer["errors"] == {}

    engine.token("alice")
    with ThreadPoolExecutor(4) as threads:
        storm = [threads.submit(cancel_some, seed) for seed in range(12)]
        crowd.release()
        for cancel in storm:
            cancel.result()
    crowd.wait_finished()
    for job in crowd.records().values():
        check_history(job)
        crowd.check_started_once(job)
        if job["status"] == "completed":  # asked to stop or not: it was quicker
            check_log(engine, job, job["output"][0]["lines"])
            assert "cause" not in job
        else:
            assert (job["status"], job["cause"]["code"]) == ("terminated", "cancelled")
            assert "cancel_requested" in job
            assert "output" not in job
    crowd.wait_gone()


def test_jobs_that_are_cancelled_while_they_are_handed_out(engine: Stack) -> None:
    crowd = Crowd(engine, 40)
    crowd.submit()
    with ThreadPoolExecutor(4) as threads:
        chunks = [crowd.ids[n::4] for n in range(4)]
        answers = list(threads.map(lambda ids: engine.call("cancel_jobs", {"job_ids": ids}, "alice"), chunks))
    assert sum(job["cancelled"] for answer in answers for job in answer["jobs"].values()) == 40
    crowd.wait_finished()
    crowd.wait_gone()
    for job in crowd.records().values():
        check_history(job)
        assert job["status"] == "terminated"
        trace = crowd.traces / job["job_id"]
        if trace.exists():
            crowd.check_started_once(job)
        codes = {"cancelled"} if trace.exists() else {"cancelled", "cancelled_before_start"}
        assert job["cause"]["code"] in codes


def test_a_batch_is_cancelled_as_a_whole(engine: Stack) -> None:
    crowd = Crowd(engine, 10)
    crowd.submit()
    crowd.wait_running(5)
    batch_id = engine.call("check_job", {"job_id": crowd.ids[0], "fields": ["batch_id"]}, "alice")["batch_id"]
    assert engine.call("cancel_job", {"job_id": batch_id}, "alice")["cancelled"] == 10
    crowd.wait_finished()
    batch = engine.call("check_job", {"job_id": batch_id}, "alice")
    assert (batch["status"], batch["children"]) == ("terminated", {"terminated": 10})
