"""Plays access_table.TABLE over HTTP: every method, everybody."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from execution_engine.app import contract
from execution_engine.rpc.kidl import parse
from test.acceptance.access_table import PEOPLE, TABLE, Outcome, Row, Subject
from test.acceptance.idle_jobs import IDLE, METHOD, Desk, Job, Runner
from test.acceptance.people import add_person, make_public
from test.conftest import Stack

ACCOUNTS = {
    "owner": "alice",
    "reader": "bob",
    "writer": "carol",
    "ws admin": "dave",
    "stranger": "eve",
    "public": "eve",
    "sharee": "frank",
    "read admin": "ruth",
    "admin": "admin",
}
RUNNERS = ("runner", "old runner", "other runner")
UNKNOWN_JOB, UNKNOWN_WORKSPACE = "f" * 24, 999_999
REASONS = {
    "permission_denied": Outcome.DENIED,
    "job_not_found": Outcome.UNKNOWN,
    "workspace_not_found": Outcome.UNKNOWN,
    "token_missing": Outcome.NO_TOKEN,
    "token_invalid": Outcome.NO_USER,
    "credential_invalid": Outcome.NO_RUNNER,
}
PUBLIC_FACTS = {"job_id", "user", "wsid", "method", "app_id", "status", "batch_id"} | {
    *("created", "estimating", "queued", "running", "finished", "updated")
}


class World:
    """Workspaces, people and jobs for the calls."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        for name in ("carol", "dave", "eve", "frank"):
            add_person(stack, name)
        add_person(stack, "ruth", "EE_ADMIN_RO")
        self.private = stack.new_workspace("alice", bob="r", carol="w", dave="a")
        self.public = stack.new_workspace("alice")
        make_public(stack, self.public, "alice")
        self.desk = Desk(stack)
        self.other = self.desk.running("alice")
        self._jobs: dict[tuple[Subject, int | None], Job] = {}

    def place(self, who: str, row: Row) -> int | None:
        """The workspace of the job that somebody's call is about."""
        if who == "sharee" or who in row.personal:
            return None
        return self.public if who == "public" else self.private

    def job(self, subject: Subject, wsid: int | None) -> Job:
        if subject == Subject.FRESH:
            return self._make(subject, wsid)
        if (subject, wsid) not in self._jobs:
            self._jobs[subject, wsid] = self._make(subject, wsid)
        return self._jobs[subject, wsid]

    def _make(self, subject: Subject, wsid: int | None) -> Job:
        make = self.desk.ended if subject == Subject.ENDED else self.desk.running
        if wsid is not None:
            return make("alice", wsid=wsid)
        job = make("alice")
        self.stack.call("share_job", {"job_id": job.id, "users": ["frank"]}, "alice")
        return job

    def authorization(self, who: str, job: Job, method: str) -> dict[str, str]:
        if who in ACCOUNTS:
            return {"Authorization": self.stack.token(ACCOUNTS[who])}
        if who not in RUNNERS:
            return {}
        runner = self.runner(who, job)
        return {"Authorization": runner.ticket if method == "start_job" else runner.credential}

    def runner(self, who: str, job: Job) -> Runner:
        return {"old runner": job.old, "other runner": self.other.runner}.get(who, job.runner)


def parameters(method: str, job_id: str, wsid: int, runner: Runner) -> dict[str, Any]:
    """A good call of the method about one job, or about one workspace."""
    attempt = {"job_id": job_id, "attempt": runner.attempt}
    return {
        "run_job": {"method": METHOD, "wsid": wsid},
        "run_jobs": {"jobs": [{"method": METHOD}], "wsid": wsid},
        "set_backend_state": {"backend": "local", "state": "up"},
        "set_route": {"method": "nobody.calls_this", "backends": ["local"]},
        "remove_route": {"method": "nobody.calls_this"},
        "set_limit": {"kind": "run_time", "method": "nobody.calls_this", "value": 1},
        "remove_limit": {"kind": "run_time", "method": "nobody.calls_this"},
        "list_jobs": {"scope": "workspace", "wsid": wsid},
        "share_job": {"job_id": job_id, "users": ["carol"]},
        "unshare_job": {"job_id": job_id, "users": ["frank"]},
        "start_job": attempt | {"runner": runner.name},
        "get_job_params": attempt,
        "heartbeat": attempt,
        "add_job_logs": attempt | {"lines": [{"line": "hello"}]},
        "finish_job": attempt | {"outcome": "completed", "output": []},
        **{key: {"job_id": job_id} for key in ("check_job", "get_logs", "get_report", "cancel_job")},
        **{key: {"job_ids": [job_id]} for key in ("retry_jobs", "check_jobs", "cancel_jobs", "hide_job", "unhide_job")},
    }.get(method, {})


