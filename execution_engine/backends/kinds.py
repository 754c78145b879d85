"""The kinds of backends, and the making of those that the settings name."""

from execution_engine.backends.base import Backend
from execution_engine.backends.local import LocalBackend
from execution_engine.config import Settings
from execution_engine.core.errors import ConfigurationError

KINDS: dict[str, type[Backend]] = {LocalBackend.kind: LocalBackend}


def build_backends(settings: Settings) -> dict[str, Backend]:
    """One backend for each ``[backend:NAME]`` section, by name, in the order of the settings.

    Raises:
        ConfigurationError: a kind or an option is unknown, or a value can't be used.
    """
    backends: dict[str, Backend] = {}
    for name, section in settings.backends.items():
        kind = KINDS.get(section.kind)
        if kind is None:
            raise ConfigurationError(
                f"[backend:{name}] kind is {section.kind!r}; expected one of {', '.join(sorted(KINDS))}."
            )
        backends[name] = kind.from_settings(section, settings)
    return backends
