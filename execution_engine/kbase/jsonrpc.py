"""KBase's JSON-RPC 1.1 from the client's side, as the Java and the Python servers speak it."""

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

from execution_engine.core.errors import AccountDisabled, TokenInvalid, TokenMissing
from execution_engine.core.json_text import to_json
from execution_engine.kbase.http import HttpService

_TOKEN_CODE = -32400
_SERVER_BROKEN_CODE = -32603
_TOKEN_MESSAGES = ("Token validation failed", "Authentication required for")
_NO_TOKEN = ("no credentials were provided", "no authentication header was passed", "Must supply token")
_MAX_QUOTED_CHARS = 300


class ServiceFault(Exception):
    """A service understood the call and refused it. The clients turn this into an error of the engine."""

    def __init__(self, message: str, code: int) -> None:
        """``message``: the server's own words, without the quotes that Python servers put around them."""
        super().__init__(message, code)
        self.message = message
        self.code = code


class JsonRpc:
    """The methods of one module at one service."""

    def __init__(self, http: HttpService, module: str) -> None:
        self._http = http
        self._module = module
        self._ids = itertools.count(1)

    def call(self, method: str, params: list[Any], token: str | None = None, *, repeat: bool = True) -> Any:
        """What the method returns: the value of a single result, the list of several, None of a void method.

        Raises:
            ServiceFault: the method refused.
            TokenMissing, TokenInvalid, AccountDisabled: the service refused the token.
            EngineError: the service's own class, when it is out of reach or answers in no known way.
        """
        # An id always: without one a Python server takes the call for a notification or breaks.
        request = {
            "version": "1.1",
            "method": f"{self._module}.{method}",
            "params": params,
            "id": str(next(self._ids)),
        }
        answer = self._http.exchange("POST", token=token, body=to_json(request), repeat=repeat)
        body = answer.body if isinstance(answer.body, dict) else {}
        if isinstance(error := body.get("error"), dict) and isinstance(error.get("code"), int):
            self._refuse(error)
        if answer.status != 200 or not isinstance(result := body.get("result", ...), list | None):
            raise self._http.down(f"its answer to {method} (HTTP {answer.status}) is no JSON-RPC")
        match result:
            case None | []:
                return None
            case [single]:
                return single
        return result

    @contextmanager
    def understood(self, method: str) -> Iterator[None]:
        """Around a call and the reading of its answer: whatever was not expected there means out of reach."""
        try:
            yield
        except ServiceFault as fault:
            problem = f"{method} failed there with {fault.message[:_MAX_QUOTED_CHARS]!r}"
            raise self._http.down(problem, fault) from fault
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            raise self._http.down(f"its answer to {method} is not understood", error) from error

    def _refuse(self, error: dict[str, Any]) -> NoReturn:
        code, message = error["code"], _unquoted(error.get("message") or error.get("name") or "")
        if code == _SERVER_BROKEN_CODE:
            raise self._http.down(f"it says {message[:_MAX_QUOTED_CHARS]!r}")
        if code != _TOKEN_CODE and not message.startswith(_TOKEN_MESSAGES):
            raise ServiceFault(message, code)
        if any(text in message for text in _NO_TOKEN):
            raise TokenMissing
        if "Invalid token" in message:
            raise TokenInvalid
        if "Account disabled" in message:
            raise AccountDisabled
        # Its own Auth service is down, and the message holds internal host names.
        raise self._http.down("it can't check tokens", ServiceFault(message, code))


def _unquoted(message: Any) -> str:
    """KBase's Python servers send ``repr(error.args[0])``."""
    text = str(message)
    return text[1:-1] if len(text) > 1 and text[0] == text[-1] and text[0] in "'\"" else text
