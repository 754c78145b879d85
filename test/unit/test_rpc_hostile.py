"""Requests generated from the contract, and broken: each gets an answer of the right form, and none gets through."""

import io
import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hostile_requests import broken, junk, parameters
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from execution_engine.core.errors import InvalidParams, all_errors
from execution_engine.rpc.kidl import parse_file
from execution_engine.rpc.model import Function, Structure
from execution_engine.rpc.registry import Access, Policy, Registry
from execution_engine.rpc.schema import DRAFT, parameter_schema
from execution_engine.rpc.validation import Check, check_text
from execution_engine.rpc.voices import NativeVoice
from execution_engine.rpc.wsgi import RpcApplication

MODULE = parse_file(Path(__file__).parents[2] / "spec" / "ExecutionEngine.spec")
FUNCTIONS = list(MODULE.functions.values())
CHECKS = {function.name: Check(parameter_schema(function, Policy()), "params") for function in FUNCTIONS}
ORACLES = {
    function.name: jsonschema.Draft4Validator({"$schema": DRAFT, **parameter_schema(function, Policy())})
    for function in FUNCTIONS
}
CODES = {error.code for error in all_errors()} - {-32603}

generated = settings(
    max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much]
)


@st.composite
def calls(draw: st.DrawFn, *, wrong: bool) -> tuple[Function, Any]:
    function = draw(st.sampled_from(FUNCTIONS))
    if wrong:
        return function, draw(broken(parameters(function)))
    return function, draw(parameters(function))


def application() -> tuple[RpcApplication, list[str]]:
    """The native module with handlers that only note that they were reached."""
    reached: list[str] = []
    registry = Registry(MODULE, Policy(), NativeVoice())
    for name, function in MODULE.functions.items():
        rule = Access("anyone", "Everybody.", lambda _: None, function.authentication)
        registry.add(name, lambda _, __, name=name: reached.append(name), rule)
    return RpcApplication({"/rpc": registry}, lambda _, __: []), reached


APPLICATION, REACHED = application()


def post(body: bytes) -> tuple[str, bytes]:
    """Status and body of the answer; its headers are checked on the way."""
    status: list[str] = []

    def start_response(line: str, headers: list[tuple[str, str]]) -> None:
        status.append(line)
        assert dict(headers)["Content-Type"] == "application/json"

    environ = {"PATH_INFO": "/rpc", "REQUEST_METHOD": "POST", "CONTENT_LENGTH": str(len(body))}
    chunks = APPLICATION({**environ, "wsgi.input": io.BytesIO(body)}, start_response)
    return status[0], b"".join(chunks)


def check_answer(status: str, body: bytes) -> None:
    """An answer in the form of its version, and no unforeseen failure."""
    if status.startswith("204"):
        assert body == b""
        return
    answer = json.loads(body)
    for one in answer if isinstance(answer, list) else [answer]:
        if "error" in one:
            assert one["error"]["code"] in CODES, one
            assert len(one["error"]["message"]) < 1000
            keys = {"code", "message", "data"} if "jsonrpc" in one else {"name", "code", "message", "error"}
            assert set(one["error"]) == keys
            assert status.startswith("200" if "jsonrpc" in one else "500")
        else:
            assert "result" in one
            assert status.startswith("200")


def complaint(function: Function, params: Any) -> str:
    """What our check says of parameters; nothing, if they are right."""
    try:
        CHECKS[function.name](params)
    except InvalidParams as error:
        return error.message
    return ""


def storable(function: Function, params: Any) -> bool:
    """Whether all text in the parameters can be kept."""
    try:
        check_text(params, function.parameters[0].type if function.parameters else Structure(()), "params")
    except InvalidParams:
        return False
    return True


@generated
@given(calls(wrong=False))
def test_what_the_contract_allows_passes(call: tuple[Function, Any]) -> None:
    function, params = call

    CHECKS[function.name](params)

    assert ORACLES[function.name].is_valid(params)


@generated
@given(calls(wrong=True))
def test_the_check_agrees_with_the_reference_implementation(call: tuple[Function, Any]) -> None:
    function, params = call

    message = complaint(function, params)

    assert (message == "") == ORACLES[function.name].is_valid(params)
    assert message == "" or message.startswith("params")
    assert len(message) < 1000


@generated
@given(calls(wrong=True), st.sampled_from([{"version": "1.1"}, {"jsonrpc": "2.0"}, {}]), st.booleans())
def test_a_broken_call_is_answered_and_only_a_right_one_reaches_its_handler(
    call: tuple[Function, Any], version: dict[str, str], wrapped: bool
) -> None:
    function, params = call
    message = {**version, "id": 1, "method": function.name, "params": [params] if wrapped else params}
    REACHED.clear()

    status, body = post(json.dumps(message).encode())

    check_answer(status, body)
    assert (function.name in REACHED) == (complaint(function, params) == "" and storable(function, params))


@generated
@given(st.dictionaries(st.sampled_from(["jsonrpc", "version", "id", "method", "params"]), junk()) | junk())
def test_any_json_is_answered(message: Any) -> None:
    check_answer(*post(json.dumps(message).encode()))


@generated
@given(st.binary(max_size=200), st.integers(min_value=0, max_value=80))
def test_any_bytes_are_answered(noise: bytes, place: int) -> None:
    good = b'{"version": "1.1", "id": "1", "method": "ExecutionEngine.status", "params": []}'

    check_answer(*post(noise))
    check_answer(*post(good[:place] + noise + good[place:]))


@pytest.mark.parametrize("opening", [b"[", b'{"a":', b'{"method":"status","params":[', b'[{"jsonrpc":'])
def test_depth_does_not_matter(opening: bytes) -> None:
    for depth in (199, 201, 1000, 50_000):
        check_answer(*post(opening * depth))


def test_the_deepest_body_that_is_taken_can_be_validated_and_answered() -> None:
    deep = b"[" * 195 + b'"\\u0000"' + b"]" * 195
    method = b'"jsonrpc": "2.0", "id": 1, "method": "run_job"'

    status, body = post(b'{%s, "params": {"method": "a.b", "params": %s}}' % (method, deep))

    assert json.loads(body)["result"] is None, (status, body)
