"""Reads a ``[backend:NAME]`` section of the kind ``condor``."""

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from execution_engine.backends import runner_archive
from execution_engine.backends.condor import language
from execution_engine.backends.condor.description import Form
from execution_engine.backends.condor.groups import Groups
from execution_engine.backends.options import Options
from execution_engine.config import BackendSettings, Settings
from execution_engine.core.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class CondorSettings:
    """What a section says: where the pool is, how jobs are described, how long an answer may take."""

    collector: str
    schedd: str
    token_dir: str
    timeout_seconds: int
    form: Form
    client_groups: tuple[str, ...]


def read(section: BackendSettings, settings: Settings) -> CondorSettings:
    """The section's settings, with the runner made ready.

    Raises:
        ConfigurationError: an option is unknown, or a value can't be used.
    """
    where = f"[backend:{section.name}]"
    options = Options(section)
    collector, schedd = options.text("collector", ""), options.text("schedd", "")
    token_dir = options.text("token-dir", "")
    if token_dir and not Path(token_dir).is_dir():
        raise ConfigurationError(f"{where} token-dir is {token_dir!r}; expected a folder with token files.")
    timeout_seconds = options.integer("timeout-seconds", 15)
    form = Form(
        runner=_runner(Path(settings.data_dir).absolute()),
        worker_url=_printable("worker-url", settings.worker_url),
        engine=quote(f"{settings.worker_url} {section.name}", safe=""),
        groups=Groups.from_options(options, where),
        python=_printable(f"{where} python", options.text("python", "/usr/bin/python3")),
        lease_seconds=options.integer("lease-seconds", 1200, at_least=10) or 0,
        submit_seconds=settings.submit_timeout_seconds,
    )
    options.finish()
    groups = tuple(group.name for group in settings.client_groups.values() if section.name in group.backends)
    return CondorSettings(collector, schedd, token_dir, timeout_seconds or 0, form, groups)


def _runner(data: Path) -> Path:
    try:
        archive = runner_archive.build(data / "runner")
        language.literal(str(archive))
    except (OSError, ValueError) as error:
        raise ConfigurationError(
            f"data-dir is {str(data)!r}, but the runner can't be kept there: {error}. "
            "Name a folder that the engine can write, with printable characters only."
        ) from error
    return archive


def _printable(what: str, value: str) -> str:
    try:
        language.literal(value)
    except ValueError as error:
        raise ConfigurationError(f"{what}: {error}; HTCondor could not pass it on.") from error
    return value
