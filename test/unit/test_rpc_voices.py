import json
from typing import Any

import pytest

from execution_engine.core.errors import JobNotFound, LogGap
from execution_engine.rpc.envelope import Request, read_request
from execution_engine.rpc.voices import Answer, NativeVoice

voice = NativeVoice()


def read(**message: Any) -> Request:
    return read_request(message)


@pytest.mark.parametrize("id_", ["1", "17", 17, 1.5, None, "\ud800"])
def test_the_id_is_echoed_as_it_came(id_: Any) -> None:
    answer = voice.success(read(version="1.1", method="f", id=id_), 1)

    assert answer.body is not None
    assert answer.body["id"] == id_
    assert type(answer.body["id"]) is type(id_)


def test_1_1_wraps_one_value_into_an_array() -> None:
    request = read(version="1.1", method="f", id="7", params=[])

    assert voice.success(request, {"a": 1}) == Answer(200, {"version": "1.1", "id": "7", "result": [{"a": 1}]})
    assert voice.success(request, []) == Answer(200, {"version": "1.1", "id": "7", "result": [[]]})
    assert voice.success(request, 0) == Answer(200, {"version": "1.1", "id": "7", "result": [0]})


def test_1_1_answers_null_for_a_method_without_result() -> None:
    assert voice.success(read(method="f", id="7"), None) == Answer(200, {"version": "1.1", "id": "7", "result": None})


def test_1_1_errors_have_exactly_the_keys_that_kbases_clients_take() -> None:
    status, body = voice.failure(read(method="f", id="7"), JobNotFound("No such job."))

    assert status == 500
    error = {"name": "JSONRPCError", "code": -32100, "message": "No such job.", "error": None}
    assert body == {"version": "1.1", "id": "7", "error": error}


def test_1_1_puts_details_of_an_error_into_its_text() -> None:
    _, body = voice.failure(read(method="f", id="7"), LogGap(next_line=5))

    assert body is not None
    assert set(body["error"]) == {"name", "code", "message", "error"}
    assert json.loads(body["error"]["error"]) == {"reason": "log_gap", "next_line": 5}


def test_2_0_answers_bare_values_with_200() -> None:
    request = read(jsonrpc="2.0", method="f", id=1)

    assert voice.success(request, [1]) == Answer(200, {"jsonrpc": "2.0", "id": 1, "result": [1]})
    assert voice.success(request, None) == Answer(200, {"jsonrpc": "2.0", "id": 1, "result": None})


def test_2_0_errors_carry_their_reason_and_details() -> None:
    status, body = voice.failure(read(jsonrpc="2.0", method="f", id=1), LogGap("A gap.", next_line=5))

    assert status == 200
    error = {"code": -32120, "message": "A gap.", "data": {"reason": "log_gap", "next_line": 5}}
    assert body == {"jsonrpc": "2.0", "id": 1, "error": error}


def test_2_0_notifications_are_not_answered() -> None:
    request = read(jsonrpc="2.0", method="f")

    assert voice.success(request, 1) == Answer(204, None)
    assert voice.failure(request, JobNotFound()) == Answer(204, None)


def test_2_0_with_the_id_null_is_a_call_and_not_a_notification() -> None:
    assert voice.success(read(jsonrpc="2.0", method="f", id=None), 1).status == 200


def test_1_1_without_id_is_answered() -> None:
    assert read(method="f").answered
    assert voice.success(read(method="f"), 1) == Answer(200, {"version": "1.1", "id": None, "result": [1]})


@pytest.mark.parametrize(
    ("message", "version", "id_", "fault"),
    [
        ([], "1.1", None, "expected an object with method, params and id, found an array of 0 items"),
        ("f", "1.1", None, "expected an object with method, params and id, found 'f'"),
        ({}, "1.1", None, "method: missing"),
        ({"id": 3}, "1.1", 3, "method: missing"),
        ({"jsonrpc": "2.0", "id": 3}, "2.0", 3, "method: missing"),
        ({"method": 5, "id": 3}, "1.1", 3, "method: expected a string, found 5"),
        ({"method": "f", "id": {}}, "1.1", None, "id: expected a string or a number, found an object"),
        ({"jsonrpc": "2.0", "id": [1]}, "2.0", None, "id: expected a string or a number, found an array of 1 item"),
        ({"jsonrpc": 2, "method": "f", "id": 3}, "2.0", 3, "jsonrpc: expected '2.0', found 2"),
        ({"jsonrpc": "1.0", "method": "f"}, "2.0", None, "jsonrpc: expected '2.0', found '1.0'"),
    ],
)
def test_what_is_no_request_says_why_and_still_gets_an_answer(message: Any, version: str, id_: Any, fault: str) -> None:
    request = read_request(message)

    assert (request.version, request.id, request.fault) == (version, id_, fault)
    assert request.answered


def test_a_request_is_read_whatever_else_stands_in_it() -> None:
    request = read(version="1.0", method="M.f", params=[1], id="x", context={"call_stack": []}, more=1)

    assert request == Request("1.1", "x", answered=True, method="M.f", params=[1])
