"""A flood of one user, a single job of another, and an administrator who drains the backend."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from execution_engine.embedded.services import DATABASE_NAME as EMBEDDED
from test.apps.registration import register_test_apps
from test.conftest import Stack
from test.conftest import wait_until as wait

CORES, AHEAD, FLOOD = 2, 4, 16


def wait_until(condition: Callable[[], Any]) -> Any:
    """With patience for a machine that has other things to do."""
    return wait(condition, 120)


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """An engine of our own: to drain the backend of the shared one would hold up its other guests."""
    stack = Stack(tmp_path_factory.mktemp("queue"), f"[backend:local]\nkind = local\ncpus = {CORES}\n")
    stack.start()
    register_test_apps(stack.data)
    try:
        yield stack
    finally:
        stack.stop()


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[Path]:
    """What lets the jobs of a test end; they do, whatever becomes of the test."""
    yield tmp_path / "gate"
    (tmp_path / "gate").touch()


def job_until(gate: Path) -> dict[str, Any]:
    return {"method": "drill.count", "params": [{"gate": str(gate)}], "requirements": {"cpus": 1, "memory_mb": 16}}


def look(stack: Stack, job_id: str, user: str) -> Any:
    return stack.call("check_job", {"job_id": job_id, "fields": ["status", "hold", "queue"]}, user)


def test_a_single_job_stands_before_a_flood_and_waits_while_the_backend_is_drained(own: Stack, gate: Path) -> None:
    flood = own.call("run_jobs", {"jobs": [job_until(gate)] * FLOOD}, "alice")["job_ids"]
    full = wait_until(
        lambda: (found := own.call("get_queue", {}, "alice"))["running"] == CORES and found["inside"] == AHEAD and found
    )
    assert full["waiting"] == FLOOD - CORES - AHEAD
    assert "people" not in full
    single = own.call("run_job", job_until(gate), "bob")
    bobs = wait_until(lambda: look(own, single, "bob").get("queue"))
    assert (bobs["position"], bobs["inside_ahead"], bobs["users_ahead"], bobs["own_ahead"]) == (AHEAD + 1, AHEAD, 1, 0)
    assert "forecast" in bobs or "Too few jobs" in bobs["no_forecast"]
    last = wait_until(
        lambda: (found := look(own, flood[-1], "alice").get("queue"))["position"] > FLOOD - CORES and found
    )
    assert (last["position"], last["users_ahead"]) == (FLOOD - CORES + 1, 1)
    # Each web process has looks of its own, a second old at most.
    wait_until(lambda: {it["user"] for it in own.call("get_queue", {}, "admin")["people"]} == {"alice", "bob"})
    wait_until(lambda: [it["user"] for it in own.call("get_usage", {}, "bob")["mine"]] == ["bob"])
    (group,) = own.call("get_resources", {}, "bob")["groups"]
    assert (group["state"], group["capacity"]["slots_total"], group["running"]) == ("up", CORES, CORES)

    drained = {"backend": "local", "state": "draining", "reason": "new disks"}
    assert own.post("set_backend_state", drained, "bob").error["data"]["reason"] == "permission_denied"
    assert own.call("set_backend_state", drained, "admin")["by"] == "admin"
    hold = look(own, single, "bob")["hold"]
    assert hold["code"] == "backend_draining"
    assert hold["message"].endswith("by admin: new disks.")
    wait_until(lambda: own.call("status")["dependencies"]["backend local"]["state"] == "draining")
    # The dispatcher has the word within two seconds; what the backend has goes on to its end, and no more comes.
    wait_until(lambda: own.call("get_resources", {}, "admin")["backends"][0]["state"] == "draining")
    pause(own)
    gate.touch()
    wait_until(lambda: (found := own.call("get_queue", {}, "bob"))["running"] + found["inside"] == 0)
    assert look(own, single, "bob")["status"] == "created"
    wait_until(lambda: own.call("get_queue", {}, "bob").get("closed", {}).get("code") == "backend_draining")

    own.call("set_backend_state", {"backend": "local", "state": "up"}, "admin")
    assert own.wait_for(single, user="bob", seconds=120)["status"] == "completed"
    assert own.wait_for(flood[-1], seconds=120)["status"] == "completed"
    for job_id in flood:
        own.wait_for(job_id, seconds=120)

    def told() -> list[str]:
        return sorted(run["job_id"] for run in own.database().client[EMBEDDED].catalog_runs.find())

    wait_until(lambda: len(told()) >= FLOOD + 1)
    assert told() == sorted([*flood, single]), "each run once"
    entries = own.call("list_audit", {"act": "set_backend_state"}, "admin")["entries"]
    assert [entry["after"]["state"] for entry in entries] == ["up", "draining"]
    assert {entry["subject"] for entry in entries} == {"backend local"}


def pause(stack: Stack) -> None:
    """Until the dispatcher has surely read the administrators' wishes again: it reports each backend after that."""
    reported = lambda: stack.call("get_resources", {}, "admin")["backends"][0]["reported"]  # noqa: E731
    first = reported()
    wait_until(lambda: reported() > first)
