"""Jobs of a whole engine on a real Slurm, and what may happen to them there."""

import time
from collections.abc import Iterator
from typing import Any

import pytest
from slurm_cluster import SlurmCluster
from system import until

from test.conftest import Stack, wait_until

CONFIG = """
[execution_engine]
default-client-group = hpc
reconcile-interval-ms = 200

[backend:by-rest]
kind = slurm
rest-url = {rest_url}
token-file = {token_file}
partition = main
partition.bigmem = bigmem
jobcomp-file = {jobcomp_file}

[backend:by-commands]
kind = slurm
slurm-conf = {conf}

[client_group:hpc]
backends = by-rest

[client_group:bigmem]
backends = by-rest

[client_group:commands]
backends = by-commands
"""


@pytest.fixture(scope="module")
def engine(slurm_cluster: SlurmCluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    values = {name: getattr(slurm_cluster, name) for name in ("rest_url", "token_file", "jobcomp_file", "conf")}
    running = Stack(tmp_path_factory.mktemp("slurm-engine"), CONFIG.format(**values))
    running.start()
    yield running
    running.stop()
    slurm_cluster.clear()


@pytest.fixture
def cluster(slurm_cluster: SlurmCluster) -> Iterator[SlurmCluster]:
    """As it was, afterwards: with all daemons, all nodes and no jobs."""
    yield slurm_cluster
    assert slurm_cluster.start() is None
    slurm_cluster.clear()


def run(engine: Stack, seconds: float = 300, **changes: Any) -> str:
    asked = {"method": "sequence_tools.long_task", "params": [{"seconds": seconds}], **changes}
    return str(engine.call("run_job", asked, "alice"))


def row_of(cluster: SlurmCluster, job_id: str) -> list[str]:
    """Number, state, node, partition and comment of the job in Slurm; empty if there is none."""
    table = cluster.run("squeue", "-h", "-t", "all", "--Format=JobID:|,State:|,NodeList:|,Partition:|,Comment:|,Name:|")
    return next((line.split("|") for line in table.splitlines() if f"|ee.{job_id}." in line), [])


@pytest.mark.parametrize(("group", "node"), [("hpc", 0), ("bigmem", 1), ("commands", 0)])
def test_an_example_runs_on_slurm(engine: Stack, cluster: SlurmCluster, group: str, node: int) -> None:
    job_id = run(engine, 0.2, client_group=group)
    job = engine.wait_for(job_id)
    assert job["status"] == "completed", job
    found = row_of(cluster, job_id)
    assert found[2] == cluster.nodes[node]
    assert found[4] == f"client_group={group}&user=alice"
    until(lambda: row_of(cluster, job_id)[1] == "COMPLETED")


def test_a_running_job_is_cancelled_and_gone(engine: Stack, cluster: SlurmCluster) -> None:
    job_id = run(engine)
    engine.wait_for(job_id, "running")
    engine.call("cancel_job", {"job_id": job_id}, "alice")
    assert engine.wait_for(job_id)["status"] == "terminated"
    until(lambda: row_of(cluster, job_id)[1] in ("CANCELLED", "COMPLETED"))


def test_a_job_that_somebody_cancels_in_slurm_says_so(engine: Stack, cluster: SlurmCluster) -> None:
    job_id = run(engine)
    engine.wait_for(job_id, "running")
    cluster.run("scancel", row_of(cluster, job_id)[0])
    job = engine.wait_for(job_id)
    assert job["status"] == "error"
    assert job["cause"]["code"] == "removed"


def test_a_job_waits_for_a_drained_node_and_says_so(engine: Stack, cluster: SlurmCluster) -> None:
    cluster.run("scontrol", "update", f"nodename={cluster.nodes[1]}", "state=drain", "reason=test")
    job_id = run(engine, 0.2, client_group="bigmem")
    held = wait_until(lambda: engine.call("check_job", {"job_id": job_id}, "alice").get("hold"), 30, "a hold")
    wait_until(
        lambda: "drained" in engine.call("check_job", {"job_id": job_id}, "alice").get("hold", {}).get("message", ""),
        90,
        f"the words about the node, not {held}",
    )
    cluster.run("scontrol", "update", f"nodename={cluster.nodes[1]}", "state=resume")
    assert engine.wait_for(job_id)["status"] == "completed"


def test_jobs_outlive_the_controller(engine: Stack, cluster: SlurmCluster) -> None:
    long = [run(engine, client_group=group) for group in ("hpc", "commands")]
    for job_id in long:
        engine.wait_for(job_id, "running")
    # Of what it learnt since it last wrote its state a controller that is killed knows nothing when it comes back.
    since = time.time()
    wait_until(lambda: cluster.state_saved_at() > since or time.time() > since + 12, what="the state on disk")
    cluster.kill("slurmctld")
    waiting = [run(engine, 0.2, client_group=group) for group in ("hpc", "commands")]
    assert cluster.start() is None
    for job_id in waiting:
        assert engine.wait_for(job_id, seconds=120)["status"] == "completed"
    for job_id in long:
        assert engine.call("check_job", {"job_id": job_id}, "alice")["status"] == "running"
        engine.call("cancel_job", {"job_id": job_id}, "alice")
        assert engine.wait_for(job_id)["status"] == "terminated"
