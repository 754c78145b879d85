"""Tokens as KBase makes them, and the hash that stands for one in the database."""

import base64
import hashlib
import secrets

TOKEN_BYTES = 20  # 160 bits are exactly 32 characters of base 32


def new_token() -> str:
    """A random token: 32 characters A-Z2-7."""
    return base64.b32encode(secrets.token_bytes(TOKEN_BYTES)).decode()


def token_hash(token: str) -> str:
    """The SHA-256 of a token, in hex: all that the database ever holds of it.

    No salt and no stretching: a token is random, so that there is nothing to guess.
    """
    return hashlib.sha256(token.encode(errors="surrogatepass")).hexdigest()
