"""The backend on a real Slurm in bad moments: what only a real one shows."""

import os
import shutil
import signal
import time
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from unittest.mock import Mock

import pytest
from slurm_cluster import SlurmCluster
from slurm_system import SlurmByCommands, SlurmByRest, SlurmSystem
from system import alive, submit, until, until_state

from execution_engine.backends.base import Absent, Found, SightingState
from execution_engine.backends.slurm.settings import ByGroup
from execution_engine.core.errors import BackendUnavailable

RUNNING, GONE, UNKNOWN = SightingState.RUNNING, SightingState.GONE, SightingState.UNKNOWN
ONE_WAY = pytest.mark.parametrize("system", ["rest"], indirect=True)
"""For what does not depend on how Slurm is asked."""
WAYS: dict[str, type[SlurmSystem]] = {"commands": SlurmByCommands, "rest": SlurmByRest}


@pytest.fixture
def cluster(slurm_cluster: SlurmCluster) -> Iterator[SlurmCluster]:
    """As it was, afterwards: with all daemons, all nodes and no jobs."""
    yield slurm_cluster
    assert slurm_cluster.start() is None
    slurm_cluster.clear()


@pytest.fixture(params=WAYS)
def system(request: pytest.FixtureRequest, cluster: SlurmCluster, tmp_path: Path) -> Iterator[SlurmSystem]:
    system = WAYS[request.param](tmp_path, cluster)
    yield system
    assert cluster.start() is None
    system.end()


def test_a_controller_that_hangs_is_given_up_in_time(system: SlurmSystem, cluster: SlurmCluster) -> None:
    backend = system.backend(timeout_seconds=1.0)
    [known] = submit(backend, system.submission())
    os.kill(cluster.pid("slurmctld"), signal.SIGSTOP)
    try:
        began = time.monotonic()
        with pytest.raises(BackendUnavailable, match="did not answer within 1 s"):
            backend.poll([known])
        assert time.monotonic() - began < 3
    finally:
        os.kill(cluster.pid("slurmctld"), signal.SIGCONT)
    until_state(backend, known, RUNNING)


@ONE_WAY
def test_a_number_that_the_controller_forgot_goes_to_another_job(
    system: SlurmSystem, cluster: SlurmCluster, tmp_path: Path
) -> None:
    backend = system.backend(settle_seconds=3.0)
    state = cluster.folder / "spool/ctld"
    cluster.kill("slurmctld")
    shutil.copytree(state, tmp_path / "before")
    assert cluster.start() is None

    forgotten = system.submission()
    [lost] = submit(backend, forgotten)
    [run] = until(lambda: system.runs(forgotten))
    cluster.kill("slurmctld")
    shutil.rmtree(state)
    shutil.copytree(tmp_path / "before", state)
    assert cluster.start() is None

    # In the other partition: the node of the first job still knows its number.
    [other] = submit(system.backend(partition=ByGroup("bigmem")), system.submission())
    assert other.partition(":")[0] == lost.partition(":")[0]
    backend.cancel([lost])
    until_state(backend, other, RUNNING)
    assert backend.find([forgotten.tag]) == {forgotten.tag: Absent()}
    assert backend.poll([lost])[lost].state is UNKNOWN
    assert until_state(backend, lost, GONE).detail == "Slurm does not know the job any more."
    assert alive(run["pids"]) == []
    assert backend.poll([other])[other].state is RUNNING


def test_a_node_that_fails_takes_its_jobs_with_it(system: SlurmSystem, cluster: SlurmCluster) -> None:
    backend = system.backend()
    job = system.submission()
    [known] = submit(backend, job)
    until(lambda: system.runs(job))
    node = cluster.nodes[0]
    cluster.run("scontrol", "update", f"nodename={node}", "state=down", "reason=test")
    gone = until_state(backend, known, GONE)
    assert (gone.reason, gone.host) == ("node_died", node)


def test_a_drained_node_takes_no_jobs_and_says_why(system: SlurmSystem, cluster: SlurmCluster) -> None:
    backend = system.backend()
    cluster.run("scontrol", "update", f"nodename={cluster.nodes[0]}", "state=drain", "reason=new disk")
    resources = backend.resources()
    assert (resources.cpus_total, resources.slots_total) == (8, 0)
    assert resources.groups[0].nodes_usable == 0
    assert resources.groups[0].reason == "No node of the partition main can be used (idle+drain: new disk)."
    [known] = submit(backend, system.submission())
    wanted = "The nodes that it needs are down, drained, or reserved for more urgent jobs."
    until(lambda: backend.poll([known])[known].reason == wanted)


def test_a_job_that_is_held_is_not_just_waiting(system: SlurmSystem, cluster: SlurmCluster) -> None:
    backend = system.backend()
    [_, known] = submit(backend, system.submission(cpus=system.cpus), system.submission())
    cluster.run("scontrol", "hold", known.partition(":")[0])
    assert until_state(backend, known, SightingState.HELD).reason == "An administrator of Slurm holds it."


@ONE_WAY
def test_what_a_killed_job_left_is_removed_by_the_next_one(system: SlurmSystem, tmp_path: Path) -> None:
    backend = system.backend(work_folder=str(tmp_path))
    first, second = system.submission(), system.submission()
    system.tell(first, "stubborn")
    [known] = submit(backend, first)
    until(lambda: system.runs(first))
    [left] = tmp_path.glob("ee-job.*")
    assert (left / "ticket").stat().st_mode & 0o777 == 0o600
    assert left.stat().st_mode & 0o777 == 0o700
    submit(backend, second)
    until(lambda: system.runs(second))
    assert left.exists()
    backend.cancel([known])
    until_state(backend, known, GONE)
    third = system.submission()
    system.tell(third, "finish", "0")
    [last] = submit(backend, third)
    until_state(backend, last, GONE)
    assert not left.exists()
    assert len(list(tmp_path.glob("ee-job.*"))) == 1


@ONE_WAY
def test_a_worker_without_python_says_so(system: SlurmSystem) -> None:
    [known] = submit(system.backend(python="/no/python3"), system.submission())
    gone = until_state(system.backend(), known, GONE)
    assert gone.reason == "never_started"
    assert "there is no python3" in (gone.detail or "")


def test_a_job_that_has_left_the_listing_is_known_from_the_file(system: SlurmSystem, cluster: SlurmCluster) -> None:
    backend = system.backend()
    job = system.submission()
    system.tell(job, "finish", "3")
    [known] = submit(backend, job)
    last_word = until_state(backend, known, GONE)
    until(lambda: job.tag in cluster.jobcomp_file.read_text())
    backend._way = lambda: nullcontext(Mock(own_jobs=list))  # an empty listing
    assert backend.find([job.tag]) == {job.tag: Found(known)}
    assert backend.poll([known])[known] == last_word
