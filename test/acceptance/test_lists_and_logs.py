"""Looking back: pages of jobs, parts of logs."""

from typing import Any

import pytest

from test.acceptance.conftest import finished
from test.conftest import Stack, wait_until


@pytest.fixture(scope="module")
def seven(drills: Stack) -> tuple[int, list[str]]:
    """A workspace with seven ended jobs, oldest first; every second one has failed."""
    wsid = drills.new_workspace("alice")
    methods = [
        {"method": "drill.fail", "params": [{"message": "No."}]}
        if n % 2
        else {"method": "drill.count", "app_id": "a/b"}
        for n in range(7)
    ]
    ids = [drills.call("run_job", {**method, "wsid": wsid}, "alice") for method in methods]
    for job_id in ids:
        drills.wait_for(job_id)
    return wsid, ids


def pages(stack: Stack, user: str = "alice", **asked: Any) -> list[list[str]]:
    """The ids on each page."""
    found = []
    while True:
        page = stack.call("list_jobs", asked, user)
        found.append([job["job_id"] for job in page["jobs"]])
        if "next_cursor" not in page:
            return found
        asked["cursor"] = page["next_cursor"]


@pytest.mark.parametrize("scope", ["mine", "workspace"])
def test_pages_follow_each_other_in_both_directions(drills: Stack, seven: tuple[int, list[str]], scope: str) -> None:
    wsid, ids = seven
    newest_first = pages(drills, wsid=wsid, scope=scope, limit=3)
    assert newest_first == [ids[:3:-1], ids[3:0:-1], ids[:1]]
    assert pages(drills, wsid=wsid, scope=scope, limit=3, order="asc") == [ids[:3], ids[3:6], ids[6:]]


def test_pages_by_the_time_of_the_end(drills: Stack, seven: tuple[int, list[str]]) -> None:
    wsid, ids = seven
    jobs = drills.call("check_jobs", {"job_ids": ids, "fields": ["finished"]}, "alice")["jobs"]
    ended = sorted(ids, key=lambda job_id: (jobs[job_id]["finished"], job_id))
    found = pages(drills, wsid=wsid, sort="finished", order="asc", limit=2)
    assert [job_id for page in found for job_id in page] == ended


def test_only_those_that_are_asked_for(drills: Stack, seven: tuple[int, list[str]]) -> None:
    wsid, ids = seven
    failed = ids[1::2]
    assert pages(drills, wsid=wsid, status=["error"], order="asc") == [failed]
    assert pages(drills, wsid=wsid, method="drill.fail", order="asc") == [failed]
    assert pages(drills, wsid=wsid, app_id="a/b", order="asc") == [ids[::2]]
    since = drills.call("check_job", {"job_id": ids[3], "fields": ["created"]}, "alice")["created"]
    assert pages(drills, wsid=wsid, created_from=since, order="asc") == [ids[3:]]
    assert pages(drills, wsid=wsid, created_to=since, order="asc") == [ids[:3]]


def test_only_the_fields_that_are_asked_for(drills: Stack, seven: tuple[int, list[str]]) -> None:
    wsid, ids = seven
    (job,) = drills.call("list_jobs", {"wsid": wsid, "limit": 1, "fields": ["status", "user"]}, "alice")["jobs"]
    assert job == {"job_id": ids[-1], "status": "completed", "user": "alice"}
    (job,) = drills.call("list_jobs", {"wsid": wsid, "limit": 1}, "alice")["jobs"]
    assert "params" not in job
    assert "output" not in job


def test_a_cursor_belongs_to_its_list(drills: Stack, seven: tuple[int, list[str]]) -> None:
    wsid, _ = seven
    cursor = drills.call("list_jobs", {"wsid": wsid, "limit": 2}, "alice")["next_cursor"]
    answer = drills.post("list_jobs", {"wsid": wsid, "limit": 2, "status": ["error"], "cursor": cursor}, "alice")
    assert answer.error["code"] == -32602
    assert "params.cursor" in answer.error["message"]


def test_parts_of_a_log(drills: Stack) -> None:
    job_id = finished(drills, "drill.count", {"lines": 3})["job_id"]

    def log(**asked: Any) -> Any:
        return drills.call("get_logs", {"job_id": job_id, **asked}, "alice")

    whole = log()
    assert [line["n"] for line in whole["lines"]] == list(range(6))
    assert (whole["next_line"], whole["total_lines"], whole["ended"]) == (6, 6, 1)
    assert {(line["stream"], line["line"]) for line in whole["lines"]} == {
        *(("stdout", f"out {n}") for n in range(3)),
        *(("stderr", f"err {n}") for n in range(3)),
    }
    middle = log(skip=2, limit=3)
    assert (middle["lines"], middle["next_line"]) == (whole["lines"][2:5], 5)
    assert log(tail=2)["lines"] == whole["lines"][4:]
    assert log(tail=100)["lines"] == whole["lines"]
    assert log(skip=6) == whole | {"lines": []}
    last = whole["lines"][-1]["ts"]
    assert log(since=last)["lines"] == [line for line in whole["lines"] if line["ts"] >= last]
    assert log(since=last + 1)["lines"] == []


def test_a_log_grows_while_the_job_runs(drills: Stack) -> None:
    gate = drills.folder / "growing.gate"
    job_id = drills.call("run_job", {"method": "drill.count", "params": [{"gate": str(gate)}]}, "alice")
    seen = 0

    def more() -> bool:
        piece = drills.call("get_logs", {"job_id": job_id, "skip": seen}, "alice")
        assert piece["ended"] == 0
        return bool(piece["next_line"] > seen)

    wait_until(more, what="first lines")
    seen = drills.call("get_logs", {"job_id": job_id}, "alice")["next_line"]
    wait_until(more, what="further lines")
    gate.touch()
    (result,) = drills.wait_for(job_id)["output"]
    log = drills.call("get_logs", {"job_id": job_id}, "alice")
    assert (log["total_lines"], log["ended"]) == (2 * result["lines"], 1)
