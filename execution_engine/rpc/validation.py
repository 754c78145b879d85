"""Checks values against the contract: fast where they are right, with a sentence that helps where they are not."""

import json
import re
from typing import Any

import fastjsonschema

from execution_engine.core.errors import InvalidParams
from execution_engine.rpc.columns import has_structures_in_lists, quick_look
from execution_engine.rpc.explain import cut, explain
from execution_engine.rpc.model import ListOf, MappingOf, Structure, TupleOf, Type, Unspecified, resolve
from execution_engine.rpc.schema import DRAFT, Schema

_LONE_SURROGATE = re.compile("[\ud800-\udfff]")
_ANYTHING = Unspecified()
_encode = json.JSONEncoder(ensure_ascii=False, check_circular=False).encode


class Check:
    """Checks values against one schema; compiled once, a few microseconds a value."""

    def __init__(self, schema: Schema, root: str) -> None:
        """``root`` is what messages call the value, as in ``params``."""
        self._root = root
        self._look = quick_look(schema) if has_structures_in_lists(schema) else None
        self._validate = fastjsonschema.compile({"$schema": DRAFT, **schema}, use_default=False, use_formats=False)

    def __call__(self, value: Any) -> None:
        """Raises InvalidParams, which names the place, what was expected and what was found."""
        if self._look is not None and self._look([value]):
            return
        try:
            self._validate(value)
        except fastjsonschema.JsonSchemaValueException as error:
            raise InvalidParams(explain(error, self._root)) from None


def check_text(value: Any, type_: Type, path: str) -> None:
    """Refuses text that can't be kept: lone surrogates anywhere, and NUL outside of UnspecifiedObject.

    A lone surrogate has no UTF-8. NUL has, but no name, id or message has a use for it.

    Raises:
        InvalidParams: names the place.
    """
    type_ = resolve(type_)
    if isinstance(type_, Unspecified) and isinstance(value, list | dict) and _has_utf8(value):
        return
    if isinstance(value, str):
        _check_string(value, path, nul_allowed=isinstance(type_, Unspecified))
    elif isinstance(value, dict):
        for key, item in value.items():
            _check_string(key, f"the key {cut(ascii(key), 40)} in {path}", nul_allowed=isinstance(type_, Unspecified))
            check_text(item, _type_below(type_, key), f"{path}.{key}")
    elif isinstance(value, list):
        for index, item in enumerate(value):
            check_text(item, _type_below(type_, index), f"{path}[{index}]")


def _has_utf8(value: Any) -> bool:
    """Whether all text in a value has UTF-8; found out in C, because such a value may have millions of items."""
    try:
        _encode(value).encode()
    except UnicodeEncodeError:
        return False
    return True


def _check_string(text: str, path: str, *, nul_allowed: bool) -> None:
    path = cut(path, 200)
    surrogate = _LONE_SURROGATE.search(text)
    if surrogate is not None:
        raise InvalidParams(f"{path}: has half of a surrogate pair, \\u{ord(surrogate[0]):04x}, which is no character")
    if not nul_allowed and "\0" in text:
        raise InvalidParams(f"{path}: has the character NUL (\\u0000), which is not allowed here")


def _type_below(type_: Type, key: str | int) -> Type:
    """The type of what a value of ``type_`` holds under a key; anything, where the value is not of its type."""
    match type_, key:
        case Structure(), str():
            return next((field.type for field in type_.fields if field.name == key), _ANYTHING)
        case MappingOf(), str():
            return type_.value
        case ListOf(), int():
            return type_.item
        case TupleOf(), int() if key < len(type_.items):
            return type_.items[key].type
        case _:
            return _ANYTHING
