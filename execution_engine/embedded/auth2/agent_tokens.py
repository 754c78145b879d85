"""The request for an agent token: its JSON body, checked."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from execution_engine.embedded.auth2.errors import ILLEGAL_PARAMETER, MISSING_PARAMETER, AuthError

MAX_NAME = 30
MAX_CONTEXT = 20  # pairs
MAX_CONTEXT_KEY = 20
MAX_CONTEXT_VALUE = 80


@dataclass(frozen=True, slots=True)
class AgentTokenRequest:
    """The token's name and the context that its maker attached to it."""

    name: str
    custom: Mapping[str, str]


def agent_token_request(body: bytes) -> AgentTokenRequest:
    """The request in ``body``, ``{"name": …, "customcontext": {…}}``.

    Raises:
        AuthError: it is not JSON, the name is missing or too long, or there is anything else in it.
    """
    try:
        request = json.loads(body)
    except (ValueError, RecursionError):
        raise AuthError(ILLEGAL_PARAMETER, "The request body is not JSON") from None
    if not isinstance(request, dict):
        raise AuthError(MISSING_PARAMETER, "JSON body missing")
    if unexpected := sorted(request.keys() - {"name", "customcontext"}):
        raise AuthError(ILLEGAL_PARAMETER, f"Unexpected parameters in request: {', '.join(unexpected)}")
    return AgentTokenRequest(_name(request.get("name")), _context(request.get("customcontext")))


def _name(name: Any) -> str:
    if name is not None and not isinstance(name, str):
        raise AuthError(ILLEGAL_PARAMETER, "token name must be a string")
    if not name or not name.strip():
        raise AuthError(MISSING_PARAMETER, "token name")
    if len(name.strip()) > MAX_NAME:
        raise AuthError(ILLEGAL_PARAMETER, f"token name size greater than limit {MAX_NAME}")
    return name.strip()


def _context(context: Any) -> Mapping[str, str]:
    if context is None:
        return {}
    if not isinstance(context, dict) or not all(isinstance(value, str) for value in context.values()):
        raise AuthError(ILLEGAL_PARAMETER, "customcontext must be a mapping of strings to strings")
    if len(context) > MAX_CONTEXT:
        raise AuthError(ILLEGAL_PARAMETER, f"customcontext has more than {MAX_CONTEXT} entries")
    for key, value in context.items():
        if len(key) > MAX_CONTEXT_KEY or len(value) > MAX_CONTEXT_VALUE:
            raise AuthError(
                ILLEGAL_PARAMETER,
                f"customcontext {key[:MAX_CONTEXT_KEY]!r}: keys have at most {MAX_CONTEXT_KEY} characters, "
                f"values {MAX_CONTEXT_VALUE}",
            )
    return context
