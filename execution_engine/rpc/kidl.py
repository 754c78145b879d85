"""Reads KIDL, KBase's interface language, in which the contract is written.

It takes the same language as KBase's own compiler, so that a spec can be compiled by either.
"""

import re
from collections.abc import Callable
from functools import cache
from importlib import resources
from pathlib import Path

from lark import Lark, UnexpectedCharacters, UnexpectedToken

from execution_engine.rpc.kidl_builder import Builder, Misuse
from execution_engine.rpc.model import Module

__all__ = ["KidlError", "Module", "parse", "parse_file"]

Include = Callable[[str], str]

_INCLUDE = re.compile(r"#include[ \t]*<([^>]*)>")
# What the parser expects next, in words; the terminals that are missing here are written in lower case.
_WORDS = {
    "IDENTIFIER": "a name", "$END": "the end of the file", "LBRACE": "{", "RBRACE": "}", "LPAR": "(", "RPAR": ")",
    "LESSTHAN": "<", "MORETHAN": ">", "COMMA": ",", "SEMICOLON": ";", "COLON": ":", "DOT": ".", "INCLUDE": "#include",
    "UNSPECIFIEDOBJECT": "UnspecifiedObject",
}  # fmt: skip
# Ordinary names as well: where a name can stand, naming them would only distract.
_ALSO_NAMES = {"ASYNC", "REQUIRED", "OPTIONAL", "NONE"}


class KidlError(ValueError):
    """The text is no KIDL; the message says where, what was found and what was expected."""


def parse_file(path: Path) -> Module:
    """The module that a file defines; ``#include`` names files beside it.

    Raises:
        KidlError: the file, or one that it includes, is no KIDL.
        OSError: a file can't be read.
    """
    return parse(
        path.read_text("utf-8"), source=path.name, include=lambda name: (path.parent / name).read_text("utf-8")
    )


def parse(text: str, *, source: str = "<text>", include: Include | None = None) -> Module:
    """The module that a text defines: the last one in it; those before are there for their types.

    Args:
        text: KIDL.
        source: what messages call the text.
        include: answers the text of a file named by ``#include``.

    Raises:
        KidlError: the text is no KIDL.
    """
    modules = _modules(text, source, include, {})
    if not modules:
        raise KidlError(f"{source}: no module in it; expected module NAME {{ … }};")
    return list(modules.values())[-1]


def _modules(text: str, source: str, include: Include | None, known: dict[str, Module]) -> dict[str, Module]:
    """The modules of one text; ``known`` collects those, and the included ones, whose types may be named."""
    try:
        tree = _parser().parse(text)
    except (UnexpectedToken, UnexpectedCharacters) as error:
        raise KidlError(_describe(error, text, source)) from None
    for literal in tree.find_data("include"):
        name = _INCLUDE.fullmatch(str(literal.children[0]))[1]  # type: ignore[index]  # the grammar has matched it
        if include is None:
            raise KidlError(f"{source}: includes {name}, but there is no folder to look in")
        _modules(include(name), name, include, known)
    try:
        return Builder(text, known).modules(tree)
    except Misuse as error:
        line, column = _line_and_column(text, error.position)
        raise KidlError(f"{source}:{line}:{column}: {error}") from None


@cache
def _parser() -> Lark:
    grammar = resources.files(__package__).joinpath("kidl.lark").read_text("utf-8")
    return Lark(grammar, parser="lalr", propagate_positions=True, maybe_placeholders=True)


def _describe(error: UnexpectedToken | UnexpectedCharacters, text: str, source: str) -> str:
    position = error.pos_in_stream or 0
    if isinstance(error, UnexpectedCharacters):
        found = "a comment that is never closed" if text.startswith("/*", position) else repr(error.char)
        expected = set(error.allowed or ())
    else:
        at_end = error.token.type == "$END"
        found = "the end of the file" if at_end else repr(str(error.token))
        position = len(text.rstrip()) if at_end else position
        expected = set(error.accepts or error.expected)
    if "IDENTIFIER" in expected:
        expected -= _ALSO_NAMES
    words = sorted(_WORDS.get(name, name.lower()) for name in expected - {"WS", "COMMENT"})
    line, column = _line_and_column(text, position)
    return f"{source}:{line}:{column}: found {found}, expected {_either(words)}"


def _either(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"


def _line_and_column(text: str, position: int) -> tuple[int, int]:
    return text.count("\n", 0, position) + 1, position - text.rfind("\n", 0, position)
