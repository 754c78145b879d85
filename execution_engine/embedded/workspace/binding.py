"""Parameters from JSON to dataclasses, as forgiving and as strict as the real service.

Numbers may come as strings and strings as numbers; absent and null are the same, but a list with null is refused.
Unknown keys are refused by the name of the structure, after the types of all known ones were found right.
"""

import dataclasses
import math
import re
from collections.abc import Mapping
from functools import cache
from types import NoneType, UnionType
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from execution_engine.embedded.workspace.errors import WorkspaceError

T = TypeVar("T")
WIRE_NAME = "wire_name"
LARGEST = 2**63 - 1  # what the real service and MongoDB hold

_INTEGER = re.compile(r"\s*[+-]?[0-9]{1,20}\s*")


class WrongType(Exception):
    """A value has another type than its place in the structure."""

    def __init__(self, path: str, expected: str, found: Any) -> None:
        super().__init__(f"{path or 'the parameter'}: expected {expected}, found {_described(found)}")


def _described(value: Any) -> str:
    match value:
        case dict():
            return "an object"
        case list():
            return "a list"
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case str():
            return f'"{value[:100]}"'
        case _:
            return str(value)[:100]


def bind(kind: type[T], value: Any) -> T:
    """Make a ``kind`` (a dataclass whose fields are all optional) of a JSON value.

    Raises:
        WrongType: a value does not fit.
        WorkspaceError: the value or an element of a list is null, or a structure has an unknown key.
    """
    if value is None:
        raise WorkspaceError(f"{kind.__name__} must not be null")
    unexpected: list[str] = []
    bound: T = _structure(kind, value, "", unexpected)
    if unexpected:
        raise WorkspaceError(unexpected[0])
    return bound


@cache
def _fields(kind: type) -> Mapping[str, tuple[str, Any]]:
    """By key in JSON: the attribute's name and its type without the "or None" that all have."""
    hints = get_type_hints(kind)
    return {
        field.metadata.get(WIRE_NAME, field.name): (field.name, _without_none(hints[field.name]))
        for field in dataclasses.fields(kind)
    }


def _without_none(hint: Any) -> Any:
    return next((arg for arg in get_args(hint) if arg is not NoneType), hint) if isinstance(hint, UnionType) else hint


def _structure(kind: Any, value: Any, path: str, unexpected: list[str]) -> Any:
    if not isinstance(value, dict):
        raise WrongType(path, f"an object ({kind.__name__})", value)
    fields = _fields(kind)
    if extra := [key for key in value if key not in fields]:
        unexpected.append(f"Unexpected arguments in {kind.__name__}: {' '.join(extra)}")
    return kind(
        **{
            attribute: _convert(hint, value[key], f"{path}.{key}" if path else key, unexpected)
            for key, (attribute, hint) in fields.items()
            if key in value
        }
    )


def _convert(hint: Any, value: Any, path: str, unexpected: list[str]) -> Any:
    if value is None or hint is Any:
        return value
    if hint is str:
        return _text(value, path)
    if hint is int:
        return _integer(value, path)
    if get_origin(hint) is list:
        return _list(get_args(hint)[0], value, path, unexpected)
    if get_origin(hint) is dict:
        if not isinstance(value, dict):
            raise WrongType(path, "an object", value)
        return {_text(key, path): _text(item, f"{path}.{key}") for key, item in value.items()}
    return _structure(hint, value, path, unexpected)


def _list(item_hint: Any, value: Any, path: str, unexpected: list[str]) -> list[Any]:
    if not isinstance(value, list):
        raise WrongType(path, "a list", value)
    for place, item in enumerate(value):
        if item is None and item_hint is not Any:
            raise WorkspaceError(f"{path}[{place}] must not be null")
    return [_convert(item_hint, item, f"{path}[{place}]", unexpected) for place, item in enumerate(value)]


def _text(value: Any, path: str) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    if not isinstance(value, str):
        raise WrongType(path, "a string", value)
    try:
        value.encode()
    except UnicodeEncodeError:
        raise WrongType(path, "a string of Unicode characters", ascii(value)) from None
    return value


def _integer(value: Any, path: str) -> int:
    number = value
    if (isinstance(value, str) and _INTEGER.fullmatch(value)) or (isinstance(value, float) and math.isfinite(value)):
        number = int(value)
    if isinstance(number, bool) or not isinstance(number, int) or abs(number) > LARGEST:
        raise WrongType(path, "an integer of at most 64 bits", value)
    return number
