"""The engine from the client's side: JSON-RPC 2.0 over HTTP."""

import itertools
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

import requests

from execution_engine.core import errors
from execution_engine.embedded.ports import is_loopback

MODULE = "ExecutionEngine"
REQUEST_ID_HEADER = "X-Request-ID"
CONNECT_SECONDS = 5.0
ANSWER_SECONDS = 60.0

# Answers that say "not now": the engine, or what it depends on, can't do it at the moment.
BUSY_REASONS = frozenset(
    error.reason
    for error in (
        *(errors.Busy, errors.AuthUnavailable, errors.WorkspaceUnavailable, errors.CatalogUnavailable),
        *(errors.DatabaseUnavailable, errors.BackendUnavailable),
    )
)


class Unreachable(Exception):
    """The engine did not answer, or something else answered in its place."""


class CallFailed(Exception):
    """The engine answered with an error."""

    def __init__(self, code: int, reason: str, message: str, data: Mapping[str, Any]) -> None:
        """``code`` and ``reason`` as in the table of errors; ``message`` is the engine's own."""
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.message = message
        self.data = data

    @property
    def is_temporary(self) -> bool:
        """Whether the same call may work in a moment."""
        return self.reason in BUSY_REASONS


class Engine:
    """The methods of one engine, with the rights of one token."""

    def __init__(self, url: str, token: str | None, notice: Callable[[str], None] | None = None) -> None:
        """``notice`` gets a line about every exchange: method, request id, time."""
        self.url = url
        self._notice = notice
        self._ids = itertools.count(1)
        self._session = requests.Session()
        # No proxy stands between us and this machine; and auth as a function, or a .netrc would replace the token.
        self._session.trust_env = not is_loopback(urlsplit(url).hostname or "")
        self._session.auth = _authorization(token)

    def call(self, method: str, params: Mapping[str, Any] | None = None) -> Any:
        """The result of one method.

        Raises:
            Unreachable: no answer, or none that is JSON-RPC.
            CallFailed: the engine refuses.
        """
        request = {"jsonrpc": "2.0", "id": next(self._ids), "method": f"{MODULE}.{method}", "params": params or {}}
        try:
            response = self._session.post(
                self.url, json=request, timeout=(CONNECT_SECONDS, ANSWER_SECONDS), allow_redirects=False
            )
        except requests.RequestException as error:
            raise Unreachable(f"Can't reach the engine at {self.url}: {_in_words(error)}.") from error
        if self._notice:
            request_id = response.headers.get(REQUEST_ID_HEADER, "none")
            self._notice(f"{method}: request id {request_id}, {response.elapsed.total_seconds() * 1000:.0f} ms")
        return self._result(response)

    def _result(self, response: requests.Response) -> Any:
        try:
            answer = response.json()
        except requests.JSONDecodeError:
            answer = None
        if isinstance(answer, dict) and isinstance(error := answer.get("error"), dict):
            data = error.get("data")
            details: dict[str, Any] = data if isinstance(data, dict) else {}
            raise CallFailed(error.get("code", 0), details.get("reason", ""), error.get("message", ""), details)
        if not isinstance(answer, dict) or "result" not in answer:
            raise Unreachable(
                f"What answers at {self.url} is no Execution Engine (HTTP {response.status_code}). "
                "Is the address right? It usually ends in /services/ee."
            )
        return answer["result"]


def _authorization(token: str | None) -> Callable[[requests.PreparedRequest], requests.PreparedRequest]:
    def add(request: requests.PreparedRequest) -> requests.PreparedRequest:
        if token:
            request.headers["Authorization"] = token
        return request

    return add


def _in_words(error: requests.RequestException) -> str:
    for kind, words in (
        (requests.ConnectTimeout, f"no connection within {CONNECT_SECONDS:g} s"),
        (requests.Timeout, f"no answer within {ANSWER_SECONDS:g} s"),
        (requests.exceptions.SSLError, "its certificate is not accepted"),
        (requests.exceptions.InvalidHeader, "the token has characters that no token has"),
        (requests.ConnectionError, "nothing answers there"),
        (ValueError, "this is no http or https address"),  # requests' InvalidURL, MissingSchema, InvalidSchema
    ):
        if isinstance(error, kind):
            return words
    return str(error)
