import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from bson import ObjectId
from pymongo.database import Database
from store_engine import METHOD, KBase, make_engine, person

from execution_engine.jobs.submission import run_jobs
from execution_engine.store import submissions as submissions_module
from execution_engine.store.database import UNREACHABLE
from execution_engine.store.jobs import JobStore

JOBS = 2_000

# Writes a batch, and kills itself when the driver sends, or has the answer to, a command: ``moment`` and ``command``.
WRITER = """
import os, signal, sys
from bson import ObjectId
from pymongo import monitoring
from execution_engine.store.database import connect
from execution_engine.store.jobs import JobStore

url, name, batch_id, size, moment, command, count = sys.argv[1:]

class Killer(monitoring.CommandListener):
    left = int(count)

    def _seen(self, event, when):
        if (when, event.command_name) == (moment, command):
            Killer.left -= 1
            if not Killer.left:
                os.kill(os.getpid(), signal.SIGKILL)

    def started(self, event):
        self._seen(event, "before")

    def succeeded(self, event):
        self._seen(event, "after")

    def failed(self, event):
        pass

monitoring.register(Killer())
database = connect(url, name)
batch = {"_id": ObjectId(batch_id), "user": "alice", "idempotency": {"key": batch_id, "digest": "d"}}
jobs = [{"_id": ObjectId(), "batch_id": batch["_id"], "batch_n": n, "status": "created"} for n in range(int(size))]
print("ready", flush=True)
JobStore(database).insert_batch(batch, jobs)
"""


@pytest.fixture
def script(tmp_path: Path) -> Path:
    path = tmp_path / "writer.py"
    path.write_text(WRITER)
    return path


@pytest.fixture
def database(real_database: Database[Any]) -> Iterator[Database[Any]]:
    yield real_database
    # What the killed ones have left open would keep the database from being dropped for a minute.
    real_database.client.admin.command("killAllSessions", [])


def start(script: Path, url: str, database: Database[Any], batch_id: ObjectId, *kill: str) -> subprocess.Popen[str]:
    command = [sys.executable, str(script), url, database.name, str(batch_id), str(JOBS), *kill]
    environment = {**os.environ, "PYTHONPATH": "."}
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)


def written(database: Database[Any], batch_id: ObjectId) -> int:
    """How many jobs of the batch there are; the batch itself is there just if they are."""
    jobs = len(JobStore(database).batch_job_ids(batch_id))
    assert (JobStore(database).get_batch(batch_id) is not None) == (jobs > 0)
    return jobs


@pytest.mark.parametrize(
    ("moment", "command", "count", "jobs"),
    [
        ("before", "insert", "1", 0),
        ("after", "insert", "1", 0),  # all jobs are written
        ("after", "insert", "2", 0),  # and the batch's own record
        ("before", "commitTransaction", "1", 0),
        ("after", "commitTransaction", "1", JOBS),
    ],
)
def test_wherever_the_writer_dies_all_jobs_exist_or_none(
    script: Path, mongod_url: str, database: Database[Any], moment: str, command: str, count: str, jobs: int
) -> None:
    batch_id = ObjectId()
    with start(script, mongod_url, database, batch_id, moment, command, count) as process:
        assert process.wait(60) == -signal.SIGKILL
    assert written(database, batch_id) == jobs


def test_whenever_the_writer_is_killed_all_jobs_exist_or_none(
    script: Path, mongod_url: str, database: Database[Any]
) -> None:
    chance = random.Random(7)
    for _ in range(8):
        batch_id = ObjectId()
        with start(script, mongod_url, database, batch_id, "never", "", "1") as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            time.sleep(chance.uniform(0.0, 0.15))
            process.kill()
        assert written(database, batch_id) in (0, JOBS)


def test_a_key_that_a_dead_writer_holds_keeps_nobody_waiting_for_long(
    script: Path, mongod_url: str, database: Database[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    key = ObjectId()
    with start(script, mongod_url, database, key, "before", "commitTransaction", "1") as process:
        assert process.wait(60) == -signal.SIGKILL
    batch = {"_id": ObjectId(), "user": "alice", "idempotency": {"key": str(key), "digest": "d"}}
    jobs = [{"_id": ObjectId(), "batch_id": batch["_id"], "batch_n": 0}]
    monkeypatch.setattr(submissions_module, "SECONDS", 1)
    with pytest.raises(UNREACHABLE):
        JobStore(database).insert_batch(batch, jobs)
    database.client.admin.command("killAllSessions", [])  # as mongod does after a minute
    monkeypatch.undo()
    assert JobStore(database).insert_batch(batch, jobs) is None
    assert written(database, batch["_id"]) == 1


def test_the_largest_batch_is_taken(real_database: Database[Any]) -> None:
    engine = make_engine(real_database, KBase())
    asked = [{"method": METHOD, "params": [n]} for n in range(10_000)]
    batch_id, job_ids = run_jobs(engine, person("alice"), {"jobs": asked})
    assert engine.jobs.batch_job_ids(batch_id) == job_ids
    assert len(job_ids) == real_database.jobs.count_documents({}) == real_database.job_io.count_documents({}) == 10_000
