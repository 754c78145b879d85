"""The kinds of backends, and the making of those that the settings name."""

from collections.abc import Callable

from execution_engine.backends.base import Backend
from execution_engine.config import Settings
from execution_engine.core.errors import ConfigurationError


def _local() -> type[Backend]:
    from execution_engine.backends.local import LocalBackend  # noqa: PLC0415

    return LocalBackend


def _awe() -> type[Backend]:
    from execution_engine.backends.awe import AweBackend  # noqa: PLC0415

    return AweBackend


def _slurm() -> type[Backend]:
    from execution_engine.backends.slurm import SlurmBackend  # noqa: PLC0415

    return SlurmBackend


def _condor() -> type[Backend]:
    try:
        from execution_engine.backends.condor.backend import CondorBackend  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            "A backend of the kind condor needs HTCondor's Python library: pip install 'execution-engine[condor]'."
        ) from error
    return CondorBackend


# A kind is imported when a section names it: some need libraries that others can do without.
KINDS: dict[str, Callable[[], type[Backend]]] = {"awe": _awe, "condor": _condor, "local": _local, "slurm": _slurm}


def build_backends(settings: Settings) -> dict[str, Backend]:
    """One backend for each ``[backend:NAME]`` section, by name, in the order of the settings.

    Raises:
        ConfigurationError: a kind or an option is unknown, or a value can't be used.
    """
    backends: dict[str, Backend] = {}
    for name, section in settings.backends.items():
        load = KINDS.get(section.kind)
        if load is None:
            raise ConfigurationError(
                f"[backend:{name}] kind is {section.kind!r}; expected one of {', '.join(sorted(KINDS))}."
            )
        backends[name] = load().from_settings(section, settings)
    return backends
