"""The manifest of an app folder: which functions the module has, and the command that runs each."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from execution_engine.core.errors import ConfigurationError
from execution_engine.embedded.catalog.semver import version_key

MANIFEST_NAME = "manifest.json"
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_REQUIREMENTS = ("cpus", "memory_mb", "disk_gb")


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest in ``folder``: ``{module_name, version, description, owners, functions: {name: {command, …}}}``.

    Raises:
        ConfigurationError: it is not as it must be; the message names the file, the place and what is expected.
    """
    file = folder / MANIFEST_NAME
    try:
        manifest = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{file} can't be read as JSON: {error}") from error
    found = _problem(manifest)
    if found:
        raise ConfigurationError(f"{file}: {found}.")
    return dict(manifest)


def command_of(function: Mapping[str, Any]) -> dict[str, Any]:
    """A function as the Catalog's ``command_app`` shows it."""
    return {
        "command": function["command"],
        "needs_token": 1 if function.get("needs_token") else 0,
        "requirements": function.get("requirements", {}),
    }


def _problem(manifest: Any) -> str | None:
    """What is wrong with a manifest."""
    if not isinstance(manifest, dict):
        return "expected an object"
    name, version = manifest.get("module_name"), manifest.get("version")
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        return f"module_name is {name!r}; expected letters, digits and underscores, a letter first"
    if not isinstance(version, str) or version_key(version) is None:
        return f"version is {version!r}; expected a semantic version such as 1.0.0"
    if found := _texts_problem(manifest):
        return found
    functions = manifest.get("functions")
    if not isinstance(functions, dict) or not functions:
        return "functions is missing; expected an object with one entry per function"
    return next(filter(None, (_function_problem(name, function) for name, function in functions.items())), None)


def _texts_problem(manifest: Mapping[str, Any]) -> str | None:
    """What is wrong with what a manifest may say of the module."""
    if not isinstance(manifest.get("description", ""), str):
        return "description is no text"
    owners = manifest.get("owners", [])
    if not isinstance(owners, list) or not all(isinstance(owner, str) for owner in owners):
        return f"owners is {owners!r}; expected a list of account names"
    return None


def _function_problem(name: str, function: Any) -> str | None:
    if not _NAME.fullmatch(name):
        return f"functions has {name!r}; expected letters, digits and underscores, a letter first"
    command = function.get("command") if isinstance(function, dict) else None
    if not isinstance(command, list) or not command or not all(isinstance(word, str) for word in command):
        return f"functions.{name}.command is {command!r}; expected a list of texts: program and arguments"
    requirements = function.get("requirements", {})
    if not isinstance(requirements, dict):
        return f"functions.{name}.requirements is {requirements!r}; expected an object"
    for key, value in requirements.items():
        if key not in _REQUIREMENTS or type(value) is not int or value < 1:
            known = ", ".join(_REQUIREMENTS)
            return f"functions.{name}.requirements has {key} = {value!r}; expected {known}, whole numbers from 1"
    return None
