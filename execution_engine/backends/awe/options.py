"""The options of a ``[backend:NAME]`` section of kind ``awe``."""

import re
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from execution_engine.backends.awe.sightings import Delays
from execution_engine.backends.options import Options
from execution_engine.config import BackendSettings, Settings
from execution_engine.core.errors import ConfigurationError

_WORD = re.compile(r"[\w.-]+", re.ASCII)


@dataclass(frozen=True, slots=True)
class AweOptions:
    """What the section says. ``groups``: AWE's names by the engine's, for the client groups that the backend serves."""

    url: str
    worker_url: str
    token_file: str = ""
    timeout_seconds: float = 10.0
    command: str = "ee-runner"
    pipeline: str = "ExecutionEngine"
    groups: dict[str, str] = field(default_factory=dict)
    worker_cpus: int | None = None
    worker_memory_mb: int | None = None
    delays: Delays = field(default_factory=Delays)


def read(section: BackendSettings, settings: Settings) -> AweOptions:
    """The options.

    Raises:
        ConfigurationError: one is unknown or missing, or its value can't be used.
    """
    options = Options(section)
    default = Delays()
    served = [group.name for group in settings.client_groups.values() if section.name in group.backends]
    found = AweOptions(
        url=_url(section, options.text("url", "")),
        worker_url=settings.worker_url,
        token_file=options.text("token-file", ""),
        timeout_seconds=float(options.integer("timeout-seconds", 10) or 10),
        command=_one_word(section, "command", options.text("command", "ee-runner"), "a program in the workers' PATH"),
        pipeline=_one_word(
            section, "pipeline", options.text("pipeline", "ExecutionEngine"), "the engine's jobs in AWE"
        ),
        groups={name: name for name in served} | options.by_group("group"),
        worker_cpus=options.integer("worker-cpus", None),
        worker_memory_mb=options.integer("worker-memory-mb", None),
        delays=Delays(
            drop=float(options.integer("drop-seconds", int(default.drop)) or 0),
            stop=float(options.integer("stop-seconds", int(default.stop)) or 0),
            lost=float(options.integer("lost-seconds", int(default.lost)) or 0),
        ),
    )
    options.finish()
    return found


def _url(section: BackendSettings, text: str) -> str:
    try:
        parts = urlsplit(text)
        usable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0 and not parts.query
    except ValueError:
        usable = False
    if not usable:
        raise ConfigurationError(
            f"[backend:{section.name}] url is {text!r}; expected the URL of the AWE server, like http://awe:8001."
        )
    return text


def _one_word(section: BackendSettings, key: str, text: str, of: str) -> str:
    if not _WORD.fullmatch(text):
        raise ConfigurationError(
            f"[backend:{section.name}] {key} is {text!r}; expected the name of {of}: letters, digits, dots and dashes."
        )
    return text
