"""What the Catalog registers: versions of modules, and the commands of apps that run without a container."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from execution_engine.core.errors import AppNotFound


@dataclass(frozen=True, slots=True)
class CommandFunction:
    """How one function is started. ``requirements``: cpus, memory_mb and disk_gb, as far as the app states them."""

    command: tuple[str, ...]
    needs_token: bool
    requirements: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class CommandApp:
    """An app that is a command on the worker. ``directory``: where its files are, an absolute path."""

    directory: str
    functions: Mapping[str, CommandFunction]

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> "CommandApp":
        """From the Catalog's own record.

        Raises:
            KeyError, TypeError, AttributeError: it has another shape.
        """
        return cls(
            record["directory"],
            {
                name: CommandFunction(
                    tuple(function["command"]),
                    bool(function.get("needs_token", False)),
                    dict(function.get("requirements", {})),
                )
                for name, function in record["functions"].items()
            },
        )


@dataclass(frozen=True, slots=True)
class ModuleVersion:
    """One version of a module.

    ``version``: semantic; ``docker_img_name``: empty for a module without image; ``narrative_methods``: the functions
    that narratives show as apps, of maybe more; ``command_app``: None for a container app.
    """

    module_name: str
    git_commit_hash: str
    version: str
    docker_img_name: str
    release_tags: tuple[str, ...]
    narrative_methods: tuple[str, ...]
    command_app: CommandApp | None

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> "ModuleVersion":
        """From the Catalog's own record.

        Raises:
            KeyError, TypeError, AttributeError: it has another shape.
        """
        command_app = record.get("command_app")
        return cls(
            module_name=_text(record["module_name"]),
            git_commit_hash=_text(record["git_commit_hash"]),
            version=_text(record.get("version") or ""),
            docker_img_name=_text(record.get("docker_img_name") or ""),
            release_tags=tuple(record.get("release_tags") or ()),
            narrative_methods=tuple(record.get("narrative_methods") or ()),
            command_app=None if command_app is None else CommandApp.from_record(command_app),
        )

    def command_function(self, name: str) -> CommandFunction | None:
        """How to start the function ``name``; None for a container app, which alone knows its functions.

        Raises:
            AppNotFound: a command app without such a function.
        """
        if self.command_app is None:
            return None
        if name not in self.command_app.functions:
            known = ", ".join(sorted(self.command_app.functions)) or "none"
            raise AppNotFound(
                f"The module {self.module_name} (version {self.version}) has no function {name}; it has: {known}."
            )
        return self.command_app.functions[name]


@dataclass(frozen=True, slots=True)
class VolumeMount:
    """A folder of the worker that a container sees. ``host_dir`` may hold ``${username}``."""

    host_dir: str
    container_dir: str
    read_only: bool


@dataclass(frozen=True, slots=True)
class SecureParam:
    """A setting of a module that only its container may see; its value does not show in logs."""

    name: str
    value: str = field(repr=False)
    is_password: bool


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} where a text is expected")
    return value
