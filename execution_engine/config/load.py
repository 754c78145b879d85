"""deploy.cfg to :class:`Settings`, key by key over the defaults."""

import configparser
import difflib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from execution_engine.config.settings import BackendSettings, ClientGroupSettings, Settings, scalar_settings
from execution_engine.core.errors import ConfigurationError

SECTION = "execution_engine"
ENVIRONMENT_VARIABLE = "KB_DEPLOYMENT_CONFIG"
_TRUE = frozenset({"1", "true", "yes", "on"})
_FALSE = frozenset({"0", "false", "no", "off"})


def load(path: str | Path | None = None, overrides: Mapping[str, Any] | None = None) -> Settings:
    """The settings: defaults, then the file, then ``overrides`` (by attribute name).

    ``path`` defaults to what KB_DEPLOYMENT_CONFIG names; with neither, the defaults alone count.

    Raises:
        ConfigurationError: the file can't be read, a key is unknown, or a value is of the wrong type; the message
            names file, section and key.
    """
    path = path or os.environ.get(ENVIRONMENT_VARIABLE) or None
    parser = _read(Path(path)) if path else configparser.ConfigParser(interpolation=None)
    values = _scalars(parser, str(path))
    values["backends"] = _backends(parser)
    values["client_groups"] = _client_groups(parser, str(path), values["backends"])
    values.update(overrides or {})
    settings = Settings(**values)
    _check(settings)
    return settings


def _read(path: Path) -> configparser.ConfigParser:
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read_string(path.read_text(encoding="utf-8"), source=str(path))
    except OSError as error:
        raise ConfigurationError(
            f"The settings file {path} can't be read: {error.strerror}. {ENVIRONMENT_VARIABLE} must name a readable one."
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
            near = difflib.get_close_matches(key, known, n=1)
            hint = f" Did you mean {near[0]}?" if near else ""
            raise ConfigurationError(f"{source}: [{SECTION}] has no setting {key!r}.{hint}")
        values[known[key].name] = _convert(text.strip(), known[key].type, f"{source}: [{SECTION}] {key}")
    return values


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
    for section in parser.sections():
        if section.startswith("backend:"):
            name = section.removeprefix("backend:").strip()
            options = dict(parser[section])
            found[name] = BackendSettings(name, options.pop("kind", name), options)
    return found or {"local": BackendSettings("local", "local", {})}


def _client_groups(
    parser: configparser.ConfigParser, source: str, backends: Mapping[str, BackendSettings]
) -> dict[str, ClientGroupSettings]:
    found = {}
    for section in parser.sections():
        if not section.startswith("client_group:"):
            continue
        name = section.removeprefix("client_group:").strip()
        named = tuple(_words(parser[section].get("backends", "")))
        unknown = [backend for backend in named if backend not in backends]
        if unknown or not named:
            raise ConfigurationError(
                f"{source}: [{section}] backends is {', '.join(named) or 'empty'}; expected one or more of "
                f"{', '.join(backends)}."
            )
        ahead = parser[section].get("feed-ahead")
        found[name] = ClientGroupSettings(
            name, named, None if ahead is None else _convert(ahead, int, f"{source}: [{section}] feed-ahead")
        )
    if found:
        return found
    first = next(iter(backends))
    return {"local": ClientGroupSettings("local", (first,))}


def _check(settings: Settings) -> None:
    for name in ("web_workers", "web_threads", "dispatch_interval_ms", "max_body_bytes", "max_start_attempts"):
        if getattr(settings, name) < 1:
            raise ConfigurationError(
                f"[{SECTION}] {name.replace('_', '-')} is {getattr(settings, name)}; expected 1 or more."
            )
    if settings.cancel_needs not in ("write", "admin"):
        raise ConfigurationError(f"[{SECTION}] cancel-needs is {settings.cancel_needs!r}; expected write or admin.")
    if settings.default_client_group not in settings.client_groups:
        raise ConfigurationError(
            f"[{SECTION}] default-client-group is {settings.default_client_group!r}; expected one of "
            f"{', '.join(settings.client_groups)}, or add a section [client_group:{settings.default_client_group}]."
        )
