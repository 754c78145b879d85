"""Texts of deploy.cfg as values."""

import difflib
from collections.abc import Iterable
from typing import Any

from execution_engine.core.errors import ConfigurationError

_TRUE = frozenset({"1", "true", "yes", "on"})
_FALSE = frozenset({"0", "false", "no", "off"})


def unknown_key(where: str, key: str, known: Iterable[str]) -> ConfigurationError:
    """The refusal of a key that the section does not have; ``where`` names file and section."""
    near = difflib.get_close_matches(key, list(known), n=1)
    hint = f" Did you mean {near[0]}?" if near else ""
    return ConfigurationError(f"{where} has no setting {key!r}.{hint}")


def convert(text: str, kind: Any, where: str) -> Any:
    """The text as a value of the kind: bool, int, float, str or ``list[str]``.

    Raises:
        ConfigurationError: it is none; the message begins with ``where``.
    """
    if kind is bool:
        if text.lower() in _TRUE | _FALSE:
            return text.lower() in _TRUE
        raise ConfigurationError(f"{where} is {text!r}; expected true or false.")
    if kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            expected = "a whole number" if kind is int else "a number"
            raise ConfigurationError(f"{where} is {text!r}; expected {expected}.") from None
    return words(text) if kind == list[str] else text


def words(text: str) -> list[str]:
    """What stands between the commas."""
    return [word.strip() for word in text.split(",") if word.strip()]
