"""A whole engine whose jobs a real HTCondor runs; operators and crashes interfere."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from condor_pool import CondorPool

from test.apps.registration import register_test_apps
from test.conftest import Stack, wait_until

pytest.importorskip("htcondor2", reason="HTCondor's Python library is missing: make .venv/installed-dev")

CONFIG = """
[execution_engine]
default-client-group = njs
heartbeat-seconds = 1
submit-timeout-seconds = 8

[backend:pool]
kind = condor
collector = {pool.collector}
schedd = {pool.schedd}
token-dir = {pool.tokens}
group-attribute = CLIENTGROUP
lease-seconds = 10

[client_group:njs]
backends = pool

[client_group:bigmem]
backends = pool
"""
SECONDS = 120.0


@pytest.fixture(scope="module")
def engine(condor_pool: CondorPool) -> Iterator[Stack]:
    # Jobs run under an account that may not enter pytest's own folder.
    folder = Path(tempfile.mkdtemp(prefix="ee-stack-", dir="/tmp"))
    folder.chmod(0o755)
    running = Stack(folder, CONFIG.format(pool=condor_pool))
    running.start()
    try:
        register_test_apps(running.data)
        yield running
    finally:
        running.stop()
        condor_pool.clear()
        shutil.rmtree(folder, ignore_errors=True)


class Job:
    """A job that counts until its gate opens."""

    def __init__(self, engine: Stack, **asked: Any) -> None:
        self.engine = engine
        self.gate = engine.folder / "gates" / str(len(list(engine.folder.glob("gates/*.asked"))))
        self.gate.parent.mkdir(exist_ok=True)
        self.gate.with_suffix(".asked").touch()
        params = [{"gate": str(self.gate)}]
        self.id = engine.call("run_job", {"method": "drill.count", "params": params, **asked}, "alice")

    def record(self) -> dict[str, Any]:
        record: dict[str, Any] = self.engine.call("check_job", {"job_id": self.id}, "alice")
        return record

    def begun(self) -> "Job":
        self.engine.wait_for(self.id, "running", seconds=SECONDS)
        wait_until(self.log, SECONDS, "the app's first line")
        return self

    def log(self) -> list[str]:
        lines = self.engine.call("get_logs", {"job_id": self.id}, "alice")["lines"]
        return [line["line"] for line in lines if line["stream"] == "stdout"]

    def end(self) -> dict[str, Any]:
        """Lets it end; its record."""
        self.gate.touch()
        return self.ended()

    def ended(self) -> dict[str, Any]:
        record: dict[str, Any] = self.engine.wait_for(self.id, seconds=SECONDS)
        return record


def condor_id(job: Job) -> str:
    """As the condor_* commands take it."""
    backend_id = wait_until(lambda: job.record().get("backend_id"), SECONDS, "the backend's id")
    return str(backend_id).split("#")[1]


def test_an_example_job_runs_in_the_pool_and_leaves_its_report(engine: Stack) -> None:
    wsid = engine.new_workspace("alice")
    asked = {"method": "sequence_tools.assembly_stats", "params": [{"sequence": "NC_005816"}], "wsid": wsid}
    job_id = engine.call("run_job", asked, "alice")
    job = engine.wait_for(job_id, seconds=SECONDS)
    assert (job["status"], job["backend"], job["client_group"]) == ("completed", "pool", "njs")
    assert engine.call("get_report", {"job_id": job_id}, "alice")["reports"][0]["text"]


def test_a_batch_is_run_each_job_once(engine: Stack) -> None:
    traces = engine.folder / "traces"
    traces.mkdir()
    traces.chmod(0o777)
    jobs = [{"method": "drill.count", "params": [{"lines": 3, "traces": str(traces)}]}] * 12
    ids = engine.call("run_jobs", {"jobs": jobs}, "alice")["job_ids"]
    assert {engine.wait_for(job_id, seconds=SECONDS)["status"] for job_id in ids} == {"completed"}
    once = {name: f"begin ee.{name}.1\nend ee.{name}.1\n" for name in ids}
    assert {path.name: path.read_text() for path in traces.iterdir()} == once


def test_each_group_runs_on_its_own_slots(engine: Stack, condor_pool: CondorPool) -> None:
    job = Job(engine, client_group="bigmem").begun()
    slot = condor_pool.run("condor_q", condor_id(job), "-af", "RemoteHost")
    assert condor_pool.run("condor_status", slot, "-af", "CLIENTGROUP") == "bigmem"
    assert job.end()["status"] == "completed"


def test_a_cancelled_job_is_terminated_when_nothing_of_it_runs(engine: Stack) -> None:
    job = Job(engine).begun()
    engine.call("cancel_job", {"job_id": job.id}, "alice")
    assert job.ended()["status"] == "terminated"


def test_a_job_that_an_operator_removes_ends_once_and_says_so(engine: Stack, condor_pool: CondorPool) -> None:
    job = Job(engine).begun()
    condor_pool.run("condor_rm", condor_id(job))
    ended = job.ended()
    assert (ended["status"], ended["cause"]["code"]) == ("error", "removed")


def test_a_job_that_an_operator_holds_says_why_and_runs_when_released(engine: Stack, condor_pool: CondorPool) -> None:
    ahead, held = (Job(engine, requirements={"cpus": 8}) for _ in range(2))
    ahead.begun()
    condor_pool.run("condor_hold", condor_id(held))
    hold = wait_until(lambda: held.record().get("hold", {}).get("code") == "backend_held" and held.record()["hold"])
    assert hold["message"].startswith("An operator holds the job. HTCondor says: via condor_hold")
    condor_pool.run("condor_release", condor_id(held))
    assert ahead.end()["status"] == "completed"
    held.begun()
    assert held.end()["status"] == "completed"


def test_a_schedd_that_is_killed_costs_no_job_anything(engine: Stack, condor_pool: CondorPool) -> None:
    running = Job(engine).begun()
    assert condor_pool.signal("schedd")
    handed_in_meanwhile = Job(engine)
    handed_in_meanwhile.begun()
    ended = running.end()
    assert (ended["status"], ended["attempt"]) == ("completed", 1)
    assert handed_in_meanwhile.end()["status"] == "completed"


def test_a_job_whose_machine_dies_is_run_again(engine: Stack, condor_pool: CondorPool) -> None:
    job = Job(engine).begun()
    assert condor_pool.signal("startd")
    condor_pool.signal("starter")  # if it is still there
    wait_until(lambda: job.record()["attempt"] == 2, SECONDS, "another attempt")
    ended = job.end()
    assert (ended["status"], ended["attempt"]) == ("completed", 2)


def test_a_job_that_is_put_off_its_slot_is_run_again(engine: Stack, condor_pool: CondorPool) -> None:
    job = Job(engine).begun()
    condor_pool.run("condor_vacate_job", condor_id(job))
    wait_until(lambda: job.record()["attempt"] == 2, SECONDS, "another attempt")
    ended = job.end()
    assert (ended["status"], ended["attempt"]) == ("completed", 2)
