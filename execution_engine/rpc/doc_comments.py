"""Doc comments of a KIDL file: their text, and the annotations in it.

KIDL's own annotations read here are ``@optional`` and ``@range``; ``@enum``, ``@pattern``, ``@min_length``,
``@max_length``, ``@min_items`` and ``@max_items`` are ours, and KBase's compiler passes over them as it does over every
annotation that it does not know. So does this module: ``@deprecated``, ``@id``, ``@metadata`` … mean nothing here.
"""

import re
from collections.abc import Collection
from typing import Any

from execution_engine.rpc.model import Annotations, Range

_ANNOTATION = re.compile(r"@([A-Za-z_]+)(?:\s+(.*))?$")
_RANGE = re.compile(r"([\[(\]]?)([^,\[\]()]*)(?:,([^,\[\]()]*))?([\])\[]?)")
_NUMBER = re.compile(r"[+-]?[0-9]{1,30}(\.[0-9]{1,30})?([eE][+-]?[0-9]{1,2})?")
_COUNTS = ("min_length", "max_length", "min_items", "max_items")


def comment_text(comment: str) -> str:
    """The text of a comment, without its frame and its annotations."""
    return "\n".join(line for line in _lines(comment) if not _ANNOTATION.match(line)).strip()


def comment_annotations(comment: str) -> Annotations:
    """The annotations in a comment; raises ValueError, which names the one that can't be read."""
    found: dict[str, Any] = {}
    for line in _lines(comment):
        annotation = _ANNOTATION.match(line)
        if annotation is not None:
            _read_annotation(annotation[1], (annotation[2] or "").strip(), found)
    return Annotations(**found)


def field_notes(text: str, fields: Collection[str]) -> tuple[str, dict[str, str]]:
    """Tells the general part of a structure's comment from its notes on fields.

    A note begins with ``field:`` at the beginning of a line or behind a full stop or semicolon, and ends at the next
    one or at a line that begins with a capital.
    """
    notes: dict[str, str] = {}
    general: list[str] = []
    field = None
    for line in text.splitlines():
        if line[:1].isupper():
            field = None
        for piece in re.split(r"(?<=[.;]) +(?=[A-Za-z0-9_]+: )", line):
            name, colon, rest = piece.partition(": ")
            if colon and name in fields:
                field, piece = name, rest  # noqa: PLW2901 - the note without its name
            if field is None:
                general.append(piece)
            else:
                notes[field] = f"{notes.get(field, '')} {piece}".strip()
    return "\n".join(general), {name: note.rstrip(";.") for name, note in notes.items()}


def _lines(comment: str) -> list[str]:
    """The comment's lines without the slashes and the stars that frame them."""
    inner = comment.removeprefix("/*").removesuffix("*/")
    return [line.strip().lstrip("*").strip() for line in inner.splitlines()]


def _read_annotation(name: str, value: str, found: dict[str, Any]) -> None:
    if name == "optional":
        found["optional"] = (*found.get("optional", ()), *value.split())
    elif name == "range":
        found["range"] = _read_range(value)
    elif name == "enum":
        if not value:
            raise ValueError("@enum names no values; expected words separated by spaces")
        found["enum"] = (*found.get("enum", ()), *value.split())
    elif name == "pattern":
        try:
            re.compile(value)
        except re.error as error:
            raise ValueError(f"@pattern {value} is no regular expression: {error}") from None
        found["pattern"] = value
    elif name in _COUNTS:
        if not re.fullmatch(r"[0-9]{1,15}", value):
            raise ValueError(f"@{name} {value}: expected a whole number from 0 on")
        found[name] = int(value)


def _read_range(value: str) -> Range:
    """``[1,10]``; ``(`` or ``]`` before, ``)`` or ``[`` behind exclude a bound; what is left out does not bound."""
    parts = _RANGE.fullmatch("".join(value.split()))
    if parts is None or not value:
        raise ValueError(f"@range {value}: expected two bounds, as in [0,100]")
    low, high = _bound(parts[2]), _bound(parts[3] or "")
    if low is not None and high is not None and low > high:
        raise ValueError(f"@range {value}: the lower bound is above the upper one")
    return Range(low, high, parts[1] not in ("(", "]"), parts[4] not in (")", "["))


def _bound(text: str) -> float | None:
    if not text:
        return None
    if not _NUMBER.fullmatch(text):
        raise ValueError(f"@range: {text} is no number")
    return float(text) if set(text) & set(".eE") else int(text)
