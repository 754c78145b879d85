"""From KIDL's types to JSON Schema.

The schemas say the same under draft-04 and draft-07. They are compiled as draft-04, whose integers are integers:
later drafts let 5.0 pass for one.
"""

import re
from dataclasses import dataclass
from typing import Any, Literal

from execution_engine.rpc.model import (
    Annotations,
    Function,
    ListOf,
    MappingOf,
    Range,
    Scalar,
    Structure,
    TupleOf,
    Type,
    Typedef,
    Unspecified,
)

DRAFT = "http://json-schema.org/draft-04/schema#"

Schema = dict[str, Any]

_JSON_TYPES = {"string": "string", "int": "integer", "float": "number"}
_DIGITS = {"integer": r"^-?[0-9]+\Z", "number": r"^-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?\Z"}
_UNESCAPED_DOLLAR = re.compile(r"(?<!\\)\$$")


@dataclass(frozen=True, slots=True)
class Policy:
    """How strictly a module takes what KIDL leaves open.

    unknown_keys: whether a structure may have fields that the spec does not name.
    booleans: whether true and false are taken where the spec says ``boolean``, a typedef of int.
    """

    unknown_keys: Literal["refuse", "accept"] = "refuse"
    booleans: bool = True


def parameter_schema(function: Function, policy: Policy) -> Schema:
    """The schema of the one structure that a method takes; empty if it takes none."""
    return type_schema(function.parameters[0].type if function.parameters else Structure(()), policy)


def result_schema(function: Function, policy: Policy) -> Schema:
    """The schema of the one value that a method returns, null if it returns none. Booleans are 0 or 1."""
    strict = Policy(policy.unknown_keys, booleans=False)
    return type_schema(function.results[0].type, strict) if function.results else {"type": "null"}


def type_schema(type_: Type, policy: Policy) -> Schema:
    """The schema of one type."""
    schema: Schema
    match type_:
        case Scalar():
            schema = {"type": _JSON_TYPES[type_.kind]}
        case Unspecified():
            schema = {}
        case ListOf():
            schema = {"type": "array", "items": type_schema(type_.item, policy)}
        case MappingOf():
            schema = _mapping(type_, policy)
        case TupleOf():
            schema = _tuple([item.type for item in type_.items], policy)
        case Structure():
            schema = _structure(type_, policy)
        case Typedef():
            schema = _typedef(type_, policy)
    return schema


def _tuple(types: list[Type], policy: Policy) -> Schema:
    # Without a list of items the two validators take an empty one for "anything".
    count = {"minItems": len(types), "maxItems": len(types)}
    return {"type": "array", **count} | ({"items": [type_schema(t, policy) for t in types]} if types else {})


def _mapping(type_: MappingOf, policy: Policy) -> Schema:
    """An object; its keys are strings, and obey what their type asks of one."""
    value = type_schema(type_.value, policy)
    key = type_schema(type_.key, policy)
    if "enum" in key:
        return {"type": "object", "properties": dict.fromkeys(key["enum"], value), "additionalProperties": False}
    pattern = key.get("pattern") or _DIGITS.get(key.get("type", ""))
    if pattern is None:
        return {"type": "object", "additionalProperties": value}
    return {"type": "object", "patternProperties": {pattern: value}, "additionalProperties": False}


def _structure(type_: Structure, policy: Policy) -> Schema:
    schema: Schema = {"type": "object"}
    if policy.unknown_keys == "refuse":
        schema["additionalProperties"] = False
    required = [field.name for field in type_.fields if not field.optional]
    if required:
        schema["required"] = required
    schema["properties"] = {field.name: type_schema(field.type, policy) for field in type_.fields}
    return schema


def _typedef(type_: Typedef, policy: Policy) -> Schema:
    """The named type's own limits replace those of the type that it names."""
    target = type_schema(type_.target, policy)
    if type_.name == "boolean" and target.get("type") == "integer":
        kinds = ["integer", "boolean"] if policy.booleans else "integer"
        return {"title": type_.name, "type": kinds, "minimum": 0, "maximum": 1}
    return target | {"title": type_.name, "description": type_.doc} | _limits(type_.annotations)


def _limits(annotations: Annotations) -> Schema:
    limits: Schema = {}
    if annotations.min_items is not None:
        limits["minItems"] = annotations.min_items
    if annotations.max_items is not None:
        limits["maxItems"] = annotations.max_items
    if annotations.min_length is not None:
        limits["minLength"] = annotations.min_length
    if annotations.max_length is not None:
        limits["maxLength"] = annotations.max_length
    if annotations.enum is not None:
        limits["enum"] = list(annotations.enum)
    if annotations.pattern is not None:
        # Python's $ also matches before a line end at the very end.
        limits["pattern"] = _UNESCAPED_DOLLAR.sub(r"\\Z", annotations.pattern)
    if annotations.range is not None:
        limits |= _bounds(annotations.range)
    return limits


def _bounds(bounds: Range) -> Schema:
    """An excluded bound is written so that every draft understands it."""
    schema: Schema = {}
    excluded = []
    if bounds.low is not None:
        schema["minimum"] = bounds.low
        excluded += [] if bounds.low_included else [bounds.low]
    if bounds.high is not None:
        schema["maximum"] = bounds.high
        excluded += [] if bounds.high_included else [bounds.high]
    if excluded:
        schema["not"] = {"enum": excluded}
    return schema
