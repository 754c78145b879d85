"""How Auth2 answers an error: its JSON envelope, or a page for clients that take no JSON."""

import html
import secrets
from http import HTTPStatus
from typing import Any

from flask import Response, jsonify, request

from execution_engine.core import clock
from execution_engine.embedded.auth2.errors import AuthError

# Line by line what Auth2 sends.
PAGE = """<!DOCTYPE html>
<html lang="en">
  <head>
    <meta charset='utf-8'>
    <title>{status} {reason}</title>
  </head>
  <body>
    <p>Note that in a proper UI, the error message and exception should be HTML-escaped.</p>
    <p>
    An error occurred during the operation:
    </p>
    Timestamp: {time}<br/>
    Http code: {status}<br/>
    Http status: {reason}<br/>
    Message: {message}<br/>
  </body>
</html>"""


def takes_json() -> bool:
    """Whether the current request's Accept header allows JSON; one without the header takes anything."""
    return not request.accept_mimetypes or request.accept_mimetypes["application/json"] > 0


def refusal(error: AuthError) -> Response:
    """The answer to a request that Auth2 itself refuses."""
    kind = error.kind
    return _answer(kind.status, str(error), {"appcode": kind.code, "apperror": kind.text, "callid": _call_id()})


def framework_error(status: int) -> Response:
    """The answer to what no method was reached for: 404, 405, 406, 413. It has no codes and no call id."""
    return _answer(status, f"HTTP {status} {HTTPStatus(status).phrase}", {})


def internal_error(message: str) -> Response:
    """The answer to a failure of the service itself."""
    return _answer(500, message, {"callid": _call_id()})


def _answer(status: int, message: str, more: dict[str, Any]) -> Response:
    reason, time = HTTPStatus(status).phrase, clock.to_ms(clock.now())
    if not takes_json():
        page = PAGE.format(status=status, reason=reason, time=time, message=html.escape(message))
        answer = Response(page, status)
        answer.headers["Content-Type"] = "text/html"
        return answer
    error = {"httpcode": status, "httpstatus": reason, "message": message, "time": time, **more}
    answer = jsonify({"error": error})
    answer.status_code = status
    return answer


def _call_id() -> str:
    return f"{secrets.randbelow(10**16):016}"
