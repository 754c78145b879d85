"""The envelope of a call, JSON-RPC 1.1 as KBase's Java servers read and write it.

A success never carries the call's id, an error carries it as a string.
"""

import json
import secrets
from dataclasses import dataclass
from itertools import chain
from typing import Any, NoReturn

from execution_engine.embedded.workspace.errors import EmptyRequest, UnknownMethod, Unparseable, WorkspaceError

KEYS = ("version", "method", "id", "params", "context")
MODULE = "Workspace"


@dataclass(frozen=True, slots=True)
class Envelope:
    """A parsed body: what it asks for may still be missing."""

    id: str | None
    _method: str | None
    _params: list[Any] | None

    def call(self) -> tuple[str, list[Any]]:
        """The method's full name and its parameters.

        Raises:
            UnknownMethod: one of the two is missing.
        """
        if self._method is None:
            raise UnknownMethod("JSON RPC method property is not defined")
        if self._params is None:
            raise UnknownMethod("JSON RPC params property is not defined")
        return (self._method if "." in self._method else f"{MODULE}.{self._method}"), self._params


def parse(body: bytes) -> Envelope:
    """Read a body.

    Raises:
        EmptyRequest: it has no byte.
        Unparseable: it is no JSON object with the keys of a call.
    """
    if not body:
        raise EmptyRequest
    try:
        document = json.loads(body, parse_constant=_refuse_constant)
    except RecursionError:
        raise Unparseable("Parse error (the JSON is nested too deeply)") from None
    except ValueError as error:
        raise Unparseable(f"Parse error ({error})") from None
    if not isinstance(document, dict):
        raise Unparseable("Parse error (a call is a JSON object; batches are not supported)")
    if (key := next((key for key in document if key not in KEYS), None)) is not None:
        raise Unparseable(f'Parse error (Unrecognized field "{key}"; a call has the fields {", ".join(KEYS)})')
    method, params = document.get("method"), document.get("params")
    if not isinstance(method, str | None):
        raise Unparseable("Parse error (method must be a string)")
    if not isinstance(params, list | None):
        raise Unparseable("Parse error (params must be an array)")
    return Envelope(_text_of_id(document.get("id")), method, params)


def _refuse_constant(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")


def _text_of_id(value: Any) -> str | None:
    return value if isinstance(value, str | None) else json.dumps(value)


@dataclass(frozen=True, slots=True)
class JsonText:
    """A value that is JSON text already; in a result it is sent as it is, however large or deep it is."""

    text: bytes


def success(result: list[Any] | None) -> bytes:
    """The body of a success; ``None`` is the result of a method without one."""
    texts: list[bytes] = []
    mark = secrets.token_hex()  # nobody can have put it into a result before

    def put_aside(value: JsonText) -> str:
        texts.append(value.text)
        return mark

    frame = json.dumps({"version": "1.1", "result": result}, default=put_aside, ensure_ascii=False, allow_nan=False)
    parts = frame.encode().split(f'"{mark}"'.encode())
    return b"".join(chain.from_iterable(zip(parts, [*texts, b""], strict=True)))


def failure(error: WorkspaceError, call_id: str | None) -> bytes:
    """The body of an error. Clients break on other keys, so there are no others."""
    described = {"name": "JSONRPCError", "code": error.code, "message": error.message, "error": None}
    body: dict[str, Any] = {"version": "1.1", "error": described}
    if call_id is not None:
        body["id"] = call_id
    # Escaped, because a message may repeat text of the request that UTF-8 can't carry.
    return json.dumps(body).encode()
