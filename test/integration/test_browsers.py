"""What browsers are told, by everything that an engine serves."""

import pytest
import requests

from execution_engine.rpc.protection import PROTECTION
from test.conftest import Stack

SERVED = [
    "/",
    "/healthz",
    "/readyz",
    "/nowhere",
    "/services/ee",
    "/services/auth/",
    "/services/ws",
    "/services/catalog",
]
SERVED += ["/services/auth/api/V2/me", "/services/auth/api/legacy/KBase/Sessions/Login", "/services/ee/../x"]


@pytest.mark.parametrize("path", SERVED)
@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS", "PUT"])
def test_everything_that_is_served_protects_people(stack: Stack, path: str, method: str) -> None:
    answer = requests.request(method, f"http://127.0.0.1:{stack.port}{path}", timeout=30)
    assert {name: answer.headers.get(name) for name, _ in PROTECTION} == dict(PROTECTION)
    assert "Access-Control-Allow-Credentials" not in answer.headers
    assert "Set-Cookie" not in answer.headers


@pytest.mark.parametrize("path", ["/services/ee", "/services/ws", "/services/catalog"])
def test_pages_of_other_origins_may_call_with_a_token(stack: Stack, path: str) -> None:
    url = f"http://127.0.0.1:{stack.port}{path}"
    asking = {"Origin": "https://narrative.kbase.us", "Access-Control-Request-Headers": "authorization, content-type"}
    preflight = requests.options(url, headers=asking, timeout=30)
    assert (preflight.status_code, preflight.content) == (200, b"")
    assert preflight.headers["Access-Control-Allow-Origin"] == "*"
    assert preflight.headers["Access-Control-Allow-Headers"] == "authorization, content-type"
    for body in ('{"version": "1.1", "id": "1", "method": "No.method", "params": []}', "no JSON"):
        answer = requests.post(url, data=body, headers={"Origin": "https://narrative.kbase.us"}, timeout=30)
        assert answer.status_code == 500
        assert answer.headers["Access-Control-Allow-Origin"] == "*"


@pytest.mark.parametrize("path", ["/", "/nowhere", "/readyz"])
def test_a_path_that_is_no_rpc_answers_in_json(stack: Stack, path: str) -> None:
    for method in ("GET", "POST", "DELETE"):
        answer = requests.request(method, f"http://127.0.0.1:{stack.port}{path}", timeout=30)
        assert answer.headers["Content-Type"] == "application/json"
        assert answer.json()
