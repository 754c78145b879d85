"""JSON-RPC as KBase's generated Python servers speak it (the Catalog is one); knows no method.

Oddities are theirs and kept: any error is HTTP 500, messages are quoted as Python would, a request that lacks one of
method, id and params is answered in plain text.
"""

import json
import logging
import traceback
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any

from pymongo.errors import PyMongoError
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge
from werkzeug.wrappers import Request, Response

from execution_engine.embedded.limits import MAX_BODY_BYTES

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

_log = logging.getLogger(__name__)


class Auth(Enum):
    """What a method wants of the caller's token."""

    NONE = "none"
    OPTIONAL = "optional"
    REQUIRED = "required"


@dataclass(frozen=True, slots=True)
class Method:
    """A method: called with the caller's name (None without a token) and the parameters; gives the list of results.

    ``types`` are the parameters' Python types; a method without results gives None.
    """

    run: Callable[..., list[Any] | None]
    types: tuple[type, ...] = (dict,)
    auth: Auth = Auth.NONE


class RpcError(Exception):
    """An error that the server itself makes: its text goes out as it stands."""

    def __init__(self, code: int, name: str, message: str | None, trace: str | None = None) -> None:
        """``trace`` stands in the error's own ``error`` field."""
        self.code = code
        self.name = name
        self.message = message
        self.trace = trace
        super().__init__(message)


class PythonServer:
    """The WSGI app of a module: the same on every path."""

    def __init__(self, module: str, methods: Mapping[str, Method], token_owner: Callable[[str], str | None]) -> None:
        """``methods`` by name without the module's; ``token_owner`` gives the user of a valid token."""
        self._module = module
        self._methods = {f"{module}.{name}": method for name, method in methods.items()}
        self._token_owner = token_owner

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        """Answer one request."""
        request = Request(environ)
        request.max_content_length = MAX_BODY_BYTES
        return self._answer(request)(environ, start_response)

    def _answer(self, request: Request) -> Response:
        if request.method == "OPTIONS":
            return _response(request, 200, b"")
        try:
            call = _read(request)
        except RpcError as error:
            return _response(request, 500, _json(_error(error, {"version": "1.1"})))
        if not _is_complete(call):
            return Response(
                "A server error occurred.  Please contact the administrator.", 500, content_type="text/plain"
            )
        try:
            result = self._run(call["method"], call["params"], request.headers.get("Authorization"))
        except RpcError as error:
            return _response(request, 500, _json(_error(error, call)))
        is_notification = call["id"] is None
        answer = b"" if is_notification else _json(_version(call) | {"result": result, "id": call["id"]})
        return _response(request, 200, answer)

    def _run(self, name: str, params: Any, token: str | None) -> list[Any] | None:
        method = self._methods.get(name)
        if method is None:
            raise RpcError(-32601, "Method not found", None)
        user = self._user(token, method.auth)
        _check(name, method.types, params)
        try:
            return method.run(user, *params)
        except PyMongoError as error:
            _log.error("%s can't reach its database: %s", name, error)
            raise _server_error(RuntimeError("The database can't be reached; try again later.")) from error
        except (ValueError, TypeError) as error:
            raise _server_error(error) from error
        except Exception as error:
            _log.exception("%s failed", name)
            raise _server_error(error) from error

    def _user(self, token: str | None, auth: Auth) -> str | None:
        """The caller's name; None where the method wants none, or does not insist and the token is no good."""
        if auth is Auth.NONE or (token is None and auth is Auth.OPTIONAL):
            return None
        if token is None:
            raise RpcError(
                -32000,
                "Server error",
                f"Authentication required for {self._module} but no authentication header was passed",
            )
        user = self._token_owner(token.strip()) if token.strip() else None
        if user is None and auth is Auth.REQUIRED:
            reason = "Error connecting to auth service: 401 Unauthorized\n10020 Invalid token"
            raise RpcError(
                -32000,
                "Server error",
                f"Token validation failed: {reason if token.strip() else 'Must supply token'}",
            )
        return user


def _read(request: Request) -> Any:
    """The body's JSON."""
    try:
        return json.loads(request.get_data())
    except RequestEntityTooLarge:
        raise RpcError(-32700, "Parse error", f"The request is larger than {MAX_BODY_BYTES} bytes") from None
    except HTTPException as error:  # the client went away
        raise RpcError(-32700, "Parse error", error.description) from None
    except (ValueError, RecursionError) as error:
        raise RpcError(-32700, "Parse error", str(error)) from None


def _is_complete(call: Any) -> bool:
    """Whether a request has what the generated server reads before it can catch anything."""
    return (
        isinstance(call, dict)
        and isinstance(call.get("method"), str)
        and call["method"].count(".") == 1
        and "params" in call
        and "id" in call
    )


def _check(name: str, types: tuple[type, ...], params: Any) -> None:
    """Raise what the server says of parameters that do not fit the method."""
    if not isinstance(params, list):
        raise RpcError(-32602, "Invalid params", "expected positional params, not keyword")
    if len(params) < len(types):
        raise RpcError(-32602, "Invalid params", "not enough arguments")
    for position, (value, wanted) in enumerate(zip(params, types, strict=False), 1):
        if not isinstance(value, wanted):
            raise RpcError(-32602, "Invalid params", f"positional arg #{position} is the wrong type")
    if len(params) > len(types):
        # Each method there has two arguments more: its object and the context.
        takes, given = len(types) + 2, len(params) + 2
        raise _server_error(TypeError(f"{name}() takes {takes} positional arguments but {given} were given"))


def _server_error(error: Exception) -> RpcError:
    """An exception of a method as the server reports it; where it was raised is nobody's business but the log's."""
    message = repr(error.args[0]) if len(error.args) == 1 else repr(error.args)
    trace = "".join(traceback.format_exception_only(error)).strip()
    return RpcError(-32000, "Server error", message, f"Traceback (most recent call last):\n{trace}")


def _version(call: Mapping[str, Any]) -> dict[str, str]:
    if call.get("jsonrpc") == "2.0":
        return {"jsonrpc": "2.0"}
    return {"version": "1.1"} if call.get("version") == "1.1" else {}


def _error(error: RpcError, call: Mapping[str, Any]) -> dict[str, Any]:
    shown = {"code": error.code, "name": error.name, "message": error.message}
    version = {key: call[key] for key in ("version", "jsonrpc") if key in call}
    trace_key = "data" if "jsonrpc" in version and "version" not in version else "error"
    shown[trace_key] = error.trace
    answer: dict[str, Any] = {"error": shown} | (version or {"version": "1.0"})
    return answer | ({"id": call["id"]} if "id" in call else {})


def _json(value: Any) -> bytes:
    return json.dumps(value).encode()


def _response(request: Request, status: int, body: bytes) -> Response:
    answer = Response(body, status)
    answer.headers["Content-Type"] = "application/json"
    answer.headers["Access-Control-Allow-Origin"] = "*"
    asked = request.headers.get("Access-Control-Request-Headers", "authorization")
    answer.headers["Access-Control-Allow-Headers"] = asked
    return answer
