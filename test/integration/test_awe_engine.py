"""A whole engine whose jobs run on two simulated AWEs, one of each version, with real runners."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from execution_engine.backends.base import TAG_VARIABLE
from test.apps.registration import register_test_apps
from test.awe_simulator.model import Job, Version
from test.awe_simulator.site import AweSite
from test.conftest import Stack, wait_until

SECTION = """
[backend:{name}]
kind = awe
url = {url}
drop-seconds = 1
stop-seconds = 1
lost-seconds = 2
group.{name} = kbase
[client_group:{name}]
backends = {name}
"""
SETTINGS = """
[execution_engine]
default-client-group = old
reconcile-interval-ms = 200
held-seconds = 3
heartbeat-seconds = 1
submit-timeout-seconds = 1
max-start-attempts = 2
"""

# For what is the same in both versions.
ON_OLD = pytest.mark.parametrize("awe", ["old"], indirect=True)
ON_LAST = pytest.mark.parametrize("awe", ["last"], indirect=True)


class Awe:
    """The engine's jobs on one of the AWEs; ``name`` is the client group's and the backend's."""

    def __init__(self, engine: Stack, site: AweSite, name: str, folder: Path) -> None:
        self.engine = engine
        self.site = site
        self.name = name
        self.folder = folder
        self._gates = 0

    def submit(self, method: str = "drill.count", **asked: Any) -> str:
        job = {"method": method, "params": [{"traces": str(self.folder), **asked}], "client_group": self.name}
        return str(self.engine.call("run_job", job, "alice"))

    def gated(self) -> tuple[str, Path]:
        """A job that runs until the file exists."""
        self._gates += 1
        gate = self.folder / f"gate{self._gates}"
        return self.submit(gate=str(gate)), gate

    def running(self) -> tuple[str, Path]:
        """A job of which the app has begun."""
        job_id, gate = self.gated()
        self.engine.wait_for(job_id, "running")
        wait_until(lambda: self.starts(job_id) == 1, what="the app's first trace")
        return job_id, gate

    def queued(self) -> tuple[str, Path]:
        """A job that waits in AWE."""
        job_id, gate = self.gated()
        self.engine.wait_for(job_id, "queued")
        return job_id, gate

    def there(self, job_id: str) -> Job:
        """The youngest record that AWE has of the job."""
        return [job for job in self.site.state.jobs.values() if f"ee.{job_id}." in str(job.info.get("userattr"))][-1]

    def starts(self, job_id: str) -> int:
        """How often the app began, never beside itself."""
        try:
            words = [line.split()[0] for line in (self.folder / job_id).read_text().splitlines()]
        except FileNotFoundError:
            return 0
        assert "overlap" not in words
        return words.count("begin")

    def held(self, job_id: str) -> str:
        """Why AWE holds the job, as it is shown."""

        def message() -> str:
            hold = self.engine.call("check_job", {"job_id": job_id}, "alice").get("hold", {})
            return str(hold["message"]) if hold.get("code") == "backend_held" else ""

        return str(wait_until(message))

    def ask(self, method: str, path: str) -> None:
        assert requests.request(method, self.site.server.url + path, timeout=5).json()["error"] is None

    def replace_worker(self) -> None:
        for worker in self.site.workers:
            worker.kill()
            if worker.client.id in self.site.state.clients:
                self.site.state.drop_client(worker.client.id)
        self.site.add_worker()


@pytest.fixture(scope="module")
def engine_and_sites(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Stack, dict[str, AweSite]]]:
    folder = tmp_path_factory.mktemp("awe")
    sites = {"old": AweSite(folder / "old", Version.OLD), "last": AweSite(folder / "last", Version.LAST)}
    sections = [SECTION.format(name=name, url=site.server.url) for name, site in sites.items()]
    engine = Stack(folder, SETTINGS + "".join(sections))
    try:
        engine.start()
        register_test_apps(engine.data)
        for site in sites.values():
            site.install_runner()
            site.add_worker()
        yield engine, sites
    finally:
        engine.stop()
        for site in sites.values():
            site.end()


@pytest.fixture(params=["old", "last"])
def awe(request: pytest.FixtureRequest, engine_and_sites: Any, tmp_path: Path) -> Iterator[Awe]:
    engine, sites = engine_and_sites
    awe = Awe(engine, sites[request.param], request.param, tmp_path)
    yield awe
    for gate in range(1, 10):
        (tmp_path / f"gate{gate}").touch()
    awe.replace_worker()


def processes(job_id: str) -> list[int]:
    """Those with a tag of the job."""
    mark, found = f"{TAG_VARIABLE}=ee.{job_id}.".encode(), []
    for file in Path("/proc").glob("[0-9]*/environ"):
        try:
            found += [int(file.parent.name)] if mark in file.read_bytes() else []
        except OSError:
            continue
    return found


def test_an_example_app_runs_to_its_end(awe: Awe) -> None:
    job_id = awe.submit(lines=3)
    job = awe.engine.wait_for(job_id)
    assert (job["status"], job["backend"], job["attempt"]) == ("completed", awe.name, 1)
    lines = awe.engine.call("get_logs", {"job_id": job_id}, "alice")["lines"]
    assert [line["line"] for line in lines if line["stream"] == "stdout"] == ["out 0", "out 1", "out 2"]
    wait_until(lambda: awe.there(job_id).state == "completed")


