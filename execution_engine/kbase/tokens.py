"""KBase tokens on their way into a request or a cache."""

import hashlib

from execution_engine.core.errors import TokenInvalid, TokenMissing

MAX_TOKEN_CHARS = 1000


def clean_token(token: str | None) -> str:
    """The token without surrounding white space, fit for a header.

    Raises:
        TokenMissing: there is none.
        TokenInvalid: no service could have issued it, so none needs to be asked; nothing of it is repeated in the text.
    """
    stripped = (token or "").strip()
    if not stripped:
        raise TokenMissing
    if len(stripped) > MAX_TOKEN_CHARS:
        raise TokenInvalid(f"Token validation failed: the token is longer than {MAX_TOKEN_CHARS} characters.")
    if not stripped.isprintable() or max(stripped) > "\xff":
        raise TokenInvalid("Token validation failed: the token has characters that no token has.")
    return stripped


def token_key(token: str) -> bytes:
    """What stands for a token in memory: its SHA-256, so that no cache or dump holds the token itself."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
