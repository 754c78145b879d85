"""Encryption of users' tokens: Fernet keys from a file or the environment, the first encrypts, all decrypt."""

import hashlib
import os
from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from execution_engine.core.errors import ConfigurationError

ENVIRONMENT_VARIABLE = "EE_TOKEN_KEY"


def new_key() -> str:
    """A fresh key, as it stands in a key file."""
    return Fernet.generate_key().decode()


class TokenCipher:
    """Encrypts and decrypts tokens; ``derivation_keys``, newest first, are the roots of credentials."""

    def __init__(self, keys: list[str]) -> None:
        """``keys``: newest first.

        Raises:
            ConfigurationError: no key, or one that is none.
        """
        if not keys:
            raise ConfigurationError(
                "There is no key to encrypt users' tokens with; "
                f"name a file in token-key-file or set {ENVIRONMENT_VARIABLE}."
            )
        try:
            self._fernet = MultiFernet([Fernet(key) for key in keys])
        except ValueError as error:
            raise ConfigurationError(
                "A key for users' tokens is not a Fernet key (32 bytes in URL-safe base64, 44 characters)."
            ) from error
        self.derivation_keys = [
            hashlib.sha256(b"execution-engine/credentials/" + key.encode()).digest() for key in keys
        ]

    def encrypt(self, token: str) -> bytes:
        """The token, unreadable without the key."""
        return self._fernet.encrypt(token.encode())

    def decrypt(self, encrypted: bytes) -> str | None:
        """The token; None if none of the keys fits."""
        try:
            return self._fernet.decrypt(encrypted).decode()
        except InvalidToken:
            return None


def load_cipher(path: str) -> TokenCipher:
    """The cipher with the keys of the file ``path``, or of the environment where ``path`` is empty.

    Raises:
        ConfigurationError: the file can't be read, or as for :class:`TokenCipher`.
    """
    if not path:
        return TokenCipher(os.environ.get(ENVIRONMENT_VARIABLE, "").split())
    try:
        text = Path(path).read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"The key file {path} (token-key-file) can't be read: {error}") from error
    return TokenCipher(text.split())
