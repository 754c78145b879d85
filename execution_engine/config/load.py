"""deploy.cfg to :class:`Settings`, key by key over the defaults."""

import configparser
import difflib
import math
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from execution_engine.config.settings import BackendSettings, ClientGroupSettings, Settings, scalar_settings
from execution_engine.core.errors import ConfigurationError

SECTION = "execution_engine"
ENVIRONMENT_VARIABLE = "KB_DEPLOYMENT_CONFIG"
_TRUE = frozenset({"1", "true", "yes", "on"})
_FALSE = frozenset({"0", "false", "no", "off"})
_GROUP_KEYS = ("backends", "feed-ahead")

# MongoDB's documents have at most 16 MiB: what a setting lets in must find room there, and the end of a job always.
_DOCUMENT_BYTES = 16_000_000
_LINE_CHARS = 1_000_000
_BOUNDS: dict[str, tuple[float, float]] = {
    "port": (1, 65_535),
    "web_workers": (1, math.inf),
    "web_threads": (1, math.inf),
    "dispatch_interval_ms": (1, math.inf),
    "reconcile_interval_ms": (1, math.inf),
    "lease_seconds": (1, math.inf),
    "max_start_attempts": (1, math.inf),
    "max_body_bytes": (1, math.inf),
    "max_large_body_bytes": (1, math.inf),
    "max_params_bytes": (1, _DOCUMENT_BYTES),
    "max_output_bytes": (1, _DOCUMENT_BYTES),
    "max_line_chars": (1, _LINE_CHARS),
    "max_batch_jobs": (1, 10_000),
    "max_heavy_calls": (1, math.inf),
}


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
    _check(settings, f"{path}: " if path else "")
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
    _check_bounds(ahead, (1, math.inf), f"{where} feed-ahead")
    return ahead


def _check(settings: Settings, source: str) -> None:
    for name, bounds in _BOUNDS.items():
        _check_bounds(getattr(settings, name), bounds, f"{source}[{SECTION}] {name.replace('_', '-')}")
    if settings.cancel_needs not in ("write", "admin"):
        raise ConfigurationError(
            f"{source}[{SECTION}] cancel-needs is {settings.cancel_needs!r}; expected write or admin."
        )
    if settings.default_client_group not in settings.client_groups:
        raise ConfigurationError(
            f"{source}[{SECTION}] default-client-group is {settings.default_client_group!r}; expected one of "
            f"{', '.join(settings.client_groups)}, or add a section [client_group:{settings.default_client_group}]."
        )


def _check_bounds(value: float, bounds: tuple[float, float], where: str) -> None:
    low, high = bounds
    if not low <= value <= high:
        expected = f"{low:,} or more" if high == math.inf else f"a number from {low:,} to {high:,}"
        raise ConfigurationError(f"{where} is {value}; expected {expected}.")
