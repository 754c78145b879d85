"""The slots of a pool by client group, asked for now or remembered for a moment."""

import time
from collections.abc import Callable
from typing import Any

from execution_engine.backends.base import GroupResources
from execution_engine.backends.condor import slots
from execution_engine.backends.condor.groups import Groups
from execution_engine.backends.condor.slots import Slot

_FRESH_SECONDS = 30.0


class Inventory:
    """Asks the collector for the slots that serve a client group."""

    def __init__(self, ask: Callable[..., Any], groups: Groups) -> None:
        """``ask``: makes a call of the pool, by its name."""
        self._ask = ask
        self._groups = groups
        self._remembered: dict[str, tuple[float, list[Slot]]] = {}

    def recent(self, client_group: str) -> list[Slot]:
        """The slots as they were within the last half minute: enough to know how large they are."""
        at, known = self._remembered.get(client_group, (0.0, []))
        return known if known and time.monotonic() < at + _FRESH_SECONDS else self.now(client_group)

    def now(self, client_group: str) -> list[Slot]:
        """The slots that serve the client group."""
        found = self._slots(self._groups.slots_of(client_group))
        self._remembered[client_group] = (time.monotonic(), found)
        return found

    def whole(self, client_groups: tuple[str, ...]) -> tuple[list[Slot], tuple[GroupResources, ...]]:
        """The slots that serve any of the client groups, each once, and what each group has of them.

        Without client groups, all slots that this backend may use.
        """
        by_group = {group: self.now(group) for group in client_groups}
        everything = by_group.values() if by_group else [self._slots(self._groups.everywhere or "true")]
        union = {slot.name: slot for found in everything for slot in found}
        return list(union.values()), tuple(slots.group_resources(group, found) for group, found in by_group.items())

    def _slots(self, constraint: str) -> list[Slot]:
        ads = self._ask("slots", constraint=f"{slots.WHOLE} && ({constraint})", projection=slots.ATTRIBUTES)
        return [Slot.of(ad) for ad in ads]
