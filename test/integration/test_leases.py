import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from bson import ObjectId
from pymongo.client_session import ClientSession
from pymongo.database import Database

from execution_engine.core import transitions
from execution_engine.core.clock import EPOCH, now
from execution_engine.store.database import connect
from execution_engine.store.jobs import JobStore
from execution_engine.store.leases import Lease, LeaseLost, LeaseStore

NAME = "dispatch"
LONG = 60.0
Process = Callable[[], LeaseStore]


@pytest.fixture
def process(real_database: Database[Any], mongod_url: str) -> Iterator[Process]:
    """Makes the lease stores of different processes: each with a connection of its own."""
    databases = []

    def process() -> LeaseStore:
        databases.append(connect(mongod_url, real_database.name))
        return LeaseStore(databases[-1])

    yield process
    for database in databases:
        database.client.close()


def run_out(database: Database[Any]) -> None:
    """As if the time of the lease had passed."""
    database.leases.update_one({"_id": NAME}, {"$set": {"until": EPOCH}})


def held(lease: Lease | None) -> Lease:
    assert lease is not None
    return lease


def note(database: Database[Any], text: str) -> Callable[[ClientSession], None]:
    return lambda session: database.jobs.insert_one({"text": text}, session=session) and None


def notes(database: Database[Any]) -> list[str]:
    return [document["text"] for document in database.jobs.find()]


def test_one_holds_it_and_others_do_not(process: Process) -> None:
    one, two = process(), process()
    assert not one.is_held(NAME, now())
    lease = held(one.acquire(NAME, "one", LONG))
    assert lease == Lease(NAME, "one", 1)
    assert two.acquire(NAME, "two", LONG) is None
    assert two.is_held(NAME, now())
    assert one.acquire(NAME, "one", LONG) == lease, "a renewal changes no fence"
    assert two.acquire("another", "two", LONG) == Lease("another", "two", 1)


def test_of_twelve_contenders_one_wins_each_time(real_database: Database[Any], process: Process) -> None:
    stores = [process() for _ in range(12)]
    start = threading.Barrier(len(stores))

    def contend(number: int) -> Lease | None:
        start.wait()
        return stores[number].acquire(NAME, f"contender {number}", LONG)

    with ThreadPoolExecutor(len(stores)) as threads:
        for round_number in range(1, 31):
            won = [lease for lease in threads.map(contend, range(len(stores))) if lease]
            assert [lease.fence for lease in won] == [round_number]
            run_out(real_database)
            # The last winner may renew what nobody has taken: it shall not.
            real_database.leases.update_one({"_id": NAME}, {"$set": {"owner": "somebody else"}})


def test_a_lease_that_is_not_renewed_passes_on(process: Process) -> None:
    one, two = process(), process()
    held(one.acquire(NAME, "one", 0.2))
    while not (taken := two.acquire(NAME, "two", LONG)):
        pass
    assert taken.fence == 2
    assert one.acquire(NAME, "one", LONG) is None


def test_who_gives_it_back_is_followed_at_once(process: Process) -> None:
    one, two = process(), process()
    lease = held(one.acquire(NAME, "one", LONG))
    one.release(lease)
    assert not one.is_held(NAME, now())
    assert held(two.acquire(NAME, "two", LONG)).fence == 2
    one.release(lease)
    assert one.acquire(NAME, "one", LONG) is None, "giving back what was lost changes nothing"


def test_the_holder_writes(real_database: Database[Any], process: Process) -> None:
    one = process()
    lease = held(one.acquire(NAME, "one", LONG))
    for text in ("first", "second"):
        one.write_under(lease, note(one._client[real_database.name], text))
    assert notes(real_database) == ["first", "second"]


def test_a_deposed_holder_does_not_write(real_database: Database[Any], process: Process) -> None:
    one, two = process(), process()
    old = held(one.acquire(NAME, "one", LONG))
    run_out(real_database)
    new = held(two.acquire(NAME, "two", LONG))
    with pytest.raises(LeaseLost):
        one.write_under(old, note(one._client[real_database.name], "of the old one"))
    two.write_under(new, note(two._client[real_database.name], "of the new one"))
    assert notes(real_database) == ["of the new one"]


