"""The ``[client_group:NAME]`` sections of deploy.cfg."""

import configparser
import math
import re
from collections.abc import Mapping

from execution_engine.config import sections
from execution_engine.config.check import check_bounds
from execution_engine.config.settings import AMOUNTS, BackendSettings, ClientGroupSettings
from execution_engine.config.values import convert, unknown_key, words
from execution_engine.core.errors import ConfigurationError

_AMOUNT_KEYS = {name: name.replace("_", "-") for name in AMOUNTS}
_KEYS = ("backends", "feed-ahead", "open-to", *_AMOUNT_KEYS.values(), *(f"max-{key}" for key in _AMOUNT_KEYS.values()))
_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_WHO = re.compile(r"\*|[a-z][a-z0-9_]{0,99}|role:[^\s,]+")


def read_groups(
    parser: configparser.ConfigParser, source: str, backends: Mapping[str, BackendSettings]
) -> dict[str, ClientGroupSettings]:
    """The client groups by name; without any section one group ``local`` on the first backend.

    Raises:
        ConfigurationError: a name, a key or a value can't be used; the message names file, section and key.
    """
    found = {
        name: _group(name, parser[section], f"{source}: [{section}]", backends)
        for name, section in sections.named(parser.sections(), sections.CLIENT_GROUP).items()
    }
    return found or {"local": ClientGroupSettings("local", (next(iter(backends)),))}


def _group(
    name: str, section: Mapping[str, str], where: str, backends: Mapping[str, BackendSettings]
) -> ClientGroupSettings:
    if not _NAME.fullmatch(name):
        raise ConfigurationError(f"{where}: expected a name of at most 64 letters, digits, dots, _ and -.")
    for key in section:
        if key not in _KEYS:
            raise unknown_key(where, key, _KEYS)
    return ClientGroupSettings(
        name,
        _backends(section, where, backends),
        _at_least_one(section, "feed-ahead", where),
        _open_to(section, where),
        _amounts(section, where, ""),
        _amounts(section, where, "max-"),
    )


def _backends(section: Mapping[str, str], where: str, backends: Mapping[str, BackendSettings]) -> tuple[str, ...]:
    named = tuple(words(section.get("backends", "")))
    if not named or any(backend not in backends for backend in named):
        raise ConfigurationError(
            f"{where} backends is {', '.join(named) or 'empty'}; expected one or more of {', '.join(backends)}."
        )
    return named


def _open_to(section: Mapping[str, str], where: str) -> tuple[str, ...]:
    if "open-to" not in section:
        return ("*",)
    named = tuple(words(section["open-to"]))
    if wrong := [word for word in named if not _WHO.fullmatch(word)]:
        raise ConfigurationError(f"{where} open-to has {wrong[0]!r}; expected *, or names of users and role:NAME.")
    return named


def _amounts(section: Mapping[str, str], where: str, prefix: str) -> dict[str, int]:
    found = {name: _at_least_one(section, f"{prefix}{key}", where) for name, key in _AMOUNT_KEYS.items()}
    return {name: amount for name, amount in found.items() if amount is not None}


def _at_least_one(section: Mapping[str, str], key: str, where: str) -> int | None:
    if key not in section:
        return None
    number: int = convert(section[key].strip(), int, f"{where} {key}")
    check_bounds(number, (1, math.inf), f"{where} {key}")
    return number
