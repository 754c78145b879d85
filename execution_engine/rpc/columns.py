"""A quick look at long lists of structures.

A compiled check goes from value to value, which costs a microsecond for each of the 1,000 lines of a log call. Here the
values that stand at the same place, such as the ``ts`` of all lines, are looked at together, with operations that
Python carries out in C. The look answers "right" or "perhaps not"; then the compiled check decides, and finds what is
wrong and where.
"""

import re
from collections.abc import Callable, Sequence
from itertools import chain
from operator import itemgetter
from typing import Any

from execution_engine.rpc.schema import Schema

Look = Callable[[Sequence[Any]], bool]

_NOTES = {"title", "description"}
_UNDERSTOOD = {
    None: _NOTES,
    "string": _NOTES | {"type", "enum", "pattern", "minLength", "maxLength"},
    "integer": _NOTES | {"type", "minimum", "maximum"},
    "number": _NOTES | {"type", "minimum", "maximum"},
    "array": _NOTES | {"type", "items", "minItems", "maxItems"},
    "object": _NOTES | {"type", "properties", "required", "additionalProperties"},
}


def quick_look(schema: Schema) -> Look | None:
    """Whether all of some values are right by the schema; None if it asks for more than can be seen like this."""
    kind = schema.get("type")
    if isinstance(kind, list) or kind not in _UNDERSTOOD or not schema.keys() <= _UNDERSTOOD[kind]:
        return None
    return _MAKERS[kind](schema)


def has_structures_in_lists(schema: Schema) -> bool:
    """Whether a value may hold a list of structures: only then a quick look pays."""
    if schema.get("type") == "array" and isinstance(schema.get("items"), dict):
        return schema["items"].get("type") == "object" or has_structures_in_lists(schema["items"])
    return any(has_structures_in_lists(field) for field in schema.get("properties", {}).values())


def _anything(_: Sequence[Any]) -> bool:
    return True


def _strings(schema: Schema) -> Look:
    allowed = frozenset(schema["enum"]) if "enum" in schema else None
    search = re.compile(schema["pattern"]).search if "pattern" in schema else None
    low, high = schema.get("minLength"), schema.get("maxLength")

    def look(values: Sequence[Any]) -> bool:
        if not set(map(type, values)) <= {str}:
            return False
        if (low or high is not None) and not _between(list(map(len, values)), low, high):
            return False
        return (allowed is None or allowed.issuperset(values)) and (search is None or all(map(search, values)))

    return look


def _numbers(schema: Schema) -> Look:
    types = {int} if schema["type"] == "integer" else {int, float}
    low, high = schema.get("minimum"), schema.get("maximum")

    def look(values: Sequence[Any]) -> bool:
        return set(map(type, values)) <= types and _between(values, low, high)

    return look


def _arrays(schema: Schema) -> Look | None:
    items = quick_look(schema["items"]) if isinstance(schema.get("items"), dict) else None
    if items is None:
        return None
    low, high = schema.get("minItems"), schema.get("maxItems")

    def look(values: Sequence[Any]) -> bool:
        if not set(map(type, values)) <= {list} or not _between(list(map(len, values)), low, high):
            return False
        return items is _anything or items(list(chain.from_iterable(values)))

    return look


def _objects(schema: Schema) -> Look | None:
    looks = {name: quick_look(field) for name, field in schema.get("properties", {}).items()}
    fields = {name: look for name, look in looks.items() if look is not None}
    required, others = set(schema.get("required", ())), schema.get("additionalProperties", True)
    if len(fields) < len(looks) or not required <= fields.keys() or others not in (True, False):
        return None

    def look(values: Sequence[Any]) -> bool:
        if not set(map(type, values)) <= {dict}:
            return False
        columns = _columns(values, list(fields), required, closed=not others)
        return columns is not None and all(
            right(column) for right, column in zip(fields.values(), columns, strict=True)
        )

    return look


def _columns(
    values: Sequence[dict[str, Any]], names: Sequence[str], required: set[str], *, closed: bool
) -> list[list[Any]] | None:
    """The values of each field, as far as there are any; None if a structure lacks a field or has one too many."""
    if closed and set(map(len, values)) == {len(names)}:
        # With as many fields as there may be, a structure has all of them or an unknown one.
        try:
            return [list(map(itemgetter(name), values)) for name in names]
        except KeyError:
            return None
    for found in set(map(tuple, values)):
        if not required.issubset(found) or (closed and not set(found).issubset(names)):
            return None
    return [[value[name] for value in values if name in value] for name in names]


def _between(numbers: Sequence[Any], low: float | None, high: float | None) -> bool:
    if not numbers:
        return True
    return (low is None or min(numbers) >= low) and (high is None or max(numbers) <= high)


_MAKERS: dict[str | None, Callable[[Schema], Look | None]] = {
    None: lambda _: _anything,
    "string": _strings,
    "integer": _numbers,
    "number": _numbers,
    "array": _arrays,
    "object": _objects,
}
