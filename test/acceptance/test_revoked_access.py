"""Sharing, and its end: whatever was revoked ends within the time that the settings state, everywhere."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from test.acceptance.people import accounts_of, add_person, set_permission
from test.conftest import Stack, wait_until
from test.resilience.network import Network, Weather

PROMISE_SECONDS = 1.5
"""Of tokens and of permissions, here; denials are believed for a fifth of it."""
SETTINGS = f"""
[execution_engine]
token-cache-seconds = {PROMISE_SECONDS}
permission-cache-seconds = {PROMISE_SECONDS}
denial-cache-seconds = {PROMISE_SECONDS / 5}
http-timeout-seconds = 3
workspace-url = http://127.0.0.1:%d/services/ws

[backend:local]
kind = local
cpus = 8
"""
PROCESSES = 8  # more calls than the web server has processes, each with what it remembers


@pytest.fixture(scope="module")
def network() -> Iterator[Network]:
    """Between the engine and the Workspace."""
    with Network().running() as network:
        yield network


@pytest.fixture(scope="module")
def shared(network: Network, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    stack = Stack(tmp_path_factory.mktemp("revoked"), SETTINGS % network.port)
    network.lead_to(stack.port)
    with ExitStack() as at_end:
        at_end.callback(stack.stop)
        stack.start()
        for name in ("carol", "dave", "eve"):
            add_person(stack, name)
        yield stack


def long_job(stack: Stack, seconds: float = 120, **params: Any) -> str:
    """A job of alice's that runs and writes."""
    asked = {"method": "sequence_tools.long_task", "params": [{"seconds": seconds, "lines_per_second": 20}], **params}
    job_id = str(stack.call("run_job", asked, "alice"))
    stack.wait_for(job_id, "running")
    wait_until(lambda: stack.call("get_logs", {"job_id": job_id}, "alice")["lines"])
    return job_id


def reason(stack: Stack, method: str, params: dict[str, Any], user: str) -> str:
    """Why the call is refused; ok if it is not."""
    body = stack.post(method, params, user).body
    return str(body["error"]["data"]["reason"]) if "error" in body else "ok"


def wait_out(since: float) -> None:
    """Until what was believed at ``since`` is believed no more."""
    time.sleep(max(0.0, since + PROMISE_SECONDS - time.monotonic()))


class Follower:
    """Polls a log as a page in a browser does; notes when it last asked and was answered."""

    def __init__(self, stack: Stack, job_id: str, user: str) -> None:
        self._stack, self._job_id, self._token = stack, job_id, stack.token(user)
        self.lines, self.last_answered, self.refused = 0, 0.0, ""
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self.refused:
            began = time.monotonic()
            asked = {"job_id": self._job_id, "skip": self.lines}
            body = self._stack.post("get_logs", asked, Authorization=self._token).body
            if "error" in body:
                self.refused = body["error"]["data"]["reason"]
            else:
                self.lines, self.last_answered = body["result"]["next_line"], began
            time.sleep(0.05)

    def end(self) -> None:
        self._thread.join(30)
        assert self.refused


def follow_as(stack: Stack, job_id: str, user: str) -> subprocess.Popen[str]:
    """`execution-engine logs --follow`, as somebody has it open in a terminal."""
    command = [sys.executable, "-m", "execution_engine.cli.main", "logs", job_id, "--follow", "--json"]
    environment = {**os.environ, "EE_URL": stack.url, "EE_TOKEN": stack.token(user)}
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)


def views(job_id: str, wsid: int, with_report: str) -> list[tuple[str, dict[str, Any], str]]:
    """Every way to look at a narrative's jobs, and how each says that there is nothing."""
    return [
        ("check_job", {"job_id": job_id}, "job_not_found"),
        ("get_logs", {"job_id": job_id}, "job_not_found"),
        ("get_report", {"job_id": with_report}, "job_not_found"),
        ("cancel_job", {"job_id": job_id}, "job_not_found"),
        ("list_jobs", {"scope": "workspace", "wsid": wsid}, "workspace_not_found"),
    ]