@ON_LAST
def test_a_failing_app_is_no_failure_of_awes(awe: Awe) -> None:
    job_id = awe.submit("drill.fail", message="no such genome")
    assert awe.engine.wait_for(job_id)["cause"]["code"] == "app_error"
    wait_until(lambda: awe.there(job_id).state == "completed")


def test_a_cancel_ends_every_process_and_frees_the_worker(awe: Awe) -> None:
    job_id, _ = awe.running()
    waiting, _ = awe.queued()
    awe.engine.call("cancel_jobs", {"job_ids": [job_id, waiting]}, "alice")
    assert awe.engine.wait_for(job_id)["status"] == "terminated"
    assert awe.engine.wait_for(waiting)["cause"]["code"] == "cancelled_before_start"
    assert awe.starts(waiting) == 0
    assert wait_until(lambda: processes(job_id) == [])
    next_one, gate = awe.running()
    gate.touch()
    assert awe.engine.wait_for(next_one)["status"] == "completed"


def test_a_runner_whose_worker_died_finishes_its_job(awe: Awe) -> None:
    job_id, gate = awe.running()
    awe.replace_worker()
    wait_until(lambda: awe.there(job_id).state == "suspend", what="the second run, which the engine refuses")
    gate.touch()
    job = awe.engine.wait_for(job_id)
    assert (job["status"], job["attempt"], awe.starts(job_id)) == ("completed", 1, 1)


@ON_OLD
def test_a_machine_that_died_with_its_worker_ends_the_job_once(awe: Awe) -> None:
    job_id, _ = awe.running()
    awe.site.workers[-1].kill()
    for pid in processes(job_id):
        os.kill(pid, signal.SIGKILL)
    awe.replace_worker()
    job = awe.engine.wait_for(job_id)
    assert (job["status"], job["cause"]["code"]) == ("error", "runner_lost")
    assert awe.starts(job_id) == 1


def test_a_restart_with_recovery_ends_each_job_once(awe: Awe) -> None:
    running, gate = awe.running()
    waiting, other_gate = awe.queued()
    awe.site.state.restart(recover=True)
    gate.touch()
    other_gate.touch()
    for job_id in (running, waiting):
        job = awe.engine.wait_for(job_id)
        # The runner is killed with its worker's command: it may not have been able to say so.
        ends = [("completed", None), ("error", "runner_stopped"), ("error", "runner_lost")]
        assert (job["status"], job.get("cause", {}).get("code")) in ends
    assert awe.engine.wait_for(waiting)["status"] == "completed"
    assert awe.starts(waiting) == awe.starts(running) == 1


@ON_OLD
def test_a_restart_without_recovery_hands_out_anew_what_had_not_begun(awe: Awe) -> None:
    running, gate = awe.running()
    waiting, other_gate = awe.queued()
    awe.site.state.restart(recover=False)
    assert "restarted without recovery" in awe.held(waiting)
    gate.touch()
    other_gate.touch()
    job = awe.engine.wait_for(waiting)
    assert (job["status"], job["attempt"], awe.starts(waiting)) == ("completed", 2, 1)
    assert awe.engine.wait_for(running)["status"] in ("completed", "error")
    assert awe.starts(running) == 1


def test_a_job_that_somebody_suspends_while_it_runs(awe: Awe) -> None:
    job_id, _ = awe.running()
    awe.ask("PUT", f"/job/{awe.there(job_id).id}?suspend")
    job = awe.engine.wait_for(job_id)
    assert (job["status"], job["cause"]["code"]) == ("error", "runner_stopped")
    assert processes(job_id) == []


@ON_LAST
def test_a_job_that_somebody_suspends_while_it_waits_goes_on_when_resumed(awe: Awe) -> None:
    _, gate = awe.running()
    waiting, other_gate = awe.queued()
    there = awe.there(waiting).id
    awe.ask("PUT", f"/job/{there}?suspend")
    assert "manually suspended" in awe.held(waiting)
    awe.ask("PUT", f"/job/{there}?resume")
    gate.touch()
    other_gate.touch()
    job = awe.engine.wait_for(waiting)
    assert (job["status"], job["attempt"]) == ("completed", 1)


def test_a_job_that_somebody_deletes_while_it_runs_finishes(awe: Awe) -> None:
    job_id, gate = awe.running()
    awe.ask("DELETE", f"/job/{awe.there(job_id).id}")
    gate.touch()
    assert awe.engine.wait_for(job_id)["status"] == "completed"


@ON_OLD
def test_a_document_that_arrives_twice_runs_once(awe: Awe) -> None:
    _, gate = awe.running()
    job_id, other_gate = awe.queued()
    awe.site.post_again(awe.there(job_id).id)
    gate.touch()
    other_gate.touch()
    job = awe.engine.wait_for(job_id)
    assert (job["status"], job["attempt"]) == ("completed", 1)
    wait_until(lambda: awe.there(job_id).state == "suspend", what="the second run, which the engine refuses")
    assert awe.starts(job_id) == 1


def test_a_server_that_is_down_holds_up_nobody_else(engine_and_sites: Any, tmp_path: Path) -> None:
    engine, sites = engine_and_sites
    here, there = (Awe(engine, sites[name], name, tmp_path) for name in ("old", "last"))
    sites["old"].server.stop()
    waiting = here.submit(lines=1)
    assert engine.wait_for(there.submit(lines=1))["status"] == "completed"
    sites["old"].server.start()
    assert engine.wait_for(waiting)["status"] == "completed"
