"""What is wrong with a value, in one sentence: where, what was expected, what was found."""

import difflib
import re
from collections.abc import Iterable
from typing import Any

from fastjsonschema import JsonSchemaValueException

from execution_engine.rpc.schema import Schema

_LONGEST_SHOWN = 24
_SHOWN_OF_LONGER = 8
_LONGEST_PATH = 200
_NOUNS = {"string": "a string", "integer": "an integer", "number": "a number", "object": "an object", "null": "null"}


def explain(error: JsonSchemaValueException, root: str) -> str:
    """The sentence for one failed check; ``root`` is what the checked value is called, as in ``params``."""
    path = cut(root + str(error.name).removeprefix("data"), _LONGEST_PATH)
    if error.rule in ("required", "additionalProperties"):
        return _explain_keys(path, error.definition, error.value)
    return f"{path}: expected {expectation(error.definition)}, found {found(error.value)}"


def expectation(schema: Schema) -> str:
    """What a schema asks for, as a noun phrase."""
    kind = schema.get("type")
    if isinstance(kind, list):
        text = "0, 1, true or false"
    elif "enum" in schema:
        text = f"one of {', '.join(schema['enum'])}"
    elif kind == "array":
        text = "an array" + _span(schema.get("minItems"), schema.get("maxItems"), "items")
    else:
        text = _NOUNS[kind] if kind else "any value"
        text += _span(schema.get("minLength"), schema.get("maxLength"), "characters")
        text += _bounds(schema)
    if "pattern" in schema:
        text += f" matching {_readable(schema['pattern'])}"
    note = schema.get("description", "").partition("\n")[0].rstrip(".")
    return f"{text} ({schema['title']}: {note})" if note else text


def found(value: Any) -> str:
    """A value in a few words; of a long string, which may be a secret in the wrong place, only the beginning."""
    if isinstance(value, str):
        if len(value) <= _LONGEST_SHOWN:
            return repr(value)
        return f"{value[:_SHOWN_OF_LONGER]!r}… ({len(value)} characters)"
    if isinstance(value, list):
        return f"an array of {len(value)} items" if len(value) != 1 else "an array of 1 item"
    if isinstance(value, dict):
        return "an object"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return cut(repr(value), _LONGEST_SHOWN)


def cut(text: str, length: int) -> str:
    """The text, shortened to so many characters."""
    return text if len(text) <= length else f"{text[: length - 1]}…"


def closest(name: str, known: Iterable[str]) -> str:
    """A hint at the known name that was probably meant, or nothing."""
    matches = difflib.get_close_matches(name[:_LONGEST_PATH], list(known), n=1)
    return f"; did you mean {matches[0]}?" if matches else ""


def _explain_keys(path: str, schema: Schema, value: dict[str, Any]) -> str:
    """An unknown key, or else a missing one: the unknown one may be the missing one, misspelled."""
    properties: dict[str, Schema] = schema.get("properties", {})
    if schema.get("additionalProperties") is False and "patternProperties" not in schema:
        for key in value:
            if key not in properties:
                known = f"known are {', '.join(properties)}" if properties else "no fields are known here"
                return f"{path}: unknown field {found(key)}{closest(key, properties) or '; ' + known}"
    for key in schema.get("required", ()):
        if key not in value:
            return f"{path}.{key}: missing; expected {expectation(properties[key])}"
    (pattern,) = schema["patternProperties"]
    odd = next(key for key in value if not re.search(pattern, key))
    return f"{path}: expected keys matching {_readable(pattern)}, found {found(odd)}"


def _span(low: int | None, high: int | None, unit: str) -> str:
    """`` of 1 to 200 characters`` and the like; nothing where there are no bounds."""
    if low is None and high is None:
        return ""
    if low is None:
        return f" of at most {high} {unit}"
    if high is None:
        return f" of at least {low} {unit}"
    return f" of {low} {unit}" if low == high else f" of {low} to {high} {unit}"


def _bounds(schema: Schema) -> str:
    """`` from 1 to 1000``; a bound that is itself excluded is ``above`` or ``below``."""
    low, high = schema.get("minimum"), schema.get("maximum")
    excluded = schema.get("not", {}).get("enum", ())
    words = []
    if low is not None:
        words.append(f" {'above' if low in excluded else 'from'} {low}")
    if high is not None:
        words.append(f" {'below' if high in excluded else 'to' if low is not None else 'up to'} {high}")
    return " and".join(words) if excluded else "".join(words)


def _readable(pattern: str) -> str:
    return pattern.replace(r"\Z", "$")