def test_a_narrative_is_shared_and_the_sharing_ends(shared: Stack) -> None:  # noqa: PLR0915  a story
    narrative = shared.new_workspace("alice")
    done = str(
        shared.call(
            "run_job",
            {"method": "sequence_tools.assembly_stats", "wsid": narrative, "params": [{"sequence": "NC_005816"}]},
            "alice",
        )
    )
    shared.wait_for(done, "completed")
    watched, to_cancel = long_job(shared, wsid=narrative), long_job(shared, wsid=narrative)
    looks = views(watched, narrative, done)

    def sees_nothing(user: str) -> None:
        found = shared.call("check_jobs", {"job_ids": [watched, to_cancel, done]}, user)
        assert found["jobs"] == {}
        assert {error["reason"] for error in found["errors"].values()} == {"job_not_found"}
        for method, params, refusal in looks:
            assert reason(shared, method, params, user) == refusal

    sees_nothing("bob")
    sees_nothing("eve")

    set_permission(shared, narrative, "alice", "bob", "r")
    wait_until(lambda: reason(shared, "check_job", {"job_id": watched}, "bob") == "ok", 10)
    record = wait_until(lambda: _found(shared, watched, "bob"), 10)
    assert (record["status"], record["user"]) == ("running", "alice")
    assert shared.call("get_logs", {"job_id": watched}, "bob")["lines"][0]["line"].startswith("line 1 of")
    assert "contigs" in shared.call("get_report", {"job_id": done}, "bob")["reports"][0]["text"].lower()
    assert reason(shared, "cancel_job", {"job_id": watched}, "bob") == "permission_denied"
    sees_nothing("eve")

    set_permission(shared, narrative, "alice", "bob", "w")
    wait_until(lambda: reason(shared, "cancel_job", {"job_id": to_cancel, "reason": "it is enough"}, "bob") == "ok", 10)
    cancelled = shared.wait_for(to_cancel, "terminated", user="bob")
    (entry,) = [entry for entry in cancelled["history"] if entry["event"] == "cancel_requested"]
    assert (entry["actor"], entry["role"], entry["note"]) == ("bob", "workspace_write", "it is enough")

    pages = {"scope": "workspace", "wsid": narrative, "limit": 1}
    cursor = shared.call("list_jobs", pages, "bob")["next_cursor"]
    page, terminal = Follower(shared, watched, "bob"), follow_as(shared, watched, "bob")
    wait_until(lambda: page.lines, 30)
    assert terminal.stdout is not None
    assert "line 1 of" in terminal.stdout.readline()

    set_permission(shared, narrative, "alice", "bob", "n")
    revoked = time.monotonic()
    wait_out(revoked)
    for _ in range(PROCESSES):
        sees_nothing("bob")
        assert reason(shared, "list_jobs", pages | {"cursor": cursor}, "bob") == "workspace_not_found"
    page.end()
    assert page.refused == "job_not_found"
    assert page.last_answered <= revoked + PROMISE_SECONDS
    _, complaint = terminal.communicate(timeout=30)
    assert terminal.returncode == 4
    assert "There is no job" in complaint
    sees_nothing("eve")

    shared.call("get_logs", {"job_id": watched}, "admin")
    shared.call("cancel_job", {"job_id": watched, "reason": "the story ends"}, "admin")
    assert acts(shared, job_id=to_cancel) == [
        ("submit", "alice", "workspace_admin", None),
        ("cancel", "bob", "workspace_write", "it is enough"),
    ]
    assert acts(shared, job_id=watched) == [
        ("submit", "alice", "workspace_admin", None),
        ("read_log", "admin", "admin", None),
        ("cancel", "admin", "admin", "the story ends"),
    ]
    assert acts(shared, actor="eve") == []
    entries = shared.call("list_audit", {"job_id": watched}, "admin")["entries"]
    assert len({entry["request_id"] for entry in entries}) == len(entries)
    assert reason(shared, "list_audit", {"job_id": watched}, "alice") == "permission_denied"


def _found(stack: Stack, job_id: str, user: str) -> Any:
    return stack.post("check_job", {"job_id": job_id}, user).body.get("result")


def acts(stack: Stack, **filters: str) -> list[tuple[str, str, str, str | None]]:
    """What the audit tells an administrator, oldest first."""
    entries = stack.call("list_audit", filters, "admin")["entries"]
    return [(entry["act"], entry["actor"], entry["role"], entry.get("reason")) for entry in reversed(entries)]


def test_a_shared_list_ends_between_two_of_its_pages(shared: Stack) -> None:
    narrative = shared.new_workspace("alice", carol="r")
    for _ in range(3):
        shared.call("run_job", {"method": "sequence_tools.count_kmers", "wsid": narrative}, "alice")
    pages = {"scope": "shared", "limit": 1}
    first = wait_until(lambda: _some(shared.call("list_jobs", pages, "carol")), 10)
    assert first["jobs"][0]["wsid"] == narrative
    set_permission(shared, narrative, "alice", "carol", "n")
    wait_out(time.monotonic())
    for _ in range(PROCESSES):
        second = shared.call("list_jobs", pages | {"cursor": first["next_cursor"]}, "carol")
        assert (second["jobs"], "next_cursor" in second) == ([], False)


