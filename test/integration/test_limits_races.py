"""Limits on a real mongod, against everybody at once: many submitters, several dispatchers, limits that change."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import pytest
from bson import ObjectId
from pymongo.database import Database
from store_dispatch import ToldBackend
from store_engine import METHOD, KBase, begin, finish, make_engine, person, submit

from execution_engine.backends.base import Found, Submission
from execution_engine.core.errors import EngineError, QueueLimitReached
from execution_engine.jobs.engine import Engine
from execution_engine.jobs.identity import Admin
from execution_engine.jobs.limit_acts import set_limit
from execution_engine.jobs.submission import run_jobs
from execution_engine.store.database import connect
from test.integration import test_jobs_dispatcher as dispatchers
from test.integration.test_jobs_dispatcher import GONE, QUICK, RUNNING, Dispatch, until

dispatch = dispatchers.dispatch  # the fixture

SUBMITTERS = 16
PROCESSES = 4
ROOT = person("root", Admin.FULL)


@pytest.fixture
def engine(real_database: Database[Any]) -> Engine:
    return make_engine(real_database, KBase(), **QUICK)


@pytest.fixture
def engines(real_database: Database[Any], mongod_url: str) -> Iterator[list[Engine]]:
    """As many server processes: each with connections and caches of its own."""
    databases = [connect(mongod_url, real_database.name) for _ in range(PROCESSES)]
    yield [make_engine(database, KBase()) for database in databases]
    for database in databases:
        database.client.close()


def at_once(calls: Sequence[Callable[[], Any]]) -> list[Any]:
    """What each answers, or the error that it raises."""
    start = threading.Barrier(len(calls))

    def carry_out(call: Callable[[], Any]) -> Any:
        start.wait(20)
        try:
            return call()
        except EngineError as error:
            return error

    with ThreadPoolExecutor(len(calls)) as threads:
        return list(threads.map(carry_out, calls))


def test_sixteen_submitters_fill_a_queue_exactly(engines: list[Engine]) -> None:
    set_limit(engines[0], ROOT, {"kind": "queued", "user": "alice", "value": 50})

    def submit_ten(engine: Engine) -> Counter[str]:
        outcomes: Counter[str] = Counter()
        for n in range(10):
            try:
                if n % 3:
                    submit(engine)
                    outcomes["jobs"] += 1
                else:
                    run_jobs(engine, person("alice"), {"jobs": [{"method": METHOD}] * 2})
                    outcomes["jobs"] += 2
            except QueueLimitReached:
                outcomes["refused"] += 1
        return outcomes

    calls = [lambda e=engines[n % PROCESSES]: submit_ten(e) for n in range(SUBMITTERS)]
    outcomes = sum(at_once(calls), Counter())
    database = engines[0].database
    # A batch of two may be refused where one place is left; then nobody came after it with a single job.
    assert database.jobs.count_documents({"user": "alice"}) == outcomes["jobs"]
    assert 49 <= outcomes["jobs"] <= 50
    assert outcomes["refused"] > 0
    assert database.batches.count_documents({}) * 2 == database.jobs.count_documents({"batch_id": {"$exists": True}})
    submit(engines[1], "bob")


def test_the_last_place_is_given_once(engines: list[Engine]) -> None:
    set_limit(engines[0], ROOT, {"kind": "queued", "each_user": 1, "value": 1})
    for n in range(10):
        answers = at_once([lambda e=engines[i % PROCESSES], n=n: submit(e, f"user{n}") for i in range(SUBMITTERS)])
        assert Counter(type(answer) for answer in answers) == {ObjectId: 1, QueueLimitReached: SUBMITTERS - 1}


def test_the_same_request_for_the_last_place_is_one_job(engines: list[Engine]) -> None:
    set_limit(engines[0], ROOT, {"kind": "queued", "each_user": 1, "value": 1})
    for n in range(10):
        calls = [
            lambda e=engines[i % PROCESSES], n=n: submit(e, f"user{n}", idempotency_key="k") for i in range(SUBMITTERS)
        ]
        assert len(set(at_once(calls))) == 1


def test_a_limit_holds_in_every_process_once_it_is_set(engines: list[Engine]) -> None:
    for engine in engines:
        submit(engine)  # each has just read that there is no limit
    set_limit(engines[0], ROOT, {"kind": "queued", "user": "alice", "value": PROCESSES})
    answers = at_once([lambda e=engine: submit(e) for engine in engines])
    assert {type(answer) for answer in answers} == {QueueLimitReached}


class Cluster(ToldBackend):
    """A system that several dispatchers share, with room for everything; knows how much it had at once, and of whom.

    A job is at work from the call that brings it until its end is recorded.
    """

    def __init__(self, engine: Engine, threads: ThreadPoolExecutor) -> None:
        super().__init__(slots=200)
        self.engine, self.threads = engine, threads
        self.starts: Counter[str] = Counter()
        self.at_work: Counter[str] = Counter()
        self.most: Counter[str] = Counter()
        self.lock = threading.Lock()
        self.on_submit = self._run_all

    def _run_all(self, jobs: Sequence[Submission]) -> None:
        with self.lock:
            for job in jobs:
                for counter in ("all", job.user, f"{job.client_group} {job.user}"):
                    self.at_work[counter] += 1
                    self.most[counter] = max(self.most[counter], self.at_work[counter])
        for job in jobs:
            self.answers[job.tag] = Found(job.tag)
            self.sightings[job.tag] = RUNNING
            self.threads.submit(self._run, job)

    def _run(self, job: Submission) -> None:
        job_id = ObjectId(job.job_id)
        try:
            started = begin(self.engine, job_id, job.ticket, f"runner-{job.job_id}", attempt=job.attempt)
            self.starts[job.job_id] += 1
            time.sleep(0.02)
            with self.lock:  # it leaves before its end is known, so that what is counted is never too much
                for counter in ("all", job.user, f"{job.client_group} {job.user}"):
                    self.at_work[counter] -= 1
            finish(self.engine, job_id, started["credential"], attempt=job.attempt)
        except EngineError as error:
            pytest.fail(error.message)
        self.sightings[job.tag] = GONE


def test_while_dispatchers_come_and_go_no_limit_is_exceeded(engine: Engine, dispatch: Dispatch) -> None:
    for target, value in (
        ({"each_user": 1}, 3),
        ({"user": "user0"}, 1),
        ({"client_group": "local"}, 6),
        ({"client_group": "bigmem", "each_user": 1}, 2),
    ):
        set_limit(engine, ROOT, {"kind": "running", **target, "value": value})
    with ThreadPoolExecutor(16) as threads:
        cluster = Cluster(engine, threads)
        jobs = [submit(engine, f"user{n % 4}", client_group=("local", "bigmem")[n % 3 == 0]) for n in range(120)]
        with ExitStack() as running:
            stops = [running.enter_context(dispatch(cluster)) for _ in range(2)]
            for _ in range(4):
                time.sleep(0.4)
                stops.append(running.enter_context(dispatch(cluster)))
                stops.pop(0).set()
            until(lambda: engine.database.jobs.count_documents({"active": True}) == 0, 90)
            until(lambda: engine.database.slots.count_documents({}) == 0)
    assert cluster.starts == {str(job_id): 1 for job_id in jobs}
    assert cluster.most["user0"] == 1
    assert all(cluster.most[f"user{n}"] <= 3 for n in range(4))
    assert all(cluster.most[f"bigmem user{n}"] <= 2 for n in range(4))
    assert cluster.most["all"] <= 6 + 4 * 2


def test_limits_that_change_while_jobs_run_are_never_exceeded_for_long(engine: Engine, dispatch: Dispatch) -> None:
    def limit_to(value: int) -> None:
        set_limit(engine, ROOT, {"kind": "running", "user": "alice", "value": value})

    def at_work() -> int:
        return int(engine.database.jobs.count_documents({"user": "alice", "active": True, "claimed": True}))

    backend = ToldBackend(slots=50)
    with dispatch(backend), dispatch(backend):
        for _ in range(30):
            submit(engine)
        until(lambda: at_work() == 30)
        limit_to(5)
        later = [submit(engine) for _ in range(3)]
        running = sorted(backend.order)
        for tag in running[:25]:
            job_id = ObjectId(tag.split(".")[1])
            finish(engine, job_id, begin(engine, job_id, backend.tickets[tag])["credential"])
            backend.sightings[tag] = GONE
        time.sleep(0.5)
        assert at_work() == 5, "what began before the limit counts against it"
        assert len(backend.order) == 30
        limit_to(7)
        until(lambda: at_work() == 7)
        time.sleep(0.3)
        assert at_work() == 7
        assert {tag.split(".")[1] for tag in backend.order[30:]} == {str(job_id) for job_id in later[:2]}
