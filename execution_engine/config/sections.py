"""The names of a deploy.cfg's sections. The file may be one for many services: sections of others are passed over."""

import difflib
from collections.abc import Iterable

from execution_engine.config.check import SECTION
from execution_engine.core.errors import ConfigurationError

BACKEND = "backend:"
CLIENT_GROUP = "client_group:"
_FORMS = {SECTION: SECTION, "backend": f"{BACKEND}NAME", "client_group": f"{CLIENT_GROUP}NAME"}
_OF_OTHERS = frozenset({"execution_engine2"})  # the earlier engine's, in files that both read


def refuse_misspelt(sections: Iterable[str], source: str) -> None:
    """Refuses a section that nobody reads but that looks like one of ours.

    Raises:
        ConfigurationError: there is one; the message names what was probably meant.
    """
    for section in sections:
        if not _is_ours(section) and section not in _OF_OTHERS and (meant := _probably_meant(section)):
            raise ConfigurationError(f"{source}: [{section}] is no section of this engine. Did you mean [{meant}]?")


def named(sections: Iterable[str], prefix: str) -> dict[str, str]:
    """The sections that begin with ``prefix``, by the name that follows it."""
    return {section.removeprefix(prefix).strip(): section for section in sections if section.startswith(prefix)}


def _is_ours(section: str) -> bool:
    return section == SECTION or any(name for prefix in (BACKEND, CLIENT_GROUP) for name in named([section], prefix))


def _probably_meant(section: str) -> str | None:
    head, colon, _ = section.casefold().partition(":")
    if not colon:
        for word in ("backend", "client_group"):
            if head.replace("-", "_").startswith(word):
                return _FORMS[word]
    near = difflib.get_close_matches(head.strip(), _FORMS, n=1, cutoff=0.8)
    return _FORMS[near[0]] if near else None
