"""How many jobs a second a batch system completes through the engine, beside what it completes without one.

Both times the same real cluster runs the same jobs: ``true``, in the same runner, brought by the same file transfer,
all submitted at once. Without an engine the runners talk to one that does nothing (idle_engine.py), and the submission
is a single call of the same adapter.

    .venv/bin/python test/benchmarks/throughput.py [--jobs N] [--kind slurm] ...
"""

import argparse
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from bson import ObjectId

sys.path.insert(0, str(Path(__file__).parents[1] / "clusters"))

from condor_pool import CondorPool
from idle_engine import IdleEngine
from servers import APPS, register_apps, wait_until
from slurm_cluster import SlurmCluster
from whole_engine import Client, engine

from execution_engine.backends.base import Accepted, Requirements, Submission
from execution_engine.backends.kinds import KINDS
from execution_engine.config import BackendSettings, Settings
from execution_engine.core.ids import attempt_tag, new_ticket

JOBS = 500
LEAST = 0.9
PATIENCE_SECONDS = 120
_GROUP = "pool"


@dataclass(frozen=True)
class Throughput:
    """Jobs completed per second, without an engine (before and after) and with one; submissions per second."""

    kind: str
    direct: tuple[float, float]
    engine: float
    submissions: float

    @property
    def ratio(self) -> float:
        return self.engine / (sum(self.direct) / len(self.direct))

    def verdict(self) -> tuple[bool, str]:
        """Whether the bar is met, and the sentence that says so."""
        met = self.ratio >= LEAST
        before, after = self.direct
        rates = f"{self.engine:.1f} jobs/s; without an engine {before:.1f} and {after:.1f}"
        text = f"{self.kind}: jobs completed, at least {LEAST} of the system's own rate  ({self.ratio:.2f}: {rates})"
        return met, f"{'met   ' if met else 'MISSED'}  {text}; {self.submissions:.0f} jobs/s submitted"


@contextmanager
def slurm() -> Iterator[dict[str, str]]:
    """A Slurm; the options of a backend on it."""
    cluster = SlurmCluster()
    try:
        if problem := cluster.start():
            raise RuntimeError(f"no Slurm: {problem.strip()}")
        yield {"user": "root", "rest-url": f"unix:{cluster.socket}", "token-file": str(cluster.token_file)}
    finally:
        cluster.stop()


@contextmanager
def condor() -> Iterator[dict[str, str]]:
    """An HTCondor; the options of a backend on it."""
    pool = CondorPool()
    try:
        if problem := pool.start():
            raise RuntimeError(f"no HTCondor: {problem.strip()}")
        place = {"collector": pool.collector, "schedd": pool.schedd, "token-dir": str(pool.tokens)}
        yield place | {"requirements": 'CLIENTGROUP == "njs"'}
    finally:
        pool.stop()


SYSTEMS = {"condor": condor, "slurm": slurm}


def measure(kind: str, folder: Path, jobs: int) -> Throughput:
    """One kind: without an engine, with one, without one."""
    folder.chmod(0o755)  # of the account that a batch system runs jobs under
    with SYSTEMS[kind]() as options:
        before, submissions = _direct(kind, options, folder / "before", jobs)
        through = _through_engine(kind, options, folder / "engine", jobs)
        after, _ = _direct(kind, options, folder / "after", jobs)
    return Throughput(kind, (before, after), through, submissions)


def _direct(kind: str, options: dict[str, str], folder: Path, jobs: int) -> tuple[float, float]:
    app = shutil.copytree(APPS / "bench_tools", folder / "app")
    with IdleEngine(app) as idle:
        settings = replace(Settings(), data_dir=str(folder), worker_url=idle.url)
        backend = KINDS[kind]().from_settings(BackendSettings(kind, kind, options), settings)
        begun = time.perf_counter()
        outcomes = backend.submit([_submission() for _ in range(jobs)])
        submitted = time.perf_counter() - begun
        if refused := [outcome for outcome in outcomes.values() if not isinstance(outcome, Accepted)]:
            raise RuntimeError(f"{kind} did not accept a job: {refused[0]}")
        idle.wait_for(jobs, PATIENCE_SECONDS)
        return jobs / (time.perf_counter() - begun), jobs / submitted


def _submission() -> Submission:
    job = ObjectId()
    needs = Requirements(cpus=1, memory_mb=64, disk_gb=1)
    return Submission(attempt_tag(job, 1), str(job), 1, new_ticket(), needs, _GROUP, "alice")


def _through_engine(kind: str, options: dict[str, str], folder: Path, jobs: int) -> float:
    section = "\n".join(f"{name} = {value}" for name, value in options.items())
    config = f"""
[execution_engine]
default-client-group = {_GROUP}
[backend:{kind}]
kind = {kind}
{section}
[client_group:{_GROUP}]
backends = {kind}
"""
    with engine(folder, config) as port:
        register_apps(json.loads((folder / "endpoints.json").read_text())["mongo"], folder)
        client = Client(port, json.loads((folder / "tokens.json").read_text())["alice"])
        begun = time.perf_counter()
        batch = client.call("run_jobs", {"jobs": [{"method": "bench_tools.true"}] * jobs})["batch_id"]
        wait_until(lambda: _has_ended(client, batch), "the end of all jobs", PATIENCE_SECONDS + jobs)
        return jobs / (time.perf_counter() - begun)


def _has_ended(client: Client, batch: str) -> bool:
    status: str = client.call("check_job", {"job_id": batch})["status"]
    if status in ("error", "terminated"):
        raise RuntimeError(f"the batch has ended as {status}")
    return status == "completed"


def main() -> int:
    """Measures, prints, and answers the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--jobs", type=int, default=JOBS)
    parser.add_argument("--kind", action="append", choices=sorted(SYSTEMS))
    asked = parser.parse_args()
    met = []
    for kind in asked.kind or sorted(SYSTEMS):
        with tempfile.TemporaryDirectory(prefix="ee-bench-") as folder:
            good, text = measure(kind, Path(folder), asked.jobs).verdict()
        print(text, flush=True)
        met.append(good)
    return 0 if all(met) else 1


if __name__ == "__main__":
    sys.exit(main())
