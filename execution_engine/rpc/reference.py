"""Renders the reference of a module's methods from what the code runs on: spec, access rules, table of errors."""

import json
from collections.abc import Iterable, Mapping
from itertools import groupby
from typing import Any

from execution_engine.core.errors import EngineError
from execution_engine.rpc.doc_comments import field_notes
from execution_engine.rpc.examples import example
from execution_engine.rpc.explain import expectation
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
    resolve,
)
from execution_engine.rpc.registry import Method, Registry
from execution_engine.rpc.schema import Policy, type_schema

_SCALARS = {"string": "string", "int": "integer", "float": "number"}


def render_reference(registry: Registry, errors: Iterable[type[EngineError]], known: Mapping[str, Any]) -> str:
    """The reference as Markdown; the same input gives the same text.

    Args:
        registry: complete.
        errors: in the order in which they are to be listed.
        known: example values of named types, see :func:`execution_engine.rpc.examples.example`.
    """
    blocks = [f"# {registry.module.name}", registry.module.doc, *_overview(registry)]
    for heading, methods in groupby(registry.methods_in_order(), key=lambda method: method.function.heading):
        blocks.append(f"## {_capitalised(heading or 'methods')}")
        for method in methods:
            blocks += _method(method, registry, known)
    blocks += ["## Types", *(block for typedef in registry.module.typedefs.values() for block in _type_entry(typedef))]
    blocks += ["## Errors", _table(("code", "reason", "meaning"), map(_error_row, errors))]
    return "\n\n".join(block for block in blocks if block) + "\n"


def _overview(registry: Registry) -> list[str]:
    rows = [
        (f"[{m.function.name}](#{m.function.name})", _first_sentence(m.function.doc), m.access.name)
        for m in registry.methods_in_order()
    ]
    rules = {method.access.name: method.access.description for method in registry.methods_in_order()}
    return [
        _table(("method", "what it does", "who may call it"), rows),
        _table(("who may call", "rule"), sorted(rules.items())),
    ]


def _method(method: Method, registry: Registry, known: Mapping[str, Any]) -> list[str]:
    function = method.function
    call: dict[str, Any] = {"jsonrpc": "2.0", "id": 1, "method": f"{registry.module.name}.{function.name}"}
    if function.parameters:
        call["params"] = example(function.parameters[0].type, known)
    return [
        f"### {function.name}",
        function.doc,
        f"Who may call it: {method.access.name} ({method.access.description}).",
        *_parameters(function),
        f"Returns: {_results(function)}.",
        f"```json\n{json.dumps(call, indent=2)}\n```",
    ]


def _parameters(function: Function) -> list[str]:
    if not function.parameters:
        return ["Parameters: none."]
    return _structure(function.parameters[0].type)


def _results(function: Function) -> str:
    return ", ".join(_phrase(result.type) for result in function.results) or "nothing"


def _type_entry(typedef: Typedef) -> list[str]:
    head = f'<a id="type-{typedef.name}"></a>\n### {typedef.name}'
    if isinstance(typedef.target, Structure):
        return [head, *_structure(typedef)]
    return [head, typedef.doc, f"{_capitalised(_asked(typedef))}."]


def _asked(typedef: Typedef) -> str:
    """What values of a named type look like."""
    if isinstance(typedef.target, Scalar):
        return expectation(type_schema(typedef, Policy()) | {"description": ""})
    limits = expectation({**type_schema(typedef, Policy()), "description": ""})
    items = limits.removeprefix("an array of ") if limits.startswith("an array of ") else ""
    return _phrase(typedef.target) + (f": {items}" if items else "")


def _structure(type_: Type) -> list[str]:
    """The general part of a structure's comment, and the table of its fields."""
    structure = resolve(type_)
    fields = structure.fields if isinstance(structure, Structure) else ()
    doc = type_.doc if isinstance(type_, Typedef) else ""
    general, notes = field_notes(doc, [field.name for field in fields])
    rows = [
        (f"`{field.name}`", _phrase(field.type), "no" if field.optional else "yes", notes.get(field.name, ""))
        for field in fields
    ]
    return [general, _table(("field", "type", "required", "meaning"), rows)]


def _phrase(type_: Type) -> str:
    """A type in words; the names of types are links."""
    match type_:
        case Typedef():
            text = f"[{type_.name}](#type-{type_.name})"
        case ListOf():
            text = f"list of {_phrase(type_.item)}"
        case MappingOf():
            text = f"mapping from {_phrase(type_.key)} to {_phrase(type_.value)}"
        case TupleOf():
            text = f"tuple of {', '.join(_phrase(item.type) for item in type_.items)}"
        case Structure():
            text = f"structure of {', '.join(field.name for field in type_.fields)}"
        case Unspecified():
            text = "any JSON value"
        case Scalar():
            text = _SCALARS[type_.kind]
    return text


def _error_row(error: type[EngineError]) -> tuple[str, str, str]:
    return str(error.code), f"`{error.reason}`", " ".join((error.__doc__ or "").split())


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def _first_sentence(text: str) -> str:
    sentence = " ".join(text.split()).partition(". ")[0]
    return sentence if sentence.endswith((".", "?")) else f"{sentence}."


def _capitalised(text: str) -> str:
    return text[:1].upper() + text[1:]
