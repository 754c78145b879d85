"""A real Slurm for tests, brought up by start-slurm.sh in a folder and on ports of its own."""

import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

HERE = Path(__file__).parent
START_SECONDS = 300


class SlurmCluster:
    """Two nodes of eight CPUs: one in the default partition main, one in bigmem."""

    cpus = 8
    memory_mb = 16_000

    def __init__(self) -> None:
        # Not below pytest's own folder, which other accounts may not enter: the REST daemon runs under one.
        self.folder = Path(tempfile.mkdtemp(prefix="ee-slurm-", dir="/tmp"))
        self.prefix = f"n{secrets.token_hex(2)}x"
        self.port = _free_ports(4)
        self.conf = self.folder / "slurm.conf"
        self.socket = self.folder / "run/rest/socket"
        self.rest_url = f"http://127.0.0.1:{self.port + 3}"
        self.token_file = self.folder / "token"
        self.jobcomp_file = self.folder / "jobcomp.log"
        self._environment = {
            **os.environ,
            "EE_SLURM_DIR": str(self.folder),
            "EE_SLURM_PORT": str(self.port),
            "EE_SLURM_PREFIX": self.prefix,
            "EE_SLURM_CPUS": str(self.cpus),
            "SLURM_CONF": str(self.conf),
        }

    @property
    def nodes(self) -> tuple[str, str]:
        """The names of the machines: of main and of bigmem."""
        return f"{self.prefix}1", f"{self.prefix}2"

    def start(self) -> str | None:
        """Starts what does not run; what is missing, or None. Installs packages in CI only."""
        command = [HERE / "start-slurm.sh", *([] if os.environ.get("CI") else ["--no-install"])]
        # Into a file: the daemons keep what they inherit open.
        with (self.folder / "start.log").open("w+") as log:
            done = subprocess.run(
                command,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                timeout=START_SECONDS,
                check=False,
            )
            log.seek(0)
            return log.read() if done.returncode else None

    def stop(self) -> None:
        """Stops everything and removes the folder."""
        subprocess.run(
            [HERE / "stop-slurm.sh", "--wipe"], env=self._environment, check=False, timeout=120, capture_output=True
        )
        shutil.rmtree(self.folder, ignore_errors=True)

    def run(self, *command: str) -> str:
        """What one of Slurm's commands prints."""
        done = subprocess.run(command, env=self._environment, capture_output=True, text=True, check=True, timeout=60)
        return done.stdout.strip()

    def pid(self, daemon: str) -> int:
        """The process of slurmctld, slurmrestd, munged or slurmd.NODE."""
        return int((self.folder / f"run/{daemon}.pid").read_text())

    def state_saved_at(self) -> float:
        """When (Unix time) the controller last wrote down what it knows of jobs."""
        return (self.folder / "spool/ctld/job_state").stat().st_mtime

    def kill(self, daemon: str) -> None:
        """kill -9, and waits for the end."""
        pid = self.pid(daemon)
        os.kill(pid, signal.SIGKILL)
        deadline = time.monotonic() + 10
        while _runs(pid):
            assert time.monotonic() < deadline, f"{daemon} does not die"
            time.sleep(0.02)

    def clear(self) -> None:
        """Ends all jobs and mends what tests did to nodes and partitions."""
        self.run("scancel", "--me")
        deadline = time.monotonic() + 30
        while self.run("squeue", "-h"):
            assert time.monotonic() < deadline, self.run("squeue")
            time.sleep(0.1)


@pytest.fixture(scope="session")
def slurm_cluster() -> Iterator[SlurmCluster]:
    """One cluster for the whole run."""
    cluster = SlurmCluster()
    try:
        if problem := cluster.start():
            (pytest.fail if os.environ.get("CI") else pytest.skip)(f"no Slurm: {problem.strip()}")
        yield cluster
    finally:
        cluster.stop()


def _free_ports(count: int) -> int:
    """The first of some neighbouring ports that nobody listens on."""
    while True:
        first = secrets.choice(range(20_000, 31_000))
        try:
            for port in range(first, first + count):
                with socket.socket() as probe:
                    probe.bind(("127.0.0.1", port))
        except OSError:
            continue
        return first


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False
