"""Submissions that are repeated until they are answered, while the engine's parts die: each makes one job, or one batch."""

import random
import signal
import threading
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from test.conftest import Stack
from test.resilience.conftest import MakeEngine
from test.resilience.crowd import persist
from test.resilience.stack_processes import kill, kill_child, wait_restarted, workers_of

BATCHES = 12
BATCH_JOBS = 200


@pytest.fixture(scope="module")
def engine(make_engine: MakeEngine) -> Iterator[Stack]:
    """One for all tests here; its dispatcher stands still, so that the jobs stay what they were when submitted."""
    made = make_engine()
    kill(made.pid("dispatcher"), number=signal.SIGSTOP)
    yield made
    kill(made.pid("dispatcher"), number=signal.SIGCONT)


@contextmanager
def disturbance(engine: Stack) -> Iterator[None]:
    """Web workers, the whole web server and mongod die in turn as long as the block lasts."""
    over = threading.Event()

    def disturb() -> None:
        while True:
            kill(random.choice(workers_of(engine, "web")))
            if over.wait(random.uniform(0.3, 0.8)):
                return
            child = random.choice(["web", "mongod"])
            kill_child(engine, child)
            wait_restarted(engine, child)
            if over.wait(random.uniform(0.5, 1.5)):
                return

    thread = threading.Thread(target=disturb)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def test_each_key_makes_one_job(engine: Stack) -> None:
    ids = []
    with disturbance(engine):
        end = time.monotonic() + 8
        while time.monotonic() < end:
            asked = {"method": "drill.count", "idempotency_key": uuid.uuid4().hex}
            first = persist(engine, "run_job", asked, "alice")
            assert persist(engine, "run_job", asked, "alice") == first
            ids.append(first)
    assert len(set(ids)) == len(ids) > 20
    query = {"user": "alice", "method": "drill.count", "batch_id": None}
    assert {str(job["_id"]) for job in engine.database().jobs.find(query)} == set(ids)


def test_each_key_makes_one_batch_and_each_batch_is_whole(engine: Stack) -> None:
    batches = {}
    with disturbance(engine):
        for _ in range(BATCHES):
            asked = {"jobs": [{"method": "drill.count"}] * BATCH_JOBS, "idempotency_key": uuid.uuid4().hex}
            first = persist(engine, "run_jobs", asked, "bob")
            assert persist(engine, "run_jobs", asked, "bob") == first
            batches[first["batch_id"]] = first["job_ids"]
    database = engine.database()
    assert {str(batch["_id"]) for batch in database.batches.find({"user": "bob"})} == set(batches)
    sizes = Counter(str(job["batch_id"]) for job in database.jobs.find({"user": "bob"}, {"batch_id": 1}))
    assert sizes == dict.fromkeys(batches, BATCH_JOBS)
    for job_ids in batches.values():
        assert len(set(job_ids)) == BATCH_JOBS
