"""Replays what one of KBase's generated Python servers was recorded to answer: the envelope, errors, tokens."""

from typing import Any

import pytest
from recorded import assert_same, exchanges, name_of, request_arguments
from werkzeug.test import Client

from execution_engine.embedded.catalog.server import Auth, Method, PythonServer

ALICE = "TULKZ6UJOA45VSNFRBIS2TSG5YSZV4B5"
FAILURES = {
    "value": ValueError("bad value"),
    "two": ValueError("a", "b"),
    "none": RuntimeError(),
    "unicode": ValueError("café"),
    "key": KeyError("key"),
}


def fail(_user: str | None, kind: str) -> list[Any]:
    raise FAILURES[kind]


STATUS = {"state": "OK", "message": "", "version": "0.0.1", "git_url": "", "git_commit_hash": ""}
METHODS = {
    "echo": Method(lambda _user, value: [value]),
    "two": Method(lambda _user: [1, "x"], types=()),
    "nothing": Method(lambda _user: None, types=()),
    "status": Method(lambda _user: [STATUS], types=()),
    "fail": Method(fail, types=(str,)),
    "echo_auth": Method(lambda user, value: [value | {"s": user}], auth=Auth.REQUIRED),
    "echo_opt": Method(lambda user, _value: [str(user)], auth=Auth.OPTIONAL),
}


@pytest.mark.parametrize("exchange", exchanges("sdk-python-server"), ids=name_of)
def test_answers_as_the_real_server(exchange: dict[str, Any]) -> None:
    client = Client(PythonServer("EnvelopeTest", METHODS, {ALICE: "alice"}.get))
    answer = client.open(**request_arguments(exchange))
    assert_same(exchange["response"], answer.status_code, answer.headers, answer.data)
