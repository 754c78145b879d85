"""Calls of the engine: JSON-RPC 2.0 over HTTP, and the two ways in which a call can fail."""

from __future__ import annotations

import http.client
import json
import time
from urllib.parse import urlsplit

from .notes import note

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# After such an error the same call may succeed a moment later: nothing is wrong with the call itself.
TRANSIENT = frozenset(
    {
        "busy",
        "internal_error",
        "request_timeout",
        "database_unavailable",
        "auth_unavailable",
        "workspace_unavailable",
        "catalog_unavailable",
        "backend_unavailable",
    }
)
# The engine wants nothing more of this attempt.
FINAL = frozenset({"ticket_used", "credential_invalid", "job_not_found", "wrong_state", "already_finished"})

# Errors of requests that the engine could not read, and so could not answer in the form that has reasons.
UNREADABLE = {
    -32700: "parse_error",
    -32600: "invalid_request",
    -32602: "invalid_params",
    -32010: "body_too_large",
}

MAX_ANSWER_BYTES = 64 << 20
IDLE_SECONDS = 1.0  # servers close idle connections after about 2 s; a call on a closed one would be lost


class Unreachable(Exception):
    """No usable answer. The engine may have carried the call out; repeating it is safe, as every runner method is."""


class Refused(Exception):
    """The engine's answer is an error that repeating would not change."""

    def __init__(self, reason: str, message: str, data: dict[str, Any]) -> None:
        super().__init__(f"{message} [{reason}]")
        self.reason = reason
        self.message = message
        self.data = data


class Engine:
    """One connection to the engine, for one thread.

    ``secret``: the start ticket or the attempt's credential. ``timeout``: seconds for each wait on the network.
    """

    def __init__(self, url: str, secret: str, timeout: float = 30.0) -> None:
        parts = urlsplit(url)
        self._secure = parts.scheme == "https"
        self._host = parts.netloc.rpartition("@")[2]
        self._path = parts.path or "/"
        self._timeout = timeout
        self._connection: http.client.HTTPConnection | None = None
        self._last_used = 0.0
        self._down = False
        self._headers = {"Content-Type": "application/json", "Authorization": secret, "User-Agent": "ee-runner"}

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """The result of a method of the module ``ExecutionEngine``: a structure, as all of the runner's have.

        Raises:
            Unreachable: no answer, or none that is such a structure.
            Refused: an error that is final for this call.
        """
        return self.call_encoded(method, encode(params))

    def call_encoded(self, method: str, params: bytes) -> dict[str, Any]:
        """As ``call``, with the params already as JSON text."""
        body = b'{"jsonrpc":"2.0","id":1,"method":"ExecutionEngine.%s","params":%s}' % (method.encode(), params)
        try:
            result = _result(*self._exchange(body))
        except Unreachable as why:
            if not self._down:
                self._down = True
                note(f"{method}: the engine at {self._host} gives no usable answer ({why}); repeating")
            raise
        if self._down:
            self._down = False
            note(f"{method}: the engine answers again")
        return result

    def close(self) -> None:
        """Give the connection up; the next call opens another."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _exchange(self, body: bytes) -> tuple[int, bytes]:
        """HTTP status and body of the answer."""
        if time.monotonic() - self._last_used > IDLE_SECONDS:
            self.close()
        try:
            connection = self._connection = self._connection or self._connect()
            connection.request("POST", self._path, body, self._headers)
            with connection.getresponse() as response:
                answer = response.read(MAX_ANSWER_BYTES)
                if response.will_close or not response.isclosed():
                    self.close()
        except (OSError, http.client.HTTPException, ValueError) as error:
            self.close()
            raise Unreachable(f"{type(error).__name__}: {error}") from error
        self._last_used = time.monotonic()
        return response.status, answer

    def _connect(self) -> http.client.HTTPConnection:
        if self._secure:
            return http.client.HTTPSConnection(self._host, timeout=self._timeout)
        return http.client.HTTPConnection(self._host, timeout=self._timeout)


def encode(value: Any) -> bytes:
    """JSON text. Characters stay as they are, so that sizes are those that the engine counts."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return text.encode("utf-8", "backslashreplace")  # half of a surrogate pair has no UTF-8, but this escape in JSON


def _result(status: int, answer: bytes) -> dict[str, Any]:
    if status == 413:
        raise Refused("body_too_large", "The request is larger than the service takes.", {})
    try:
        envelope = json.loads(answer)
    except (ValueError, RecursionError):
        raise Unreachable(f"HTTP {status}, and no JSON: {answer[:200]!r}") from None
    if not isinstance(envelope, dict):
        raise Unreachable(f"HTTP {status}, and no JSON-RPC answer")
    error = envelope.get("error")
    if isinstance(error, dict):
        data = error.get("data")
        data = data if isinstance(data, dict) else {}
        code = error.get("code")
        reason = data.get("reason", UNREADABLE.get(code) if isinstance(code, int) else None)
        message = str(error.get("message", ""))
        if isinstance(reason, str) and reason not in TRANSIENT:
            raise Refused(reason, message, data)
        raise Unreachable(f"HTTP {status}: {message}")
    result = envelope.get("result")
    if status != 200 or not isinstance(result, dict):
        raise Unreachable(f"HTTP {status}, and neither a result nor an error of the engine")
    return result