def _some(page: dict[str, Any]) -> Any:
    return page if page["jobs"] else None


def test_a_share_by_name_ends_at_once(shared: Stack) -> None:
    job_id = long_job(shared)
    shared.call("share_job", {"job_id": job_id, "users": ["bob"]}, "alice")
    follower = Follower(shared, job_id, "bob")
    wait_until(lambda: follower.lines, 30)
    asked = {"scope": "shared", "job_id": job_id}
    assert [job["job_id"] for job in shared.call("list_jobs", asked, "bob")["jobs"]] == [job_id]
    shared.call("unshare_job", {"job_id": job_id, "users": ["bob"]}, "alice")
    ended = time.monotonic()
    assert reason(shared, "check_job", {"job_id": job_id}, "bob") == "job_not_found"
    assert shared.call("list_jobs", asked, "bob")["jobs"] == []
    follower.end()
    assert follower.last_answered <= ended
    shared.call("cancel_job", {"job_id": job_id}, "alice")


def logged_out(stack: Stack) -> None:
    accounts_of(stack).remove_tokens("dave")


def disabled(stack: Stack) -> None:
    accounts_of(stack)._users.update_one({"_id": "dave"}, {"$set": {"disabled": True}})


@pytest.mark.parametrize("end", [logged_out, disabled])
def test_a_token_that_is_revoked_opens_nothing(shared: Stack, end: Callable[[Stack], None]) -> None:
    add_person(shared, "dave")
    job_id = long_job(shared)
    shared.call("share_job", {"job_id": job_id, "users": ["dave"]}, "alice")
    follower = Follower(shared, job_id, "dave")
    wait_until(lambda: follower.lines, 30)
    end(shared)
    ended = time.monotonic()
    wait_out(ended)
    for _ in range(PROCESSES):
        assert shared.post("whoami", {}, "dave").error["code"] == -32400
    follower.end()
    assert follower.last_answered <= ended + PROMISE_SECONDS
    accounts_of(shared)._users.update_one({"_id": "dave"}, {"$set": {"disabled": False}})
    shared.call("cancel_job", {"job_id": job_id}, "alice")


def test_who_is_no_administrator_any_more_sees_like_anybody(shared: Stack) -> None:
    add_person(shared, "ruth", "EE_ADMIN_RO")
    job_id = str(shared.call("run_job", {"method": "sequence_tools.count_kmers"}, "alice"))
    assert reason(shared, "check_job", {"job_id": job_id}, "ruth") == "ok"
    accounts_of(shared)._users.update_one({"_id": "ruth"}, {"$set": {"custom_roles": []}})
    wait_out(time.monotonic())
    for _ in range(PROCESSES):
        assert reason(shared, "check_job", {"job_id": job_id}, "ruth") == "job_not_found"
        assert reason(shared, "list_audit", {}, "ruth") == "permission_denied"


def test_while_the_workspace_is_down_owners_go_on_and_others_are_told(shared: Stack, network: Network) -> None:
    narrative = shared.new_workspace("alice", bob="w")
    job_id, own = (
        long_job(shared, wsid=narrative),
        str(shared.call("run_job", {"method": "sequence_tools.count_kmers"}, "bob")),
    )
    wait_until(lambda: reason(shared, "check_job", {"job_id": job_id}, "bob") == "ok", 10)
    network.change(Weather.REFUSING)
    try:
        wait_out(time.monotonic())
        for method in ("check_job", "get_logs", "cancel_job", "get_report"):
            assert reason(shared, method, {"job_id": job_id}, "bob") == "workspace_unavailable"
        for params in ({"scope": "workspace", "wsid": narrative}, {"scope": "shared"}):
            assert reason(shared, "list_jobs", params, "bob") == "workspace_unavailable"
        assert reason(shared, "run_job", {"method": "sequence_tools.count_kmers", "wsid": narrative}, "alice") == (
            "workspace_unavailable"
        )
        mixed = shared.call("check_jobs", {"job_ids": [job_id, own]}, "bob")
        assert (list(mixed["jobs"]), mixed["errors"][job_id]["reason"]) == ([own], "workspace_unavailable")
        for method in ("check_job", "get_logs"):
            assert reason(shared, method, {"job_id": job_id}, "alice") == "ok"
            assert reason(shared, method, {"job_id": job_id}, "admin") == "ok"
        assert reason(shared, "list_jobs", {}, "alice") == "ok"
        assert shared.call("cancel_job", {"job_id": job_id}, "alice")["cancelled"] == 1
    finally:
        network.change(Weather.FAIR)
    wait_until(lambda: reason(shared, "check_job", {"job_id": job_id}, "bob") == "ok", 10)
