"""Submissions that are repeated until they are answered, while parts of the engine die: each makes one job or batch."""

import random
import signal
import threading
import time
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from test.conftest import Stack
from test.resilience.conftest import MakeEngine
from test.resilience.crowd import persist
from test.resilience.stack_processes import kill, kill_child, wait_restarted, workers_of

LEAST = 10
BATCH_JOBS = 200


@pytest.fixture(scope="module")
def engine(make_engine: MakeEngine) -> Iterator[Stack]:
    """One for all tests here; its dispatcher stands still, so that the jobs stay what they were when submitted."""
    made = make_engine()
    kill(made.pid("dispatcher"), number=signal.SIGSTOP)
    yield made
    kill(made.pid("dispatcher"), number=signal.SIGCONT)


class Disturbance(threading.Thread):
    """Workers of the web server, the whole web server and mongod die, one after the other."""

    def __init__(self, engine: Stack) -> None:
        super().__init__(name="disturbance", daemon=True)
        self._engine = engine

    def run(self) -> None:
        for child in ("web", "mongod"):
            for _ in range(3):
                time.sleep(random.uniform(0.2, 0.8))
                kill(*workers_of(self._engine, "web")[:1])
            kill_child(self._engine, child)
            wait_restarted(self._engine, child)
        time.sleep(random.uniform(0.2, 0.8))


def submit_while_disturbed(engine: Stack, method: str, params: Any, user: str) -> list[Any]:
    """The answers to submissions with a new key each, all repeated until answered, and then once more."""
    answers = []
    disturbance = Disturbance(engine)
    disturbance.start()
    while disturbance.is_alive() or len(answers) < LEAST:
        asked = params | {"idempotency_key": uuid.uuid4().hex}
        answers.append(persist(engine, method, asked, user))
        assert persist(engine, method, asked, user) == answers[-1]
    disturbance.join()
    return answers


def test_each_key_makes_one_job(engine: Stack) -> None:
    ids = submit_while_disturbed(engine, "run_job", {"method": "drill.count"}, "alice")
    stored = sorted(str(job["_id"]) for job in engine.database().jobs.find({"user": "alice"}))
    assert sorted(ids) == stored
    assert len(set(ids)) == len(ids)


def test_each_key_makes_one_batch_and_each_batch_is_whole(engine: Stack) -> None:
    batch = {"jobs": [{"method": "drill.count"}] * BATCH_JOBS}
    answers = {
        answer["batch_id"]: answer["job_ids"] for answer in submit_while_disturbed(engine, "run_jobs", batch, "bob")
    }
    database = engine.database()
    assert {str(stored["_id"]) for stored in database.batches.find()} == set(answers)
    jobs = [(str(job["batch_id"]), str(job["_id"])) for job in database.jobs.find({"user": "bob"})]
    assert sorted(jobs) == sorted((batch_id, job_id) for batch_id, job_ids in answers.items() for job_id in job_ids)
    assert len(jobs) == len(answers) * BATCH_JOBS
