"""The kinds that need a real cluster: brought up for the test, and broken daemon by daemon."""

import contextlib
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from execution_engine.backends.base import TAG_VARIABLE
from test.clusters.condor_pool import CondorPool
from test.clusters.slurm_cluster import SlurmCluster
from test.conftest import wait_until
from test.resilience.network import Network
from test.resilience.outage.kinds import Kind, Strike
from test.resilience.stack_processes import kill, processes

if TYPE_CHECKING:
    from test.resilience.outage.world import World

DOWN_SECONDS = 2.0
BACK_SECONDS = 60.0
OPERATORS_SECONDS = 2.0


def slurm(stack: ExitStack, _folder: Path) -> Kind | str:
    """By REST, through a network; the jobs go to the partition of the first node."""
    cluster = SlurmCluster()
    stack.callback(cluster.stop)
    if problem := cluster.start():
        return problem
    stack.callback(cluster.clear)
    stack.enter_context(operated(cluster))
    link = stack.enter_context(Network().running())
    link.lead_to(cluster.port + 3)
    section = {
        "kind": "slurm",
        "user": "root",
        "rest-url": f"http://127.0.0.1:{link.port}",
        "token-file": str(cluster.token_file),
        "jobcomp-file": str(cluster.jobcomp_file),
    }
    node = cluster.nodes[0]

    def killed(daemon: str) -> Strike:
        @contextmanager
        def strike(_: "World") -> Iterator[None]:
            cluster.kill(daemon)
            time.sleep(DOWN_SECONDS)
            yield
            _must(cluster.start)

        return strike

    @contextmanager
    def node_died(_: "World") -> Iterator[None]:
        cluster.kill(f"slurmd.{node}")
        kill(*processes(_belongs_to(b"SLURMD_NODENAME=" + node.encode())))
        cluster.run("scontrol", "update", f"nodename={node}", "state=down", "reason=outage")
        time.sleep(DOWN_SECONDS)
        yield
        _must(cluster.start)

    strikes = {f"slurm: {daemon} killed": killed(daemon) for daemon in ("slurmctld", "slurmrestd")}
    strikes |= {"slurm: slurmd killed": killed(f"slurmd.{node}"), "slurm: node dies": node_died}
    return Kind("slurm", section, link, strikes)


@contextmanager
def operated(cluster: SlurmCluster) -> Iterator[None]:
    """Somebody gives back nodes that Slurm has drained: after a crash of its controller it finds jobs there twice."""
    over = threading.Event()

    def operate() -> None:
        while not over.wait(OPERATORS_SECONDS):
            with contextlib.suppress(subprocess.SubprocessError):
                for line in cluster.run("sinfo", "-h", "-N", "-o", "%N %T").splitlines():
                    node, state = line.split()
                    if "drain" in state:
                        cluster.run("scontrol", "update", f"nodename={node}", "state=resume")

    operator = threading.Thread(target=operate, name="slurm operator", daemon=True)
    operator.start()
    try:
        yield
    finally:
        over.set()
        operator.join()


def condor(stack: ExitStack, _folder: Path) -> Kind | str:
    """A pool of its own; only its collector is reached through the network, the schedd says itself where it is."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EE_CONDOR_GROUPS", "condor")
        pool = CondorPool()
        stack.callback(pool.stop)
        if problem := pool.start():
            return problem
    stack.callback(pool.clear)
    link = stack.enter_context(Network().running())
    link.lead_to(pool.port)
    section = {
        "kind": "condor",
        "collector": f"127.0.0.1:{link.port}",
        "schedd": pool.schedd,
        "token-dir": str(pool.tokens),
        "lease-seconds": "10",
    }

    def killed(daemon: str, *others: str) -> Strike:
        @contextmanager
        def strike(_: "World") -> Iterator[None]:
            before = pool.signal(daemon)
            for other in others:
                pool.signal(other)
            if others:
                kill(*processes(_belongs_to(b"_CONDOR_SLOT=")))
            yield
            wait_until(lambda: set(pool.pids(daemon)) - set(before), BACK_SECONDS, f"condor_{daemon}")
            wait_until(lambda: _answers(pool), BACK_SECONDS, "HTCondor")

        return strike

    strikes = {f"condor: {daemon} killed": killed(daemon) for daemon in ("schedd", "startd")}
    return Kind("condor", section, link, strikes | {"condor: node dies": killed("startd", "starter")})


def _must(start: Callable[[], str | None]) -> None:
    problem = start()
    assert problem is None, problem


def _answers(pool: CondorPool) -> bool:
    try:
        return (
            bool(pool.run("condor_status", "-af", "Name")) and pool.run("condor_q", "-allusers", "-af", "x") is not None
        )
    except AssertionError:
        return False


def _belongs_to(variable: bytes) -> Callable[[str, bytes], bool]:
    """What runs of jobs of ours where this variable is set."""
    mark = f"{TAG_VARIABLE}=ee.".encode()
    return lambda _line, environment: variable in environment and mark in environment
