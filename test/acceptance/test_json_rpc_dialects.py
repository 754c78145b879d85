"""The same calls in JSON-RPC 1.1, as KBase's clients speak it, and in 2.0, as everybody else does."""

from typing import Any

import pytest

from test.acceptance.conftest import finished
from test.conftest import Stack


@pytest.fixture(scope="module")
def job_id(drills: Stack) -> str:
    return str(finished(drills, "drill.count", {"lines": 1})["job_id"])


def send(stack: Stack, body: Any, user: str | None = "alice", content_type: str | None = None) -> Any:
    headers = {"Authorization": stack.token(user)} if user else {}
    if content_type:
        headers["Content-Type"] = content_type
    return stack.session.post(stack.url, json=body, headers=headers, timeout=30)


def test_1_1_wraps_the_result_into_an_array(drills: Stack, job_id: str) -> None:
    params = [{"job_id": job_id, "fields": ["status"]}]
    answer = send(drills, {"version": "1.1", "id": "7", "method": "ExecutionEngine.check_job", "params": params})
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "application/json")
    assert answer.json() == {"version": "1.1", "id": "7", "result": [{"job_id": job_id, "status": "completed"}]}


def test_1_1_answers_errors_with_http_500_and_no_other_keys(drills: Stack) -> None:
    body = {"version": "1.1", "id": "7", "method": "ExecutionEngine.check_job", "params": [{"job_id": "0" * 24}]}
    answer = send(drills, body)
    assert (answer.status_code, answer.headers["Content-Type"]) == (500, "application/json")
    error = {
        "name": "JSONRPCError",
        "code": -32100,
        "message": f"There is no job {'0' * 24}, or you may not read it.",
        "error": None,
    }
    assert answer.json() == {"version": "1.1", "id": "7", "error": error}


def test_the_content_type_of_a_request_does_not_matter(drills: Stack) -> None:
    body = {"version": "1.1", "id": "7", "method": "ExecutionEngine.ver", "params": []}
    for content_type in ("text/plain", "application/x-www-form-urlencoded"):
        assert "result" in send(drills, body, None, content_type).json()


def test_2_0_gives_the_bare_result(drills: Stack, job_id: str) -> None:
    params = {"job_id": job_id, "fields": ["status"]}
    answer = send(drills, {"jsonrpc": "2.0", "id": 7, "method": "ExecutionEngine.check_job", "params": params})
    assert answer.json() == {"jsonrpc": "2.0", "id": 7, "result": {"job_id": job_id, "status": "completed"}}


def test_2_0_answers_errors_with_http_200_and_a_reason(drills: Stack) -> None:
    params = {"job_id": "0" * 24}
    answer = send(drills, {"jsonrpc": "2.0", "id": None, "method": "ExecutionEngine.check_job", "params": params})
    assert answer.status_code == 200
    assert answer.json() == {
        "jsonrpc": "2.0",
        "id": None,
        "error": {
            "code": -32100,
            "message": f"There is no job {'0' * 24}, or you may not read it.",
            "data": {"reason": "job_not_found"},
        },
    }


def test_2_0_takes_several_calls_at_once(drills: Stack, job_id: str) -> None:
    calls = [
        {
            "jsonrpc": "2.0",
            "id": "a",
            "method": "ExecutionEngine.check_job",
            "params": {"job_id": job_id, "fields": []},
        },
        {"jsonrpc": "2.0", "method": "ExecutionEngine.ver"},
        {"jsonrpc": "2.0", "id": "b", "method": "ExecutionEngine.no_such_thing"},
        {"jsonrpc": "2.0", "id": "c", "method": "ExecutionEngine.whoami"},
    ]
    answers = {answer["id"]: answer for answer in send(drills, calls).json()}
    assert answers.keys() == {"a", "b", "c"}  # the second wants no answer
    assert answers["a"]["result"] == {"job_id": job_id}
    assert answers["b"]["error"]["code"] == -32601
    assert answers["c"]["result"]["user"] == "alice"


def test_a_batch_of_more_than_a_hundred_calls_is_refused(drills: Stack) -> None:
    calls = [{"jsonrpc": "2.0", "id": n, "method": "ExecutionEngine.ver"} for n in range(101)]
    assert send(drills, calls).json()["error"]["message"] == "A batch holds 1 to 100 calls, found 101."
