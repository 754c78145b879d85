"""Checks of parameters, with the Catalog's own messages."""

from collections.abc import Mapping
from typing import Any

Params = Mapping[str, Any]


def text(params: Params, name: str) -> str | None:
    """An optional string.

    Raises:
        ValueError: it is something else.
    """
    value = params.get(name)
    if value is not None and not isinstance(value, str):
        raise ValueError(f"{name} parameter field must be a string")
    return value


def required_text(params: Params, name: str) -> str:
    """A string that must be there.

    Raises:
        ValueError: it is missing or something else.
    """
    value = text(params, name)
    if value is None:
        raise ValueError(f"{name} parameter field is required")
    return value


def text_list(params: Params, name: str) -> list[str]:
    """A list of strings, empty when absent.

    Raises:
        ValueError: it is something else.
    """
    values = params.get(name)
    if values is None:
        return []
    if not isinstance(values, list):
        raise ValueError(f"{name} parameter must be a list")  # noqa: TRY004  clients read this type
    if not all(isinstance(value, str) for value in values):
        raise ValueError(f"{name} parameter must be a list of strings")
    return values
