"""A real HTCondor for tests, brought up by start-condor.sh in a folder and on a port of its own."""

import os
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
ROOT = Path(os.environ.get("EE_CONDOR_ROOT", f"{tempfile.gettempdir()}/ee-clusters/condor-root"))


class CondorPool:
    """One machine with three slots, one for each of the client groups njs, bigmem and contract."""

    cpus = 8
    memory_mb = 8000

    def __init__(self) -> None:
        # Not below pytest's own folder, which other accounts may not enter: daemons and jobs run under one.
        self.folder = Path(tempfile.mkdtemp(prefix="ee-condor-", dir="/tmp"))
        self.port = _free_port()
        self.tokens = self.folder / "tokens.d"
        self._environment = {
            **os.environ,
            "EE_CONDOR_DIR": str(self.folder),
            "EE_CONDOR_PORT": str(self.port),
            "EE_CONDOR_ROOT": str(ROOT),
            "CONDOR_CONFIG": str(self.folder / "condor_config"),
            "PATH": f"{ROOT}/usr/bin:{ROOT}/usr/sbin:{os.environ['PATH']}",
        }

    @property
    def collector(self) -> str:
        """Its address."""
        return f"127.0.0.1:{self.port}"

    @property
    def schedd(self) -> str:
        """Its name."""
        return "127-0-0-1.test"

    def start(self) -> str | None:
        """Starts what does not run; what is missing, or None."""
        # Into a file: the daemons keep what they inherit open.
        with (self.folder / "start.log").open("w+") as log:
            done = subprocess.run(
                [HERE / "start-condor.sh"],
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
            [HERE / "stop-condor.sh", "--wipe"], env=self._environment, check=False, timeout=120, capture_output=True
        )
        shutil.rmtree(self.folder, ignore_errors=True)

    def run(self, *command: str) -> str:
        """What one of HTCondor's commands prints."""
        done = self._try(*command)
        assert done.returncode == 0, f"{command}: {done.stderr}"
        return done.stdout.strip()

    def _try(self, *command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(command, env=self._environment, capture_output=True, text=True, check=False, timeout=60)

    def pids(self, daemon: str) -> list[int]:
        """The processes of schedd, startd, shadow, starter, … of this pool."""
        found = []
        for process in Path("/proc").glob("[0-9]*"):
            try:
                program = (process / "exe").readlink()
                variables = (process / "environ").read_bytes().split(b"\0")
            except OSError:
                continue
            ours = b"CONDOR_CONFIG=" + self._environment["CONDOR_CONFIG"].encode()
            if program == ROOT / f"usr/sbin/condor_{daemon}" and ours in variables:
                found.append(int(process.name))
        return found

    def signal(self, daemon: str, number: int = signal.SIGKILL) -> list[int]:
        """Sends the signal to all processes of the daemon; who they were."""
        pids = self.pids(daemon)
        for pid in pids:
            os.kill(pid, number)
        return pids

    def clear(self) -> None:
        """Removes all jobs and waits until none is left."""
        deadline = time.monotonic() + 60
        while self.run("condor_q", "-allusers", "-af", "ClusterId"):
            assert time.monotonic() < deadline, self.run("condor_q", "-allusers")
            self._try("condor_rm", "-all")  # fails if the last one has left meanwhile
            time.sleep(0.1)


@pytest.fixture(scope="session")
def condor_pool() -> Iterator[CondorPool]:
    """One pool for the whole run."""
    pool = CondorPool()
    try:
        if problem := pool.start():
            (pytest.fail if os.environ.get("CI") else pytest.skip)(f"no HTCondor: {problem.strip()}")
        yield pool
    finally:
        pool.stop()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
