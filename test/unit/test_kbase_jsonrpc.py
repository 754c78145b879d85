import json
from collections.abc import Callable
from typing import Any

import pytest

from execution_engine.core.errors import AccountDisabled, CatalogUnavailable, TokenInvalid, TokenMissing
from execution_engine.kbase.http import Answer, HttpService
from execution_engine.kbase.jsonrpc import JsonRpc, ServiceFault


@pytest.fixture
def http() -> Any:
    return HttpService("Catalog", "http://127.0.0.1:1", CatalogUnavailable)


@pytest.fixture
def call(http: Any) -> Callable[[int, Any], Any]:
    def with_answer(status: int, body: Any) -> Any:
        http.exchange = lambda *_args, **_options: Answer(status, body)
        return JsonRpc(http, "Catalog").call("method", [{}])

    return with_answer


@pytest.mark.parametrize(
    ("result", "value"), [(None, None), ([], None), ([7], 7), ([[7]], [7]), ([None], None), ([1, "x"], [1, "x"])]
)
def test_results(call: Callable[[int, Any], Any], result: list[Any] | None, value: Any) -> None:
    assert call(200, {"version": "1.1", "result": result}) == value


def test_the_request_has_all_that_both_kinds_of_server_need(http: Any) -> None:
    sent = []

    def exchange(method: str, *, token: str, body: bytes, repeat: bool) -> Answer:
        sent.append((method, token, json.loads(body), repeat))
        return Answer(200, {"result": None})

    http.exchange = exchange
    JsonRpc(http, "Catalog").call("version", [], "T", repeat=False)
    assert sent == [("POST", "T", {"version": "1.1", "method": "Catalog.version", "params": [], "id": "1"}, False)]


def refusal(code: int, message: str | None) -> dict[str, Any]:
    return {"error": {"code": code, "name": "Server error", "message": message, "error": "Traceback: ..."}}


def test_a_refusal_keeps_code_and_words_without_quotes_and_traces(call: Callable[[int, Any], Any]) -> None:
    with pytest.raises(ServiceFault) as raised:
        call(500, refusal(-32000, "'No such thing.'"))
    assert (raised.value.code, raised.value.message) == (-32000, "No such thing.")


def test_a_refusal_without_words_has_its_name(call: Callable[[int, Any], Any]) -> None:
    with pytest.raises(ServiceFault, match="Server error"):
        call(500, refusal(-32601, None))


@pytest.mark.parametrize(
    ("code", "message", "expected"),
    [
        (-32400, "Token validation failed: Authorization is required for this method but no credentials were provided",
         TokenMissing),
        (-32000, "Authentication required for Catalog but no authentication header was passed", TokenMissing),
        (-32000, "Token validation failed: Must supply token", TokenMissing),
        (-32400, "Token validation failed: Auth service returned an error: 10020 Invalid token", TokenInvalid),
        (-32400, "Token validation failed: Auth service returned an error: 20010 Account disabled: x", AccountDisabled),
        (-32400, "Token validation failed: Connection refused", CatalogUnavailable),
        (-32603, "The server did not start up properly.", CatalogUnavailable),
        (-32500, "My object is called Invalid token", ServiceFault),
    ],
)  # fmt: skip
def test_refusals_that_have_a_class_of_their_own(
    call: Callable[[int, Any], Any], code: int, message: str, expected: type[Exception]
) -> None:
    with pytest.raises(expected):
        call(500, refusal(code, message))


def test_what_nobody_expected_is_an_outage_with_the_services_words(http: Any) -> None:
    rpc = JsonRpc(http, "Catalog")
    with pytest.raises(CatalogUnavailable, match=r"method failed there with 'disk on fire'"), rpc.understood("method"):
        raise ServiceFault("disk on fire", -32000)
    with pytest.raises(CatalogUnavailable, match="its answer to method is not understood"), rpc.understood("method"):
        raise KeyError("perms")


def test_long_words_of_a_service_are_cut(http: Any) -> None:
    with pytest.raises(CatalogUnavailable) as raised, JsonRpc(http, "Catalog").understood("method"):
        raise ServiceFault("x" * 10_000, -32000)
    assert len(raised.value.message) < 500