def error_in(body: dict[str, Any], job_id: str) -> Any:
    """The reason of the call's error, or of its one job's."""
    if "error" in body:
        return body["error"]["data"]["reason"]
    result = body["result"]
    if isinstance(result, dict) and job_id in result.get("errors", {}):
        return result["errors"][job_id]["reason"]
    if isinstance(result, list) and "error" in result[0]:
        return result[0]["error"]["reason"]
    return None


def records_in(method: str, result: Any, job_id: str) -> list[dict[str, Any]]:
    """The records that a call of a look-up method shows of the job."""
    match method:
        case "check_job":
            return [result]
        case "check_jobs":
            return [result["jobs"][job_id]]
        case "list_jobs":
            return [job for job in result["jobs"] if job["job_id"] == job_id]
    return []


def outcome_of(method: str, body: dict[str, Any], job_id: str) -> Outcome:
    if reason := error_in(body, job_id):
        return REASONS[reason]
    records = records_in(method, body["result"], job_id)
    return Outcome.RECORD if records and all(record.keys() <= PUBLIC_FACTS for record in records) else Outcome.YES


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    stack = Stack(tmp_path_factory.mktemp("access"), IDLE)
    stack.start()
    try:
        yield World(stack)
    finally:
        stack.stop()


def test_every_method_is_in_the_table() -> None:
    assert list(TABLE) == list(parse(contract(), source="ExecutionEngine.spec").functions)
    assert {len(row.outcomes) for row in TABLE.values()} == {len(PEOPLE)}


@pytest.mark.parametrize("method", TABLE)
def test_access(world: World, method: str) -> None:
    row = TABLE[method]
    found = {who: play(world, method, row, who) for who in PEOPLE}
    assert found == dict(zip(PEOPLE, row.outcomes, strict=True))


def play(world: World, method: str, row: Row, who: str) -> Outcome:
    """One cell; where it says that there is no such thing, it must say so as of something that there never was."""
    wsid = world.place(who, row)
    job = world.job(row.subject, wsid)
    authorization = world.authorization(who, job, method)
    if method == "remove_route":
        world.stack.call("set_route", parameters("set_route", "", 0, job.runner), "admin")
    if method == "remove_limit":
        world.stack.call("set_limit", parameters("set_limit", "", 0, job.runner), "admin")
    about = wsid or world.private
    params = parameters(method, job.id, about, world.runner(who, job))
    body = call(world.stack, method, params, authorization)
    outcome = outcome_of(method, json.loads(body), job.id)
    if outcome == Outcome.UNKNOWN:
        nothing = parameters(method, UNKNOWN_JOB, UNKNOWN_WORKSPACE, world.runner(who, job))
        other = call(world.stack, method, nothing, authorization)
        assert named(body, job.id, about) == named(other, UNKNOWN_JOB, UNKNOWN_WORKSPACE)
    return outcome


def named(body: bytes, job_id: str, wsid: int) -> bytes:
    """The answer with names in place of the ids, which stand in it as words of their own."""
    return re.sub(rb"\b%d\b" % wsid, b"WORKSPACE", body.replace(job_id.encode(), b"JOB"))


def call(stack: Stack, method: str, params: dict[str, Any], headers: dict[str, str]) -> bytes:
    request = {"jsonrpc": "2.0", "id": "call", "method": f"ExecutionEngine.{method}", "params": params}
    return stack.session.post(stack.url, json=request, headers=headers, timeout=60).content


def test_an_old_runner_does_not_get_in_under_the_number_of_the_current_attempt(world: World) -> None:
    job = world.job(Subject.RUNNING, world.private)
    for method in ("get_job_params", "heartbeat", "add_job_logs", "finish_job"):
        params = parameters(method, job.id, world.private, job.runner)
        answer = world.stack.post(method, params, Authorization=job.old.credential)
        assert answer.error["data"]["reason"] == "credential_invalid"
    late = parameters("start_job", job.id, world.private, job.old) | {"attempt": job.runner.attempt}
    assert world.stack.post("start_job", late, Authorization=job.old.ticket).error["data"]["reason"] == (
        "credential_invalid"
    )


def test_two_runners_with_one_ticket(world: World) -> None:
    job = world.job(Subject.RUNNING, world.private)
    params = parameters("start_job", job.id, world.private, job.runner) | {"runner": "another-runner-1234"}
    answer = world.stack.post("start_job", params, Authorization=job.runner.ticket)
    assert answer.error["data"]["reason"] == "ticket_used"
