"""Reads the options of one ``[backend:NAME]`` section, and says which value is wrong and what was expected."""

from execution_engine.config import BackendSettings
from execution_engine.core.errors import ConfigurationError


class Options:
    """The options of a section; each is taken once, and :meth:`finish` complains about those nobody took."""

    def __init__(self, section: BackendSettings) -> None:
        self._section = section
        self._left = dict(section.options)
        self._known: list[str] = []

    def text(self, key: str, default: str) -> str:
        """The option as written."""
        self._known.append(key)
        return self._left.pop(key, default).strip()

    def integer(self, key: str, default: int | None, at_least: int = 1) -> int | None:
        """The option as a whole number.

        Raises:
            ConfigurationError: it is none, or less than ``at_least``.
        """
        self._known.append(key)
        text = self._left.pop(key, "").strip()
        if not text:
            return default
        if not text.isdecimal() or int(text) < at_least:
            raise ConfigurationError(
                f"[backend:{self._section.name}] {key} is {text!r}; expected a whole number, {at_least} or more."
            )
        return int(text)

    def by_group(self, key: str) -> dict[str, str]:
        """Options that are written for one client group each, as ``key.GROUP = value``, by group."""
        self._known.append(f"{key}.GROUP")
        found = [name for name in self._left if name.startswith(f"{key}.")]
        return {name.removeprefix(f"{key}."): self._left.pop(name).strip() for name in found}

    def finish(self) -> None:
        """To be called after the last option.

        Raises:
            ConfigurationError: the section has options that its kind does not know.
        """
        if self._left:
            raise ConfigurationError(
                f"[backend:{self._section.name}] has no option {', '.join(sorted(self._left))}; "
                f"the kind {self._section.kind} knows {', '.join(self._known)}."
            )
