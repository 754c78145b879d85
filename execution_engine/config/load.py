"""deploy.cfg to :class:`Settings`, key by key over the defaults."""

import configparser
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from execution_engine.config import sections
from execution_engine.config.check import SECTION, check
from execution_engine.config.groups import read_groups
from execution_engine.config.settings import BackendSettings, Settings, scalar_settings
from execution_engine.config.values import convert, unknown_key
from execution_engine.core.errors import ConfigurationError

ENVIRONMENT_VARIABLE = "KB_DEPLOYMENT_CONFIG"


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
    values["client_groups"] = read_groups(parser, str(path), values["backends"])
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
            raise unknown_key(f"{source}: [{SECTION}]", key, known)
        values[known[key].name] = convert(text.strip(), known[key].type, f"{source}: [{SECTION}] {key}")
    return values


def _backends(parser: configparser.ConfigParser) -> dict[str, BackendSettings]:
    found = {}
    for name, section in sections.named(parser.sections(), sections.BACKEND).items():
        options = dict(parser[section])
        found[name] = BackendSettings(name, options.pop("kind", name), options)
    return found or {"local": BackendSettings("local", "local", {})}
