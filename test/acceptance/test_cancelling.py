"""Stopping jobs: before they begin, while they run, after their end."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from test.acceptance.conftest import finished
from test.conftest import Stack, wait_until

ALL_CORES = {"cpus": 8, "memory_mb": 16}  # of the shared engine: one such job runs, the others wait
FED_AHEAD = 8


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[Path]:
    """What lets the jobs of a test end; they do, whatever becomes of the test."""
    yield tmp_path / "gate"
    (tmp_path / "gate").touch()


def submit(stack: Stack, gate: Path, count: int) -> list[str]:
    job = {"method": "drill.count", "params": [{"gate": str(gate)}], "requirements": ALL_CORES}
    return list(stack.call("run_jobs", {"jobs": [job] * count}, "alice")["job_ids"])


def test_a_waiting_job_ends_at_once(drills: Stack, gate: Path) -> None:
    first, *queued, last = submit(drills, gate, FED_AHEAD + 2)
    drills.wait_for(first, "running")
    drills.wait_for(queued[0], "queued")
    waiting = drills.call("check_job", {"job_id": last}, "alice")
    assert (waiting["status"], waiting["hold"]["message"]) == (
        "created",
        "The job waits for its turn in the client group local.",
    )
    answer = drills.call("cancel_job", {"job_id": last, "reason": "changed my mind"}, "alice")
    assert (answer["status"], answer["cancelled"]) == ("terminated", 1)
    job = drills.call("check_job", {"job_id": last}, "alice")
    assert (job["cause"]["code"], job["attempt"]) == ("cancelled_before_start", 0)
    assert job["cause"]["message"] == "The job was cancelled before it began."
    drills.call("cancel_jobs", {"job_ids": [first, *queued]}, "alice")
    for job_id in (first, *queued):
        assert drills.wait_for(job_id)["status"] == "terminated"


def waits_for(drills: Stack, job_id: str) -> str:
    return str(drills.call("check_job", {"job_id": job_id}, "alice").get("hold", {}).get("message", ""))


def test_a_job_that_waits_in_its_backend_never_begins(drills: Stack, gate: Path) -> None:
    first, second = submit(drills, gate, 2)
    drills.wait_for(first, "running")
    wait_until(lambda: waits_for(drills, second).startswith("Waits for 8 CPUs and 16 MB of memory; 0 CPUs and "))
    drills.call("cancel_job", {"job_id": second}, "alice")
    job = drills.wait_for(second)
    assert (job["status"], job["cause"]["code"]) == ("terminated", "cancelled_before_start")
    assert "running" not in job
    gate.touch()
    assert drills.wait_for(first)["status"] == "completed"


def test_a_running_job_ends_when_its_runner_says_so(drills: Stack, gate: Path) -> None:
    job_id = drills.call("run_job", {"method": "drill.count", "params": [{"gate": str(gate)}]}, "alice")
    drills.wait_for(job_id, "running")
    answer = drills.call("cancel_job", {"job_id": job_id}, "alice")
    assert (answer["status"], answer["cancelled"], answer["cancel_requested"]["by"]) == ("running", 1, "alice")
    again = drills.call("cancel_job", {"job_id": job_id, "reason": "impatience"}, "alice")
    assert again["cancelled"] == 0
    assert again["cancel_requested"] == answer["cancel_requested"]  # the first wish stands
    job = drills.wait_for(job_id)
    assert (job["status"], job["cause"]["code"], job["history"][-1]["actor"]) == ("terminated", "cancelled", "runner")
    assert [entry["event"] for entry in job["history"]].count("cancel_requested") == 1


def test_an_ended_job_stays_as_it_is(drills: Stack) -> None:
    job = finished(drills, "drill.count", {"lines": 1})
    answer = drills.call("cancel_job", {"job_id": job["job_id"]}, "alice")
    assert answer == {"job_id": job["job_id"], "status": "completed", "cancelled": 0}
    assert drills.call("check_job", {"job_id": job["job_id"]}, "alice") == job
