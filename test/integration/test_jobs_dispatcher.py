import contextlib
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from bson import ObjectId
from pymongo.database import Database
from store_dispatch import ToldBackend
from store_engine import KBase, begin, claim, finish, make_engine, person, record, submit

from execution_engine.backends.base import Found, Sighting, SightingState, Submission
from execution_engine.core.errors import EngineError
from execution_engine.dispatch.dispatcher import Dispatcher
from execution_engine.jobs.control import cancel
from execution_engine.jobs.engine import Engine
from execution_engine.store.database import connect

QUICK = {
    "dispatch_interval_ms": 20,
    "reconcile_interval_ms": 50,
    "lease_seconds": 1.0,
    "submit_timeout_seconds": 0.0,
}
GONE = Sighting(SightingState.GONE)
RUNNING = Sighting(SightingState.RUNNING)


@pytest.fixture
def engine(real_database: Database[Any]) -> Engine:
    return make_engine(real_database, KBase(), **QUICK)


@pytest.fixture
def backend() -> ToldBackend:
    return ToldBackend()


Dispatch = Callable[[ToldBackend], contextlib.AbstractContextManager[threading.Event]]


@pytest.fixture
def dispatch(real_database: Database[Any], mongod_url: str) -> Dispatch:
    """Runs a dispatcher process of its own; the event stops it."""

    @contextlib.contextmanager
    def dispatch(backend: ToldBackend) -> Iterator[threading.Event]:
        database = connect(mongod_url, real_database.name)
        dispatcher = Dispatcher(make_engine(database, KBase(), **QUICK), {"local": backend})
        stop = threading.Event()
        thread = threading.Thread(target=dispatcher.run, args=(stop,))
        thread.start()
        try:
            yield stop
        finally:
            stop.set()
            thread.join(30)
            database.client.close()
            assert not thread.is_alive()

    return dispatch


def until(condition: Callable[[], Any], seconds: float = 30.0) -> Any:
    deadline = time.monotonic() + seconds
    while not (answer := condition()):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return answer


def status_of(engine: Engine, job_id: ObjectId) -> str:
    return str(record(engine, job_id)["status"])


def test_the_life_of_a_job(engine: Engine, backend: ToldBackend, dispatch: Dispatch) -> None:
    with dispatch(backend):
        job_id = submit(engine)
        tag = f"ee.{job_id}.1"
        until(lambda: status_of(engine, job_id) == "queued")
        credential = begin(engine, job_id, backend.tickets[tag])["credential"]
        backend.sightings[tag] = RUNNING
        finish(engine, job_id, credential)
        backend.sightings[tag] = GONE
        until(lambda: "cleanup" not in record(engine, job_id))
    assert status_of(engine, job_id) == "completed"
    assert engine.payloads.get_token(job_id) is None
    assert backend.order == [tag]


def test_jobs_that_are_lost_or_cancelled_end(engine: Engine, backend: ToldBackend, dispatch: Dispatch) -> None:
    with dispatch(backend):
        lost, stopped = submit(engine), submit(engine)
        until(lambda: len(backend.tickets) == 2)
        for job_id in (lost, stopped):
            begin(engine, job_id, backend.tickets[f"ee.{job_id}.1"])
        cancel(engine, person("alice"), stopped, None)
        until(lambda: f"ee.{stopped}.1" in backend.cancelled)
        backend.sightings = {f"ee.{job_id}.1": GONE for job_id in (lost, stopped)}
        until(lambda: status_of(engine, lost) == "error")
        until(lambda: status_of(engine, stopped) == "terminated")
    assert record(engine, lost)["cause"]["code"] == "runner_lost"


def test_a_claim_that_a_crash_left_open_is_handed_out_again(
    engine: Engine, backend: ToldBackend, dispatch: Dispatch
) -> None:
    job_id = submit(engine)
    claim(engine, job_id)
    with dispatch(backend):
        until(lambda: backend.order)
    assert backend.order == [f"ee.{job_id}.2"]


def test_a_dispatcher_that_hangs_is_replaced_and_does_no_harm(engine: Engine, dispatch: Dispatch) -> None:
    hanging, second = ToldBackend(), ToldBackend()
    go_on = threading.Event()
    hanging.on_submit = lambda _: go_on.wait(30) and None
    job_id = submit(engine)
    tag = f"ee.{job_id}.1"
    try:
        with dispatch(hanging):
            until(lambda: hanging.calls.count("submit"))
            # What the first one has submitted is all the same system's.
            second.answers[tag] = Found("17")
            with dispatch(second):
                until(lambda: status_of(engine, job_id) == "queued")
                go_on.set()
                until(lambda: hanging.tickets)
                later = submit(engine)
                until(lambda: second.order)
            begin(engine, job_id, hanging.tickets[tag])
    finally:
        go_on.set()
    assert second.order == [f"ee.{later}.1"]
    assert record(engine, job_id)["attempt"]["n"] == 1
    assert [entry["event"] for entry in record(engine, job_id)["history"]] == [
        "created",
        "claimed",
        "queued",
        "started",
    ]


def test_a_backend_that_answers_slowly_is_believed(
    engine: Engine, backend: ToldBackend, dispatch: Dispatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    poll = backend.poll

    def slowly(ids: Any) -> dict[str, Sighting]:
        time.sleep(1.5)  # longer than the lease
        return poll(ids)

    with dispatch(backend):
        job_id = submit(engine)
        until(lambda: backend.tickets)
        begin(engine, job_id, backend.tickets[f"ee.{job_id}.1"])
        monkeypatch.setattr(backend, "poll", slowly)
        backend.sightings[f"ee.{job_id}.1"] = GONE
        until(lambda: status_of(engine, job_id) == "error")


class Cluster(ToldBackend):
    """A batch system that several dispatchers share; runs what it is given at once, and remembers."""

    def __init__(self, engine: Engine, threads: ThreadPoolExecutor) -> None:
        super().__init__(slots=20)
        self.engine, self.threads = engine, threads
        self.starts: Counter[str] = Counter()
        self.on_submit = self._run_all

    def _run_all(self, jobs: Sequence[Submission]) -> None:
        for job in jobs:
            self.answers[job.tag] = Found(job.tag)
            self.sightings[job.tag] = RUNNING
            self.threads.submit(self._run, job)

    def _run(self, job: Submission) -> None:
        job_id = ObjectId(job.job_id)
        with contextlib.suppress(EngineError):
            started = begin(self.engine, job_id, job.ticket, f"runner-{job.job_id}", attempt=job.attempt)
            self.starts[job.job_id] += 1
            finish(self.engine, job_id, started["credential"], attempt=job.attempt)
        self.sightings[job.tag] = GONE


def test_while_dispatchers_come_and_go_every_job_runs_once(engine: Engine, dispatch: Dispatch) -> None:
    with ThreadPoolExecutor(8) as threads:
        cluster = Cluster(engine, threads)
        jobs = [submit(engine, f"user{n % 5}") for n in range(150)]
        done = {"active": True}
        with contextlib.ExitStack() as running:
            stops = [running.enter_context(dispatch(cluster)) for _ in range(2)]
            for _ in range(4):
                time.sleep(0.3)
                stops.append(running.enter_context(dispatch(cluster)))
                stops.pop(0).set()
            until(lambda: engine.database.jobs.count_documents(done) == 0, 60)
    assert cluster.starts == {str(job_id): 1 for job_id in jobs}
    for job_id in jobs:
        job = record(engine, job_id)
        assert (job["status"], job["attempt"]["n"]) == ("completed", 1)
        assert [entry.get("status") for entry in job["history"]].count("completed") == 1
