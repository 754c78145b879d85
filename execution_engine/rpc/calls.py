"""Carries out the calls of one request and writes their answers, whatever happens in them."""

import json
import logging
import time
from collections.abc import Callable
from typing import Any, NamedTuple

from execution_engine.core import context as at_work
from execution_engine.core.errors import EngineError, InternalError, InvalidRequest
from execution_engine.rpc.envelope import UNREADABLE, Request, read_request
from execution_engine.rpc.reading import Body, too_large
from execution_engine.rpc.registry import Method, Registry
from execution_engine.rpc.voices import Answer, Voice

Translate = Callable[[Exception], EngineError | None]

_log = logging.getLogger("execution_engine.rpc")
# A result that contains itself ends in a RecursionError too; looking for one costs a tenth of the time.
_encode = json.JSONEncoder(separators=(",", ":"), allow_nan=False, check_circular=False).encode
_BATCH = UNREADABLE._replace(version="2.0")


class Written(NamedTuple):
    """An answer ready to be sent: HTTP status and body."""

    status: int
    body: bytes


class Context(NamedTuple):
    """What the calls of one HTTP request have in common."""

    registry: Registry
    authorization: str | None
    request_id: str


class Calls:
    """Carries out calls.

    ordinary_body: bytes that a request may have, unless its method takes larger ones.
    translate: makes an EngineError of an exception of another kind that a handler let through; None: it can't.
    check_results: whether results are held against the spec as well.
    """

    def __init__(self, ordinary_body: int, translate: Translate | None, *, check_results: bool) -> None:
        self._ordinary_body = ordinary_body
        self._translate = translate
        self._check_results = check_results

    def answer(self, context: Context, body: Body) -> Written:
        """The answer to a request: one call, or a batch of them."""
        if isinstance(body.message, list) and context.registry.voice.batch_limit:
            return self._answer_batch(context, body)
        return self._answer_one(context, body, read_request(body.message))

    def refuse(self, context: Context, error: EngineError, request: Request = UNREADABLE) -> Written:
        """The answer to what could not be read as calls."""
        _record("-", error.reason, 0.0, context.request_id)
        return _write(context.registry.voice.failure(request, error))

    def _answer_batch(self, context: Context, body: Body) -> Written:
        messages = body.message
        limit = context.registry.voice.batch_limit
        if not 1 <= len(messages) <= limit:
            error = InvalidRequest(f"A batch holds 1 to {limit} calls, found {len(messages)}.")
            return self.refuse(context, error, _BATCH)
        answers = [self._answer_one(context, body, _read_batched(message)) for message in messages]
        bodies = [answer.body for answer in answers if answer.body]
        return Written(200, b"[" + b",".join(bodies) + b"]") if bodies else Written(204, b"")

    def _answer_one(self, context: Context, body: Body, request: Request) -> Written:
        at_work.begin_call()
        start = time.perf_counter()
        voice = context.registry.voice
        name = "-"
        outcome = "ok"
        try:
            method = self._method(context.registry, request, body.size)
            name = method.function.name
            result = method.call(context.authorization, request.params, odd_text=body.odd_text)
            if self._check_results:
                method.check_result(result)
            written = _write(voice.success(request, result))
        except Exception as exception:  # noqa: BLE001 - the net under everything: no caller ever sees a stack trace
            error = self._as_engine_error(exception, name, context.request_id)
            outcome = error.reason
            written = _write_failure(voice, request, error)
        _record(name, outcome, time.perf_counter() - start, context.request_id)
        return written

    def _method(self, registry: Registry, request: Request, size: int) -> Method:
        if request.fault is not None:
            raise InvalidRequest(f"This is no JSON-RPC request: {request.fault}.")
        method = registry.find(request.method)
        if size > self._ordinary_body and not method.large_body:
            raise too_large(size, self._ordinary_body)
        return method

    def _as_engine_error(self, exception: Exception, name: str, request_id: str) -> EngineError:
        """What the caller is told; what the caller is not told goes into the log."""
        error = exception if isinstance(exception, EngineError) else None
        if error is None and self._translate is not None:
            error = self._translate(exception)
        if error is None or isinstance(error, InternalError):
            _log.error("%s failed, request %s", name, request_id, exc_info=exception, extra={"request_id": request_id})
            return InternalError(f"{InternalError.__doc__} Request id: {request_id}", request_id=request_id)
        return error


def _read_batched(message: Any) -> Request:
    """One call of an array; arrays are JSON-RPC 2.0."""
    request = read_request(message)
    if request.version == "2.0":
        return request
    fault = "in an array every call needs jsonrpc: '2.0'" if isinstance(message, dict) else request.fault
    return request._replace(version="2.0", fault=fault)


def _write(answer: Answer) -> Written:
    return Written(answer.status, b"" if answer.body is None else _encode(answer.body).encode())


def _write_failure(voice: Voice, request: Request, error: EngineError) -> Written:
    try:
        return _write(voice.failure(request, error))
    except (TypeError, ValueError, RecursionError):
        _log.exception("the details of the error %s are not JSON", error.reason)
        return _write(voice.failure(request, type(error)(error.message)))


def _record(name: str, outcome: str, seconds: float, request_id: str) -> None:
    """One line for each call; parameters and tokens never get here."""
    if _log.isEnabledFor(logging.INFO):
        ms = round(seconds * 1000, 2)
        fields = {"method": name, "outcome": outcome, "ms": ms, "request_id": request_id}
        _log.info("%s %s %s ms", name, outcome, ms, extra=fields)
