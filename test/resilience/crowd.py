"""Fifty jobs at once, and the question whether each of them ran to its end, once, with its whole log."""

import re
from collections import Counter
from pathlib import Path
from typing import Any

import requests

from test.conftest import Stack, wait_until
from test.resilience.stack_processes import running_jobs

PATIENCE_SECONDS = 120.0
STREAMS = ("stdout", "stderr", "system")


class Crowd:
    """Jobs that print numbered lines until the gate opens, and leave a trace of every start."""

    def __init__(self, engine: Stack, size: int = 50, *, gated: bool = True) -> None:
        self.engine = engine
        self.size = size
        self.traces = engine.folder / f"traces-{next_number(engine.folder)}"
        self.traces.mkdir()
        self.gate = self.traces.with_suffix(".gate")
        self.ids: list[str] = []
        self._params = {"lines": 3, "traces": str(self.traces)} | ({"gate": str(self.gate)} if gated else {})

    def submit(self, count: int | None = None, user: str = "alice") -> list[str]:
        """Submit all, or so many more."""
        jobs = [{"method": "drill.count", "params": [self._params]}] * (count or self.size)
        more = persist(self.engine, "run_jobs", {"jobs": jobs}, user)["job_ids"]
        self.ids += more
        return list(more)

    def wait_running(self, least: int | None = None) -> None:
        """Wait until so many (all) have begun and their apps print."""
        wanted = len(self.ids) if least is None else least
        wait_until(lambda: len(list(self.traces.iterdir())) >= wanted, PATIENCE_SECONDS, f"the start of {wanted} jobs")

    def release(self) -> None:
        """Let all end."""
        self.gate.touch()

    def wait_finished(self) -> None:
        """Wait until all have ended, well or not."""
        final = {"completed", "error", "terminated"}
        wait_until(lambda: set(self.statuses()) <= final, PATIENCE_SECONDS, "the end of all jobs")

    def wait_gone(self) -> None:
        """Wait until no process of any is left."""
        nothing_left = lambda: running_jobs(self.engine.folder).isdisjoint(self.ids)  # noqa: E731
        wait_until(nothing_left, PATIENCE_SECONDS, "the end of all runners")

    def statuses(self) -> Counter[str]:
        """How many jobs are in which status."""
        asked = {"job_ids": self.ids, "fields": ["status"]}
        found = persist(self.engine, "check_jobs", asked, "alice")["jobs"].values()
        return Counter(job["status"] for job in found)

    def records(self) -> dict[str, Any]:
        """All jobs with their history and output, by id."""
        asked = {"job_ids": self.ids, "fields": ["status", "history", "output", "cause", "attempt", "cancel_requested"]}
        found: dict[str, Any] = persist(self.engine, "check_jobs", asked, "alice")["jobs"]
        assert len(found) == len(self.ids)
        return found

    def check_all_completed_once(self) -> None:
        """Each job: one start, one end, the app's own result, every line of both streams once and in order."""
        for job in self.records().values():
            assert job["status"] == "completed", job
            check_history(job)
            self.check_started_once(job)
            (result,) = job["output"]
            assert result["job"] == job["job_id"]
            check_log(self.engine, job, result["lines"])
        self.wait_gone()

    def check_started_once(self, job: Any) -> None:
        """The app ran once, in the attempt that counts."""
        assert self.starts(job["job_id"]) == [f"ee.{job['job_id']}.{job['attempt']}"]

    def starts(self, job_id: str) -> list[str]:
        """The tags of the attempts in which the app began."""
        lines = (self.traces / job_id).read_text().splitlines()
        return [line.removeprefix("begin ") for line in lines if line.startswith("begin ")]


def check_history(job: Any) -> None:
    """One beginning, at most one start, one end, and that at the end."""
    events = Counter(entry["event"] for entry in job["history"])
    assert events["created"] == 1, job["history"]
    assert events["started"] <= 1, job["history"]
    final = [entry["status"] for entry in job["history"] if entry.get("status") in ("completed", "error", "terminated")]
    assert final == [job["status"]], job["history"]
    assert job["history"][-1]["status"] == job["status"], job["history"]


def check_log(engine: Stack, job: Any, lines: int) -> None:
    """The log holds lines 0 to ``lines`` - 1 of each stream in order, numbered without gap.

    And nothing else: earlier attempts, if there were any, never began.
    """
    log = persist(engine, "get_logs", {"job_id": job["job_id"], "limit": 10_000}, "alice")["lines"]
    streams = {stream: [line["line"] for line in log if line["stream"] == stream] for stream in STREAMS}
    printed = range(lines)
    assert streams == {
        "stdout": [f"out {i}" for i in printed],
        "stderr": [f"err {i}" for i in printed],
        "system": [],
    }
    assert [line["n"] for line in log] == list(range(2 * lines))


def persist(engine: Stack, method: str, params: Any, user: str) -> Any:
    """The result of a call that is repeated while the engine, or what it depends on, is away."""

    def attempt() -> list[Any] | None:
        try:
            answer = engine.post(method, params, user)
        except requests.RequestException:
            return None
        if "error" in answer.body and re.search("_unavailable$|^busy$", answer.error["data"]["reason"]):
            return None
        return [answer.result]

    return wait_until(attempt, PATIENCE_SECONDS, f"an answer to {method}")[0]


def next_number(folder: Path) -> int:
    return len(list(folder.glob("traces-*[0-9]")))
