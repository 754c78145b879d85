"""Example values of KIDL's types, for documentation."""

from collections.abc import Mapping
from typing import Any

from execution_engine.rpc.model import ListOf, MappingOf, Scalar, Structure, TupleOf, Type, Typedef, Unspecified


def example(type_: Type, known: Mapping[str, Any]) -> Any:
    """A value of the type, with the required fields of structures only.

    Args:
        type_: the type.
        known: values of named types by name.

    Raises:
        ValueError: a named type has a pattern, and no value is known.
    """
    value: Any
    match type_:
        case Typedef():
            value = known[type_.name] if type_.name in known else _of_typedef(type_, known)
        case Structure():
            value = {field.name: example(field.type, known) for field in type_.fields if not field.optional}
        case ListOf():
            value = [example(type_.item, known)]
        case MappingOf():
            value = {str(example(type_.key, known)): example(type_.value, known)}
        case TupleOf():
            value = [example(item.type, known) for item in type_.items]
        case Unspecified():
            value = {}
        case Scalar():
            value = {"string": "text", "int": 1, "float": 0.5}[type_.kind]
    return value


def _of_typedef(type_: Typedef, known: Mapping[str, Any]) -> Any:
    annotations = type_.annotations
    if annotations.enum is not None:
        return annotations.enum[0]
    if annotations.range is not None and annotations.range.low is not None:
        return annotations.range.low
    if annotations.pattern is not None:
        raise ValueError(f"there is no example for {type_.name}, which has a pattern")
    return example(type_.target, known)
