"""deploy.cfg to :class:`Settings`, key by key over the defaults."""

import configparser
import difflib
import math
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from execution_engine.config import sections
from execution_engine.config.check import SECTION, check, check_bounds
from execution_engine.config.settings import BackendSettings, ClientGroupSettings, Settings, scalar_settings
from execution_engine.core.errors import ConfigurationError

ENVIRONMENT_VARIABLE = "KB_DEPLOYMENT_CONFIG"
_TRUE = frozenset({"1", "true", "yes", "on"})
_FALSE = frozenset({"0", "false", "no", "off"})
_GROUP_KEYS = ("backends", "feed-ahead")


def load(path: str | Path | None = None, overrides: Mapping[str, Any] | None = None) -> Settings:
    """The settings: defaults, then the file, then ``overrides`` (by attribute name).

    ``path`` defaults to what KB_DEPLOYMENT_CONFIG names; with neither, the defaults alone count.

    Raises:
        ConfigurationError: the file can't be read, a section is misspelt, a key is unknown, or a value can't be
            used; the message names file, section and key.
    """
    path = path or os.environ.get(ENVIRONMENT_VARIABLE) or None
    parser = _read(Path(path)) if path else configparser.ConfigParser(interpolation=None)
    sections.refuse_misspelt(parser.sections(), str(path))
    values = _scalars(parser, str(path))
    values["backends"] = _backends(parser)
    values["client_groups"] = _client_groups(parser, str(path), values["backends"])
    values.update(overrides or {})
    settings = Settings(**values)
    check(settings, f"{path}: " if path else "")
    return settings


def _read(path: Path) -> configparser.ConfigParser:
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read_string(path.read_text(encoding="utf-8"), source=str(path))
    except OSError as error:
        raise ConfigurationError(
            f"The settings file {path} can't be read: {error.strerror}. "
            f"{ENVIRONMENT_VARIABLE} must name a readable one."
        ) from error
    except (configparser.Error, UnicodeDecodeError) as error:
        raise ConfigurationError(f"The settings file {path} is not a deploy.cfg: {error}") from error
    return parser


def _scalars(parser: configparser.ConfigParser, source: str) -> dict[str, Any]:
    if SECTION not in parser:
        return {}
    known = {f.name.replace("_", "-"): f for f in scalar_settings()}
    values = {}
    for key, text in parser[SECTION].items():
        if key not in known:
            raise _unknown(f"{source}: [{SECTION}]", key, known)
        values[known[key].name] = _convert(text.strip(), known[key].type, f"{source}: [{SECTION}] {key}")
    return values


def _unknown(where: str, key: str, known: Iterable[str]) -> ConfigurationError:
    near = difflib.get_close_matches(key, list(known), n=1)
    hint = f" Did you mean {near[0]}?" if near else ""
    return ConfigurationError(f"{where} has no setting {key!r}.{hint}")


def _convert(text: str, kind: Any, where: str) -> Any:
    if kind is bool:
        if text.lower() in _TRUE | _FALSE:
            return text.lower() in _TRUE
        raise ConfigurationError(f"{where} is {text!r}; expected true or false.")
    if kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            expected = "a whole number" if kind is int else "a number"
            raise ConfigurationError(f"{where} is {text!r}; expected {expected}.") from None
    return _words(text) if kind == list[str] else text


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


def _backends(parser: configparser.ConfigParser) -> dict[str, BackendSettings]:
    found = {}
    for name, section in sections.named(parser.sections(), sections.BACKEND).items():
        options = dict(parser[section])
        found[name] = BackendSettings(name, options.pop("kind", name), options)
    return found or {"local": BackendSettings("local", "local", {})}


def _client_groups(
    parser: configparser.ConfigParser, source: str, backends: Mapping[str, BackendSettings]
) -> dict[str, ClientGroupSettings]:
    found = {}
    for name, section in sections.named(parser.sections(), sections.CLIENT_GROUP).items():
        for key in parser[section]:
            if key not in _GROUP_KEYS:
                raise _unknown(f"{source}: [{section}]", key, _GROUP_KEYS)
        named = tuple(_words(parser[section].get("backends", "")))
        unknown = [backend for backend in named if backend not in backends]
        if unknown or not named:
            raise ConfigurationError(
                f"{source}: [{section}] backends is {', '.join(named) or 'empty'}; expected one or more of "
                f"{', '.join(backends)}."
            )
        found[name] = ClientGroupSettings(name, named, _feed_ahead(parser[section], f"{source}: [{section}]"))
    if found:
        return found
    first = next(iter(backends))
    return {"local": ClientGroupSettings("local", (first,))}


def _feed_ahead(section: Mapping[str, str], where: str) -> int | None:
    if "feed-ahead" not in section:
        return None
    ahead: int = _convert(section["feed-ahead"], int, f"{where} feed-ahead")
    check_bounds(ahead, (1, math.inf), f"{where} feed-ahead")
    return ahead
