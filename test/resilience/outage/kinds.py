"""The kinds of backends that are put to the test, each with what of it can be broken. A new kind is one more entry."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

Strike = Callable[[], AbstractContextManager[None]]
"""Breaks something; it lasts as long as the block, and has cleared at its end."""


@dataclass(frozen=True)
class Kind:
    """A backend under test. ``name`` is that of the backend and of its client group.

    ``section``: the keys of its ``[backend:NAME]``. ``strikes``: what can be done to its own parts, by the fault's name.
    ``missing``: faults that it does not have, and why; they stand in the table.
    """

    name: str
    section: dict[str, str]
    strikes: dict[str, Strike] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)

    def config(self) -> str:
        """Its sections of deploy.cfg."""
        keys = "".join(f"{key} = {value}\n" for key, value in self.section.items())
        return f"[backend:{self.name}]\n{keys}[client_group:{self.name}]\nbackends = {self.name}\n"


def local() -> Kind:
    """Slots for all jobs of a trial at once, whatever this machine has."""
    return Kind("local", {"kind": "local", "cpus": "64", "memory-mb": "65536", "run-as": "none"})


def available() -> list[Kind]:
    """Those that can be tested here."""
    return [local()]
