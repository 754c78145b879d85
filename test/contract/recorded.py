"""The recorded exchanges of the real KBase services, and how an answer of ours is compared with one of them."""

import json
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

RECORDINGS = Path(__file__).parent.parent / "exchanges" / "kbase.json"

# The names of response headers that clients rely on; an absent one in the recording is not compared.
COMPARED_HEADERS = ("content-type", "access-control-allow-origin", "access-control-allow-headers")

# Volatile texts, each with what stands in its place on both sides.
VOLATILE = (
    (re.compile(r"^[A-Z2-7]{32}$"), "<token>"),
    (re.compile(r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"), "<uuid>"),
    (re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+0000$"), "<time>"),
    (re.compile(r"(?<=Timestamp: )\d{13}|(?<=Server time: )\d{13}"), "<ms>"),
    (re.compile(r"\n at \[Source: .*", re.DOTALL), "<position in the request>"),
)
# The servers were recorded after this moment; older times belong to fixed test data and are compared exactly.
RECORDED_AFTER_MS = 1_700_000_000_000
SECONDS_KEYS = frozenset({"issued_on", "expiry", "expires_in"})


@cache
def _all() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(RECORDINGS.read_text())
    return found


def exchanges(*services: str) -> list[dict[str, Any]]:
    """Return the exchanges of these services (``auth2``, ``workspace`` …) in the order in which they happened."""
    return [exchange for exchange in _all() if exchange["service"] in services]


def name_of(exchange: Mapping[str, Any]) -> str:
    """Return ``service:name``, for test ids."""
    return f"{exchange['service']}:{exchange['name']}"


def request_arguments(exchange: Mapping[str, Any], *, path_prefix: str = "") -> dict[str, Any]:
    """Return the recorded request as keyword arguments of ``werkzeug.test.Client.open``.

    ``path_prefix`` is cut off the recorded path (``/testmode``).
    """
    request = exchange["request"]
    body = request["body"]
    path, _, query = request["path"].removeprefix(path_prefix).partition("?")
    return {
        "method": request["method"],
        "path": path,
        "query_string": query,
        "headers": request["headers"],
        "data": body if body is None or isinstance(body, str) else json.dumps(body),
    }


def masked(value: Any, key: str = "") -> Any:
    """Return ``value`` (JSON) with what differs between two runs of one server replaced by ``<what it is>``."""
    if isinstance(value, dict):
        return {name: _masked_error(item) if name == "error" else masked(item, name) for name, item in value.items()}
    if isinstance(value, list):
        return [masked(item, key) for item in value]
    if isinstance(value, str):
        return _masked_text(value, key)
    if isinstance(value, int) and key in SECONDS_KEYS:
        return "<s>"
    return "<ms>" if isinstance(value, int) and value > RECORDED_AFTER_MS else value


def _masked_text(text: str, key: str) -> str:
    if text.startswith("Traceback (most recent call last)"):
        return "<trace> " + text.rsplit("\n", 1)[-1]
    if key == "callid":
        return re.sub(r"^\d{16}$", "<callid>", text)
    for pattern, replacement in VOLATILE:
        text = pattern.sub(replacement, text)
    return text


def _masked_error(value: Any) -> Any:
    """Mask an error's ``error``: of a Java trace only that it is there is compared, of a Python trace the last line."""
    is_other_trace = isinstance(value, str) and not value.startswith("Traceback")
    return "<trace>" if is_other_trace else masked(value, "error")


def assert_same(
    recorded: Mapping[str, Any],
    status: int,
    headers: Mapping[str, str],
    body: bytes | str,
    *,
    ignore: tuple[str, ...] = (),
) -> None:
    """Assert that an answer is the recorded response but for volatile values.

    ``ignore`` names dotted paths in a JSON body (``error.message``, ``result.0.version``) that are not compared.
    """
    text = body.decode() if isinstance(body, bytes) else body
    assert status == recorded["status"], text
    ours = {name.lower(): value for name, value in headers.items()}
    theirs = {name.lower(): value for name, value in recorded["headers"].items()}
    for name in COMPARED_HEADERS:
        if name in theirs:
            assert ours.get(name) == theirs[name], name
    if isinstance(recorded["body"], str):
        assert masked(text) == masked(recorded["body"])
        return
    answer, expected = masked(json.loads(text)), masked(recorded["body"])
    for path in ignore:
        _drop(answer, path.split("."))
        _drop(expected, path.split("."))
    assert answer == expected


def _drop(value: Any, path: list[str]) -> None:
    """Replace what ``path`` leads to, if it is there, by a mark."""
    *parents, last = path
    for step in parents:
        value = value[int(step)] if isinstance(value, list) else value.get(step)
        if value is None:
            return
    if isinstance(value, list):
        value[int(last)] = "<ignored>"
    elif isinstance(value, dict) and last in value:
        value[last] = "<ignored>"
