"""Voices: how answers sound. One object for each dialect, so that a dialect's clients hear what they expect."""

import json
from typing import Any, NamedTuple, Protocol

from execution_engine.core.errors import EngineError
from execution_engine.rpc.envelope import Request


class Answer(NamedTuple):
    """An HTTP status and what is to be written as JSON; None: nothing is."""

    status: int
    body: dict[str, Any] | None


class Voice(Protocol):
    """What differs between dialects in an answer.

    batch_limit: how many calls an array may hold; 0: arrays are no requests.
    """

    batch_limit: int

    def success(self, request: Request, result: Any) -> Answer:
        """The answer that carries a result; None is the result of a method that returns nothing."""

    def failure(self, request: Request, error: EngineError) -> Answer:
        """The answer that carries an error."""


class NativeVoice:
    """JSON-RPC 1.1 as KBase's own servers speak it, and 2.0 as everybody else does."""

    def __init__(self, batch_limit: int = 100) -> None:
        self.batch_limit = batch_limit

    def success(self, request: Request, result: Any) -> Answer:
        """1.1 puts the result into an array of one; a method without result answers null."""
        if request.version == "1.1":
            wrapped = None if result is None else [result]
            return Answer(200, {"version": "1.1", "id": request.id, "result": wrapped})
        if not request.answered:
            return Answer(204, None)
        return Answer(200, {"jsonrpc": "2.0", "id": request.id, "result": result})

    def failure(self, request: Request, error: EngineError) -> Answer:
        """1.1 answers HTTP 500; KBase's clients break on any further key in the error object."""
        if request.version == "1.1":
            details = json.dumps({**error.data, "reason": error.reason}) if error.data else None
            body = {"name": "JSONRPCError", "code": error.code, "message": error.message, "error": details}
            return Answer(500, {"version": "1.1", "id": request.id, "error": body})
        if not request.answered:
            return Answer(204, None)
        data = {**error.data, "reason": error.reason}
        body = {"code": error.code, "message": error.message, "data": data}
        return Answer(200, {"jsonrpc": "2.0", "id": request.id, "error": body})
