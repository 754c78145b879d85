"""Two hundred jobs at once on one engine with all kinds of backends: each ends once, rightly, where it was to run."""

import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from condor_pool import CondorPool
from slurm_cluster import SlurmCluster

from test.apps.registration import register_test_apps
from test.awe_simulator.model import Version
from test.awe_simulator.site import AweSite
from test.conftest import Stack, wait_until

KINDS = ("local", "slurm", "condor", "awe")
GOOD, FAILING, CANCELLED = 40, 5, 5  # of each kind
LINES = 3
SECONDS = 400.0
CONFIG = """
[execution_engine]
heartbeat-seconds = 1
default-client-group = local

[backend:local]
kind = local
cpus = 8
memory-mb = 8000

[backend:slurm]
kind = slurm
rest-url = {slurm.rest_url}
token-file = {slurm.token_file}
partition = main

[backend:condor]
kind = condor
collector = {pool.collector}
schedd = {pool.schedd}
token-dir = {pool.tokens}
requirements = CLIENTGROUP == "njs"

[backend:awe]
kind = awe
url = {awe}
drop-seconds = 1
stop-seconds = 1

""" + "".join(f"[client_group:{kind}]\nbackends = {kind}\n" for kind in KINDS)


@dataclass(frozen=True)
class Mix:
    """The engine, and a folder in which every job leaves traces."""

    engine: Stack
    folder: Path

    def job(self, kind: str, method: str, **asked: Any) -> dict[str, Any]:
        return {"method": method, "client_group": kind, "params": [{"traces": str(self.folder), **asked}]}

    def records(self, job_ids: list[str], user: str) -> dict[str, Any]:
        jobs: dict[str, Any] = self.engine.call("check_jobs", {"job_ids": job_ids}, user)["jobs"]
        return jobs


@pytest.fixture
def mix(slurm_cluster: SlurmCluster, condor_pool: CondorPool) -> Iterator[Mix]:
    # Batch systems run jobs under accounts that may not enter pytest's own folder.
    folder = Path(tempfile.mkdtemp(prefix="ee-mix-", dir="/tmp"))
    folder.chmod(0o755)
    (folder / "traces").mkdir()
    (folder / "traces").chmod(0o777)
    awe = AweSite(folder / "awe", Version.LAST)
    awe.install_runner()
    for _ in range(8):
        awe.add_worker("awe", poll=0.3, heartbeat=0.5)
    engine = Stack(folder, CONFIG.format(slurm=slurm_cluster, pool=condor_pool, awe=awe.server.url))
    try:
        engine.start()
        register_test_apps(engine.data)
        yield Mix(engine, folder / "traces")
    finally:
        engine.stop()
        awe.end()
        slurm_cluster.clear()
        condor_pool.clear()
        shutil.rmtree(folder, ignore_errors=True)


def test_each_of_two_hundred_jobs_ends_once_and_rightly_where_it_was_to_run(mix: Mix) -> None:
    asked = [
        *(mix.job(kind, "drill.count", lines=LINES) for _ in range(GOOD) for kind in KINDS),
        *(mix.job(kind, "drill.fail", exit_code=7) for _ in range(FAILING) for kind in KINDS),
        *(mix.job(kind, "drill.count", gate="/never") for _ in range(CANCELLED) for kind in KINDS),
    ]
    expected = ["completed"] * GOOD * 4 + ["error"] * FAILING * 4 + ["terminated"] * CANCELLED * 4
    halves = {"alice": slice(0, None, 2), "bob": slice(1, None, 2)}
    submitted = {
        user: mix.engine.call("run_jobs", {"jobs": asked[half]}, user)["job_ids"] for user, half in halves.items()
    }
    job_ids = [""] * len(asked)
    for user, half in halves.items():
        job_ids[half] = submitted[user]
    outcome = dict(zip(job_ids, expected, strict=True))
    for user, ids in submitted.items():
        doomed = [job_id for job_id in ids if outcome[job_id] == "terminated"]
        # Some while they wait, some when they run.
        wait_until(lambda d=doomed, u=user: _begun(mix.records(d[:2], u)), SECONDS, "the first to be cancelled")
        mix.engine.call("cancel_jobs", {"job_ids": doomed}, user)
    for user, ids in submitted.items():
        wait_until(lambda i=ids, u=user: not _active(mix.records(i, u)), SECONDS, f"the end of {user}'s jobs")

    for user, ids in submitted.items():
        for job_id, record in mix.records(ids, user).items():
            kind = asked[job_ids.index(job_id)]["client_group"]
            assert record["status"] == outcome[job_id], record
            ends = [entry for entry in record["history"] if entry["event"] in ("completed", "error", "terminated")]
            assert len(ends) == 1, record
            if outcome[job_id] == "completed":
                assert record["backend"] == kind
                output = mix.engine.call("check_job", {"job_id": job_id, "fields": ["output"]}, user)["output"]
                assert output == [{"job": job_id, "lines": LINES}]
                assert _streams(mix.engine, job_id, user) == {"stdout": LINES, "stderr": LINES}
                assert _trace(mix.folder, job_id) == ["begin", "end"]
            elif outcome[job_id] == "error":
                assert record["cause"]["exit_code"] == 7, record
            else:
                assert _trace(mix.folder, job_id) in ([], ["begin"]), record


def _begun(records: dict[str, Any]) -> bool:
    return any(record["status"] == "running" for record in records.values())


def _active(records: dict[str, Any]) -> list[str]:
    final = ("completed", "error", "terminated")
    return [job_id for job_id, record in records.items() if record["status"] not in final]


def _streams(engine: Stack, job_id: str, user: str) -> Counter[str]:
    """How many of the app's own lines each stream has; all different ones."""
    lines = engine.call("get_logs", {"job_id": job_id}, user)["lines"]
    own = {(line["stream"], line["line"]) for line in lines if line["stream"] != "system"}
    assert len(own) == sum(line["stream"] != "system" for line in lines), lines
    return Counter(stream for stream, _ in own)


def _trace(folder: Path, job_id: str) -> list[str]:
    """What the job's processes noted, in order."""
    try:
        return [line.split()[0] for line in (folder / job_id).read_text().splitlines()]
    except FileNotFoundError:
        return []