def test_a_holder_that_is_deposed_while_it_writes_has_not_written(
    real_database: Database[Any], process: Process
) -> None:
    one, two = process(), process()
    old = held(one.acquire(NAME, "one", LONG))
    run_out(real_database)
    taken: list[Lease | None] = []
    ours = one._client[real_database.name]

    def write(session: ClientSession) -> None:
        ours.jobs.insert_one({"text": "before the take-over"}, session=session)
        if not taken:
            taken.append(two.acquire(NAME, "two", LONG))
        ours.jobs.insert_one({"text": "after it"}, session=session)

    with pytest.raises(LeaseLost):
        one.write_under(old, write)
    assert held(taken[0]).fence == 2
    assert notes(real_database) == []


def test_a_write_that_fails_leaves_nothing_and_costs_no_lease(real_database: Database[Any], process: Process) -> None:
    one = process()
    lease = held(one.acquire(NAME, "one", LONG))
    ours = one._client[real_database.name]

    def fails(session: ClientSession) -> None:
        ours.jobs.insert_one({"text": "half"}, session=session)
        raise KeyError("a defect")

    with pytest.raises(KeyError):
        one.write_under(lease, fails)
    one.write_under(lease, note(ours, "whole"))
    assert notes(real_database) == ["whole"]


DIES_WHILE_IT_WRITES = """
import os, signal, sys
from execution_engine.store.database import connect
from execution_engine.store.leases import LeaseStore

database = connect(sys.argv[1], sys.argv[2])
store = LeaseStore(database)
lease = store.acquire("dispatch", "one", 1.0)

def write(session):
    database.jobs.insert_one({"text": "half"}, session=session)
    os.kill(os.getpid(), signal.SIGKILL)

store.write_under(lease, write)
"""


def test_a_holder_that_dies_while_it_writes_holds_up_nobody(
    real_database: Database[Any], process: Process, mongod_url: str, tmp_path: Path
) -> None:
    # mongod keeps the dead one's locks for a minute, the lease's among them, if nobody ends its transaction.
    script = tmp_path / "holder.py"
    script.write_text(DIES_WHILE_IT_WRITES)
    command = [sys.executable, str(script), mongod_url, real_database.name]
    died = subprocess.run(command, check=False, env={**os.environ, "PYTHONPATH": "."})
    assert died.returncode == -signal.SIGKILL
    two = process()

    def take_over() -> Lease:
        while not (lease := two.acquire(NAME, "two", LONG)):
            pass
        return lease

    with ThreadPoolExecutor(1) as thread:
        lease = thread.submit(take_over).result(20)
    two.write_under(lease, note(two._client[real_database.name], "whole"))
    assert notes(real_database) == ["whole"]


def test_a_runner_that_starts_while_the_dispatcher_writes_waits_a_moment(
    real_database: Database[Any], process: Process
) -> None:
    one = process()
    lease = held(one.acquire(NAME, "one", LONG))
    dispatcher, runner = JobStore(one._client[real_database.name]), JobStore(real_database)
    job_id, at = ObjectId(), now()
    attempt = {"n": 1, "ticket": "t"}
    real_database.jobs.insert_one({"_id": job_id, "status": "created", "claimed": True, "attempt": attempt})
    start = transitions.start(at, attempt=1, ticket_hash="t", runner="r", credential_hash="c", host=None)
    queued = transitions.submitted(at, attempt=1, backend_id="17")
    with ThreadPoolExecutor(1) as thread:
        starts: list[Future[Any]] = []

        def write(session: ClientSession) -> int:
            count = dispatcher.apply_many([(job_id, queued)], session)
            starts.append(thread.submit(runner.apply, job_id, start))
            return count

        assert one.write_under(lease, write) == 1
        job = starts[-1].result(20)
    assert (job["status"], job["backend_id"]) == ("running", "17")
    assert [entry["event"] for entry in job["history"]] == ["queued", "started"]


def test_a_lease_is_renewed_by_its_holder_alone(process: Process) -> None:
    holder, other = process(), process()
    lease = holder.acquire(NAME, "one", 0.2)
    assert lease
    assert holder.renew(lease, 30)
    time.sleep(0.3)
    assert other.acquire(NAME, "two", 30) is None
    holder.release(lease)
    assert other.acquire(NAME, "two", 30)
    assert not holder.renew(lease, 30)
