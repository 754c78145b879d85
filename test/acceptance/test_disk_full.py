"""The disk of the jobs' folders is full: jobs say so, and go on when there is room again."""

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from test.acceptance.conftest import finished
from test.apps.registration import register_test_apps
from test.conftest import Stack, wait_until

DISK_BYTES = 8 << 20


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Stack]:
    """An engine whose jobs' folders are on a small disk of their own."""
    engine = Stack(tmp_path, "[backend:local]\ncpus = 8\nrun-as = none\n")
    disk = engine.data / "local"
    disk.mkdir(parents=True)
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", disk], check=False)
    if mounted.returncode:
        pytest.skip("only root can mount a small disk")
    try:
        engine.start()
        register_test_apps(engine.data)
        yield engine
    finally:
        engine.stop()
        subprocess.run(["umount", disk], check=True)


def test_a_job_fills_the_disk_and_the_next_one_runs(engine: Stack) -> None:
    job = finished(engine, "drill.write", {"bytes": 2 * DISK_BYTES})
    folder = engine.data / "local" / f"ee.{job['job_id']}.1" / "work"
    assert (job["status"], job["cause"]["code"]) == ("error", "disk_full")
    assert job["cause"]["message"] == f"The disk of the job's folder {folder} on {os.uname().nodename} is full."
    assert job["cause"]["advice"] == "Run it again later; tell the operators."
    assert job["cause"]["detail"].endswith("OSError: [Errno 28] No space left on device")
    assert finished(engine, "drill.count", {"lines": 1})["status"] == "completed"


def test_jobs_wait_until_there_is_room(engine: Stack) -> None:
    filler = engine.data / "local" / "filler"
    fill(filler)
    job_id = engine.call("run_job", {"method": "drill.count", "params": [{"lines": 1}]}, "alice")

    def reason() -> str:
        return str(engine.call("check_job", {"job_id": job_id}, "alice").get("hold", {}).get("message", ""))

    said = (
        f"The folder {engine.data}/local of the backend local can't be used: No space left on device. "
        "It must be on a disk with free space, and the engine must be able to write it."
    )
    wait_until(lambda: reason() == said, what="the reason why the job waits")
    filler.unlink()
    assert engine.wait_for(job_id)["status"] == "completed"


def fill(file: Path) -> None:
    with file.open("wb", buffering=0) as stream, contextlib.suppress(OSError):
        while True:
            stream.write(b"x" * 4096)
