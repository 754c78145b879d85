"""Jobs in the middle of an outage, and the question what became of each of them.

A cohort is the jobs of one kind in one trial, in four groups by what they are about to do when the fault strikes.
"""

import time
from collections import Counter
from dataclasses import dataclass
from enum import StrEnum
from pprint import pformat
from typing import Any

from test.conftest import wait_until
from test.resilience.crowd import persist
from test.resilience.outage.world import World

PATIENCE_SECONDS = 120.0
LINES = 3
FINAL = ("completed", "error", "terminated")
USER = "alice"


class Group(StrEnum):
    """What a job is about to do when the fault strikes."""

    ENDING = "to end"
    AT_WORK = "to go on"
    STOPPING = "to be cancelled"
    COMING = "to be handed out"


EXPECTED = {Group.STOPPING: frozenset({"terminated cancelled"})}
COMPLETED = frozenset({"completed"})


@dataclass(frozen=True)
class Fate:
    """One job's end: ``completed``, or the status and the cause's code; and how many attempts began."""

    group: Group
    outcome: str
    begun: int


class Cohort:
    """One job in each group, two to be handed out, so that one of them can be left over; all of one kind."""

    def __init__(self, world: World, kind: str) -> None:
        self.kind = kind
        self._world = world
        self._ids: dict[str, Group] = {}
        self._folder = world.shared / f"{kind}-{time.monotonic_ns()}"
        self._folder.mkdir()
        self._folder.chmod(0o1777)

    def submit_early(self) -> None:
        """Those that run when the fault strikes."""
        for group in (Group.ENDING, Group.AT_WORK, Group.STOPPING):
            self._submit(group)

    def wait_begun(self) -> None:
        """Until their apps run."""
        begun = lambda: sum("begin" in self._trace(job_id) for job_id in list(self._ids)) == len(self._ids)  # noqa: E731
        wait_until(begun, PATIENCE_SECONDS, f"the start of {len(self._ids)} jobs of {self.kind}")

    def act(self) -> None:
        """What people and apps do meanwhile; it takes as long as the engine is away."""
        self._gate(Group.ENDING).touch()
        ids = [job_id for job_id, group in self._ids.items() if group == Group.STOPPING]
        self._submit(Group.COMING)
        answer = persist(self._world.engine, "cancel_jobs", {"job_ids": ids}, USER)
        assert answer["errors"] == {}

    def release(self) -> None:
        """Let all end that are to end by themselves."""
        self._gate(Group.AT_WORK).touch()

    def wait_ended(self) -> None:
        """Until all have ended, well or not."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while open_ones := [job_id for job_id, status in self.statuses().items() if status not in FINAL]:
            if time.monotonic() > deadline:
                records = persist(self._world.engine, "check_jobs", {"job_ids": open_ones}, USER)["jobs"]
                raise AssertionError(f"not ended within {PATIENCE_SECONDS} s: {pformat(records)}")
            time.sleep(0.05)

    def statuses(self) -> dict[str, str]:
        """By job."""
        asked = {"job_ids": list(self._ids), "fields": ["status"]}
        found = persist(self._world.engine, "check_jobs", asked, USER)["jobs"]
        return {job_id: job["status"] for job_id, job in found.items()}

    def fates(self) -> list[Fate]:
        """What became of each, all of it proved to be in order."""
        fields = ["status", "history", "output", "cause", "attempt", "cancel_requested"]
        jobs = persist(self._world.engine, "check_jobs", {"job_ids": list(self._ids), "fields": fields}, USER)["jobs"]
        assert len(jobs) == len(self._ids)
        return [self._fate(job) for job in jobs.values()]

    def _fate(self, job: Any) -> Fate:
        _check_history(job)
        trace = self._trace(job["job_id"])
        assert "overlap" not in trace, f"two attempts of {job['job_id']} ran at the same time: {trace}"
        begins = [line.partition(" ")[2] for line in trace.splitlines() if line.startswith("begin ")]
        assert len(begins) == len(set(begins)), f"an attempt of {job['job_id']} ran twice: {trace}"
        if job["status"] == "completed":
            tag = f"ee.{job['job_id']}.{job['attempt']}"
            assert begins[-1:] == [tag], (trace, job)
            assert trace.splitlines()[-1] == f"end {tag}", (trace, job)
            (result,) = job["output"]
            assert result["job"] == job["job_id"]
            self._check_log(job, result["lines"])
        cause = f" {job['cause']['code']}" if "cause" in job else ""
        return Fate(self._ids[job["job_id"]], job["status"] + cause, len(begins))

    def _check_log(self, job: Any, lines: int) -> None:
        """Each attempt's lines are there in order and without gap; of the last one, all."""
        asked = {"job_id": job["job_id"], "limit": 10_000}
        log = persist(self._world.engine, "get_logs", asked, USER)["lines"]
        assert [line["n"] for line in log] == list(range(len(log)))
        parts: list[dict[str, list[str]]] = [{"stdout": [], "stderr": []}]
        for line in log:
            if line["stream"] == "system" and line["line"].startswith("--- attempt "):
                parts.append({"stdout": [], "stderr": []})
            elif line["stream"] != "system":
                parts[-1][line["stream"]].append(line["line"])
        for part in parts:
            for stream, word in (("stdout", "out"), ("stderr", "err")):
                assert part[stream] == [f"{word} {n}" for n in range(len(part[stream]))], (job, log)
        assert {len(kept) for kept in parts[-1].values()} == {lines}, (job, log)

    def _submit(self, group: Group) -> None:
        params: dict[str, Any] = {"lines": LINES, "traces": str(self._folder)}
        if group != Group.COMING:
            params["gate"] = str(self._gate(group))
        job = {"method": "drill.count", "params": [params], "client_group": self.kind}
        asked = {"jobs": [job] * (1 + (group == Group.COMING)), "idempotency_key": f"{self._folder.name}-{group}"}
        self._ids |= dict.fromkeys(persist(self._world.engine, "run_jobs", asked, USER)["job_ids"], group)

    def _gate(self, group: Group) -> Any:
        return self._folder / f"{group.name.lower()}.gate"

    def _trace(self, job_id: str) -> str:
        file = self._folder / job_id
        return file.read_text() if file.exists() else ""


def _check_history(job: Any) -> None:
    """One beginning, one end and that at the end, each attempt started once at most."""
    events = Counter(entry["event"] for entry in job["history"])
    assert events["created"] == 1, job["history"]
    starts = [entry["attempt"] for entry in job["history"] if entry["event"] == "started"]
    assert len(starts) == len(set(starts)), job["history"]
    final = [entry["status"] for entry in job["history"] if entry.get("status") in FINAL]
    assert final == [job["status"]] == [job["history"][-1].get("status")], job["history"]
