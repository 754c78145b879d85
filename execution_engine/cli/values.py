"""A method's parameters as written on the command line."""

import json
import re
from pathlib import Path
from typing import Any

import click

_KEY = re.compile(r"^([A-Za-z_][A-Za-z0-9_.-]*)(:?=)(.*)$", re.DOTALL)


def parse_arguments(arguments: tuple[str, ...]) -> dict[str, Any]:
    """``key=value`` words as one structure.

    A value that is JSON (a number, true, false, null, a quoted string, a list or an object) is that value, any other
    is a string. ``key=@FILE`` takes the file's text as a string. ``key:=JSON`` insists on JSON.

    Raises:
        click.UsageError: a word is of another form, a key comes twice, or a file can't be read.
    """
    found: dict[str, Any] = {}
    for argument in arguments:
        match = _KEY.match(argument)
        if not match:
            raise click.UsageError(f"{argument!r} is not of the form key=value (or key=@FILE, or key:=JSON).")
        key, sign, text = match.groups()
        if key in found:
            raise click.UsageError(f"{key} is given twice.")
        found[key] = _explicit(key, text) if sign == ":=" else _value(key, text)
    return found


def parse_params(text: str) -> list[Any]:
    """All positional parameters of a method, as a JSON list; an object stands for the only one.

    Raises:
        click.UsageError: it is neither.
    """
    params = _explicit("--params-json", text)
    if isinstance(params, dict):
        return [params]
    if not isinstance(params, list):
        raise click.UsageError(f"--params-json is {text!r}; expected a JSON list of parameters, or one object.")
    return params


def _value(key: str, text: str) -> Any:
    if text.startswith("@"):
        try:
            return Path(text[1:]).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise click.UsageError(f"{key}: the file {text[1:]} can't be read: {error}") from error
    try:
        return _strict_json(text)
    except ValueError:
        return text


def _explicit(key: str, text: str) -> Any:
    try:
        return _strict_json(text)
    except ValueError as error:
        raise click.UsageError(f"{key} is not valid JSON: {error}") from error


def _strict_json(text: str) -> Any:
    def refuse(constant: str) -> None:
        raise ValueError(f"{constant} is no JSON")

    return json.loads(text, parse_constant=refuse)
