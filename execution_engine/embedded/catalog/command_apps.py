"""Registers folders with a manifest as modules whose functions are commands of this machine.

A registered version is a copy of the folder: a job that was submitted with one version runs it, whatever becomes of
the original.
"""

import hashlib
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pymongo.database import Database

from execution_engine.core import clock
from execution_engine.embedded.catalog.manifest import MANIFEST_NAME, command_of, read_manifest
from execution_engine.embedded.catalog.modules import TAGS, Modules

Document = dict[str, Any]
_IGNORED = ("__pycache__", "*.pyc", ".*")


def register_command_apps(database: Database[Document], source: Path, registered: Path) -> None:
    """Register each folder of ``source`` that has a manifest; repeating it changes nothing.

    The copies go to ``registered/<module>/<commit>``. A folder whose content changed becomes a new version, which gets
    all tags; the versions before stay, to be had by commit. Needs a data folder that nobody else registers into.

    Raises:
        ConfigurationError: a manifest is not as it must be.
        OSError: a copy can't be written.
    """
    modules = Modules(database)
    for manifest_file in sorted(source.glob(f"*/{MANIFEST_NAME}")):
        _register(modules, manifest_file.parent, registered)


def commit_of(folder: Path) -> str:
    """The name of a folder's content: a SHA-1, in hex like a git commit, over its files' names and contents."""
    content = hashlib.sha1(usedforsecurity=False)
    for file in _files(folder):
        name, data = file.relative_to(folder).as_posix().encode(), file.read_bytes()
        content.update(b"%d %s %d " % (len(name), name, len(data)))
        content.update(data)
    return content.hexdigest()


def _files(folder: Path) -> Iterator[Path]:
    for file in sorted(folder.rglob("*")):
        parts = file.relative_to(folder).parts
        hidden = any(part == "__pycache__" or part.startswith(".") for part in parts) or file.suffix == ".pyc"
        if file.is_file() and not hidden:
            yield file


def _register(modules: Modules, folder: Path, registered: Path) -> None:
    manifest, commit = read_manifest(folder), commit_of(folder)
    name = manifest["module_name"]
    copies = registered / name.lower()
    _copy(folder, copies / commit, commit)
    before = modules.get(name)
    # The data folder may have been moved since: every version's place is written anew.
    versions = {version["git_commit_hash"]: _placed(version, copies) for version in modules.versions(name)}
    versions.setdefault(commit, _placed(_version(manifest, commit), copies))
    releases = before["releases"] if before else []
    modules.put(
        {
            "module_name": name,
            "git_url": _url(name),
            "description": manifest.get("description", ""),
            "language": "python",
            "owners": manifest.get("owners", []),
            "tags": dict.fromkeys(TAGS, commit),
            "releases": releases if commit in releases else [*releases, commit],
        },
        versions.values(),
    )


def _copy(folder: Path, to: Path, commit: str) -> None:
    """Make ``to`` a copy of the folder: not there at all or whole, also after a crash."""
    if to.is_dir() and commit_of(to) == commit:
        return
    draft = to.with_name(f".{commit}.new")
    for leftover in (draft, to):
        shutil.rmtree(leftover, ignore_errors=True)
    shutil.copytree(folder, draft, ignore=shutil.ignore_patterns(*_IGNORED))
    draft.rename(to)


def _placed(version: Document, copies: Path) -> Document:
    directory = str(copies.absolute() / version["git_commit_hash"])
    return version | {"command_app": version["command_app"] | {"directory": directory}}


def _url(name: str) -> str:
    return f"command-app:{name}"


def _version(manifest: Document, commit: str) -> Document:
    now = clock.to_ms(clock.now())
    functions: dict[str, Document] = manifest["functions"]
    return {
        "module_name": manifest["module_name"],
        "module_name_lc": manifest["module_name"].lower(),
        "module_description": manifest.get("description", ""),
        "module_language": "python",
        "version": manifest["version"],
        "git_commit_hash": commit,
        "git_commit_message": f"version {manifest['version']}",
        "registration_id": f"{now}_{commit[:8]}",
        "timestamp": now,
        "released": 1,
        "release_timestamp": now,
        "docker_img_name": "",
        "narrative_methods": [name for name, function in functions.items() if function.get("narrative_method")],
        "local_functions": [],
        "notes": "",
        "compilation_report": None,
        "command_app": {"functions": {name: command_of(function) for name, function in functions.items()}},
    }
