"""Answers of the server itself, when no application sees the request: in the form of KBase's JSON-RPC errors."""

import json
from http import HTTPStatus

from gunicorn.http import errors  # type: ignore[import-untyped]

from execution_engine.core.errors import BodyTooLarge, EngineError, InternalError, InvalidRequest, RequestTimeout
from execution_engine.rpc.envelope import UNREADABLE
from execution_engine.rpc.voices import NativeVoice

_ERRORS: dict[int, EngineError] = {
    HTTPStatus.BAD_REQUEST: InvalidRequest("This is no HTTP request."),
    HTTPStatus.REQUEST_TIMEOUT: RequestTimeout(),
    HTTPStatus.REQUEST_URI_TOO_LONG: BodyTooLarge("The request's first line is too long."),
    HTTPStatus.EXPECTATION_FAILED: InvalidRequest("The request's Expect header is not understood."),
    HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE: BodyTooLarge("The request's headers are too large."),
    HTTPStatus.NOT_IMPLEMENTED: InvalidRequest("The request's Transfer-Encoding is not understood."),
    HTTPStatus.INTERNAL_SERVER_ERROR: InternalError(),
}
_STATUSES: dict[type[Exception], int] = {
    errors.LimitRequestLine: HTTPStatus.REQUEST_URI_TOO_LONG,
    errors.LimitRequestHeaders: HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
    errors.UnsupportedTransferCoding: HTTPStatus.NOT_IMPLEMENTED,
    errors.ExpectationFailed: HTTPStatus.EXPECTATION_FAILED,
}


def refusal(status: int) -> bytes:
    """A whole HTTP answer, after which the connection is closed."""
    body = json.dumps(NativeVoice().failure(UNREADABLE, _ERRORS[status]).body).encode()
    head = (
        f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\nConnection: close\r\nContent-Type: application/json\r\n"
        f"X-Content-Type-Options: nosniff\r\nAccess-Control-Allow-Origin: *\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def refusal_of(error: Exception) -> tuple[int, bytes]:
    """Status and answer for what gunicorn's parser, or a failing application, raised."""
    ours = (errors.InvalidResponseHeader, errors.InvalidResponseHeaderName)
    invalid = isinstance(error, errors.ParseException) and not isinstance(error, ours)
    status = _STATUSES.get(type(error), HTTPStatus.BAD_REQUEST if invalid else HTTPStatus.INTERNAL_SERVER_ERROR)
    return status, refusal(status)
