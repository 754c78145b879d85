"""The options of a ``[backend:NAME]`` section of the kind ``slurm``."""

import os
import pwd
from dataclasses import dataclass, field
from typing import Self

from execution_engine.backends.options import Options
from execution_engine.backends.slurm.rest_versions import VERSIONS
from execution_engine.config import BackendSettings
from execution_engine.core.errors import ConfigurationError

SACCT = "sacct"
NONE = "none"
_SCHEMES = ("http://", "https://", "unix:")


@dataclass(frozen=True, slots=True)
class ByGroup:
    """A value for all client groups, and those of single groups; None leaves the choice to Slurm."""

    default: str | None = None
    groups: dict[str, str] = field(default_factory=dict)

    def of(self, group: str) -> str | None:
        """The value for one group."""
        return self.groups.get(group) or self.default


@dataclass(frozen=True, slots=True)
class SlurmSettings:
    """The options; docs/how-to/slurm.md says what each means. ``timeout_seconds`` is one call's to Slurm."""

    user: str
    rest_url: str = ""
    rest_version: str = "v0.0.38"
    token_file: str = ""
    slurm_conf: str = ""
    partition: ByGroup = ByGroup()
    account: ByGroup = ByGroup()
    qos: ByGroup = ByGroup()
    request_disk: bool = False
    python: str = "python3"
    work_folder: str = ""
    runner_output: str = "/dev/null"
    accounting: str = NONE
    jobcomp_file: str = ""
    timeout_seconds: float = 10.0

    @classmethod
    def read(cls, section: BackendSettings) -> Self:
        """The options as written.

        Raises:
            ConfigurationError: one is unknown, or can't be used.
        """
        options = Options(section)
        found = cls(
            user=options.text("user", own_name()),
            rest_url=options.text("rest-url", "").rstrip("/"),
            rest_version=_one_of(options, section, "rest-version", *VERSIONS),
            token_file=options.text("token-file", ""),
            slurm_conf=options.text("slurm-conf", ""),
            partition=_by_group(options, "partition"),
            account=_by_group(options, "account"),
            qos=_by_group(options, "qos"),
            request_disk=_one_of(options, section, "request-disk", "no", "yes") == "yes",
            python=options.text("python", "python3"),
            work_folder=options.text("work-folder", ""),
            runner_output=options.text("runner-output", "/dev/null"),
            accounting=_one_of(options, section, "accounting", NONE, SACCT),
            jobcomp_file=options.text("jobcomp-file", ""),
            timeout_seconds=float(options.integer("timeout-seconds", 10) or 10),
        )
        options.finish()
        if found.rest_url and not found.rest_url.startswith(_SCHEMES):
            raise ConfigurationError(
                f"[backend:{section.name}] rest-url is {found.rest_url!r}; expected http://HOST:PORT, "
                "https://HOST:PORT or unix:PATH."
            )
        if found.rest_url and not found.token_file:
            raise ConfigurationError(
                f"[backend:{section.name}] has rest-url but no token-file; name the file that holds the token "
                "(scontrol token username=... lifespan=...)."
            )
        return found


def own_name() -> str:
    """The account that this process runs under."""
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())


def _by_group(options: Options, key: str) -> ByGroup:
    return ByGroup(options.text(key, "") or None, options.by_group(key))


def _one_of(options: Options, section: BackendSettings, key: str, *choices: str) -> str:
    chosen = options.text(key, choices[0])
    if chosen not in choices:
        raise ConfigurationError(f"[backend:{section.name}] {key} is {chosen!r}; expected one of {', '.join(choices)}.")
    return chosen
