"""The service as a WSGI application: one address, the path below it does not matter."""

import logging
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from pymongo.database import Database
from pymongo.errors import PyMongoError
from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.wrappers import Request, Response

from execution_engine.embedded.workspace import envelope
from execution_engine.embedded.workspace.errors import GetRefused, Unparseable, WorkspaceError
from execution_engine.embedded.workspace.methods import Methods
from execution_engine.embedded.workspace.storage import Collections

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

MAX_BODY_BYTES = 32_000_000

_log = logging.getLogger(__name__)


def create_workspace_app(
    database: Database[dict[str, Any]],
    token_owner: Callable[[str], str | None],
    roles_of: Callable[[str], list[str]],
    user_exists: Callable[[str], bool],
) -> "WorkspaceApp":
    """Make the service on a database, with the indexes that it needs there.

    Args:
        database: where its collections are, all named ``ws_…``.
        token_owner: the name of a token's user; None for a token that nobody has; ConnectionError if auth is down.
        roles_of: a user's custom roles.
        user_exists: whether there is a user of this name. Names have no dots and do not start with a dollar sign.
    """
    return WorkspaceApp(Methods(Collections(database), token_owner, roles_of, user_exists))


class WorkspaceApp:
    """Calls of the service's methods over HTTP."""

    def __init__(self, methods: Methods) -> None:
        self._methods = methods

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        """Answer one request."""
        request = Request(environ)
        request.max_content_length = MAX_BODY_BYTES
        return self._response(request)(environ, start_response)

    def _response(self, request: Request) -> Response:
        match request.method:
            case "POST":
                return _for_browsers(request, *self._answer(request))
            case "OPTIONS":
                return _for_browsers(request, 200, b"")
            case "GET" | "HEAD":
                return Response(envelope.failure(GetRefused(), None), 500, content_type="application/json")
            case _:
                response = Response(b"", 405)
                del response.headers["Content-Type"]
                return response

    def _answer(self, request: Request) -> tuple[int, bytes]:
        """Status and body; nothing but a described error leaves the service."""
        call_id = None
        try:
            parsed = envelope.parse(_body(request))
            call_id = parsed.id
            result = self._methods.call(*parsed.call(), request.headers.get("Authorization"))
            return 200, envelope.success(result)
        except WorkspaceError as error:
            return 500, envelope.failure(error, call_id)
        except PyMongoError:
            _log.exception("The Workspace can't use its database")
            return 500, envelope.failure(WorkspaceError("There was a problem communicating with the database"), call_id)
        except ConnectionError as error:
            _log.warning("The Workspace can't reach the auth service: %s", error)
            return 500, envelope.failure(WorkspaceError("Could not contact Authorization Service"), call_id)
        except Exception:  # noqa: BLE001 - the net: a fault of ours must not reach clients as a trace
            _log.exception("The Workspace failed")
            return 500, envelope.failure(WorkspaceError("The Workspace failed; its log says how"), call_id)


def _body(request: Request) -> bytes:
    try:
        return request.get_data(cache=False)
    except RequestEntityTooLarge:
        raise Unparseable(f"Object is too big, length is more than {MAX_BODY_BYTES} bytes") from None


def _for_browsers(request: Request, status: int, body: bytes) -> Response:
    response = Response(body, status, content_type="application/json")
    response.headers["Access-Control-Allow-Origin"] = "*"
    asked = request.headers.get("Access-Control-Request-Headers")
    response.headers["Access-Control-Allow-Headers"] = asked or "authorization"
    return response
