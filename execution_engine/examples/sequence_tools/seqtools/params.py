"""Reading parameters, with messages that say what is wrong and what to do."""

from __future__ import annotations

from typing import Any

from .sdk import AppError


def check_names(params: dict[str, Any], known: tuple[str, ...]) -> None:
    """Refuse a parameter that the function does not have: most often it is misspelt.

    Raises:
        AppError: there is one.
    """
    for name in params:
        if name not in known:
            raise AppError(f"There is no parameter {name!r}; use {', '.join(known)}.")


def whole_number(params: dict[str, Any], name: str, default: int, lowest: int, highest: int) -> int:
    """The parameter, or its default.

    Raises:
        AppError: it is no whole number, or out of range.
    """
    value = params.get(name, default)
    if not isinstance(value, int) or isinstance(value, bool) or not lowest <= value <= highest:
        raise AppError(f"{name} is {value!r}: give a whole number from {lowest} to {highest:,}.")
    return value


def number(params: dict[str, Any], name: str, default: float, highest: float) -> float:
    """The parameter, or its default: more than 0, fractions allowed.

    Raises:
        AppError: it is no number, or out of range.
    """
    value = params.get(name, default)
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not 0 < value <= highest:
        raise AppError(f"{name} is {value!r}: give a number above 0, at most {highest:,}.")
    return float(value)


def flag(params: dict[str, Any], name: str) -> bool:
    """The parameter as yes or no; not given: no.

    Raises:
        AppError: it is neither.
    """
    value = params.get(name, 0)
    if value not in (0, 1):
        raise AppError(f"{name} is {value!r}: give 0 or 1.")
    return bool(value)
