"""Requests made from the contract, right ones and broken ones."""

import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from hypothesis import strategies as st

from execution_engine.rpc.model import (
    Function,
    ListOf,
    MappingOf,
    Scalar,
    Structure,
    TupleOf,
    Type,
    Typedef,
    Unspecified,
)

Known = Mapping[str, st.SearchStrategy[Any]]


def values(type_: Type, known: Known = MappingProxyType({})) -> st.SearchStrategy[Any]:  # noqa: PLR0911 - one line a kind
    """Values that a type allows; half of those of a type in ``known`` come from there."""
    match type_:
        case Typedef():
            return known[type_.name] | _named(type_, known) if type_.name in known else _named(type_, known)
        case Scalar(kind="string"):
            return st.text(max_size=20)
        case Scalar(kind="int"):
            return st.integers()
        case Scalar():
            return st.floats(allow_nan=False, allow_infinity=False)
        case ListOf():
            return st.lists(values(type_.item, known), max_size=3)
        case MappingOf():
            return st.dictionaries(values(type_.key, known), values(type_.value, known), max_size=3)
        case TupleOf():
            return st.tuples(*(values(item.type, known) for item in type_.items)).map(list)
        case Structure():
            return st.fixed_dictionaries(
                {field.name: values(field.type, known) for field in type_.fields if not field.optional},
                optional={field.name: values(field.type, known) for field in type_.fields if field.optional},
            )
        case Unspecified():
            return junk()


def _named(type_: Typedef, known: Known) -> st.SearchStrategy[Any]:  # noqa: PLR0911 - one line for each annotation
    limits = type_.annotations
    if type_.name == "boolean":
        return st.sampled_from([0, 1, True, False])
    if limits.enum:
        return st.sampled_from(limits.enum)
    if limits.pattern:
        strategy = st.from_regex(limits.pattern.removesuffix("$") + r"\Z")
        return strategy.filter(lambda text: len(text) <= (limits.max_length or len(text)))
    if limits.range and isinstance(type_.target, Scalar):
        bounds = {"min_value": limits.range.low, "max_value": limits.range.high}
        return st.integers(**bounds) if type_.target.kind == "int" else st.floats(**bounds)
    if isinstance(type_.target, ListOf):
        least = limits.min_items or 0
        return st.lists(values(type_.target.item, known), min_size=least, max_size=max(3, least))
    if limits.min_length or limits.max_length:
        return st.text(min_size=limits.min_length or 0, max_size=min(limits.max_length or 20, 20))
    return values(type_.target, known)


ODD_TEXT = st.sampled_from(
    ["\0", "\ud800", "\udfff\ud800", "$where", "a.b", "__proto__", "\u202e", "'; --", "../..", "\r\nX: y", "x" * 5000]
)


def junk() -> st.SearchStrategy[Any]:
    """Any JSON value, the odd ones more often."""
    text = ODD_TEXT | st.text(max_size=5)
    numbers = st.integers() | st.integers(min_value=10**30, max_value=10**40) | st.sampled_from([5.0, -0.0, 1e308])
    leaves = st.none() | st.booleans() | numbers | text
    return st.recursive(
        leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3), max_leaves=8
    )


def places(value: Any) -> list[tuple[Any, Any]]:
    """Every place in a value: the container and the key or index."""
    items: list[tuple[Any, Any]] = list(
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    )
    return [place for key, inner in items for place in [(value, key), *places(inner)]]


@st.composite
def broken(draw: st.DrawFn, good: st.SearchStrategy[Any]) -> Any:
    """Parameters that would be right but for one or two changes, or nothing like it."""
    params = json.loads(json.dumps(draw(good)))
    for _ in range(draw(st.integers(1, 2))):
        act = draw(st.sampled_from(["replace", "remove", "add", "duplicate"]))
        found = places(params)
        if act == "add" or not found:
            params[draw(ODD_TEXT | st.text(max_size=5))] = draw(junk())
            continue
        container, key = draw(st.sampled_from(found))
        if act == "replace":
            container[key] = draw(junk())
        elif act == "remove" or isinstance(container, dict):
            del container[key]
        else:
            container.extend([container[key]] * draw(st.sampled_from([1, 1001])))
    return params


def parameters(function: Function, known: Known = MappingProxyType({})) -> st.SearchStrategy[Any]:
    """What a method takes."""
    return values(function.parameters[0].type, known) if function.parameters else st.builds(dict)
