"""What a pool has, from the ads of its slots; a partitionable slot counts as what it is divided into."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Self

from execution_engine.backends.base import GroupResources, Requirements

Ad = dict[str, Any]
ATTRIBUTES = [
    "Name",
    "Machine",
    "State",
    "Offline",
    "SlotType",
    "Cpus",
    "Memory",
    "TotalSlotCpus",
    "TotalSlotMemory",
]
WHOLE = 'SlotType =!= "Dynamic"'
"""The constraint for slots that are no part of another one."""

_OUT_OF_USE = {"Drained", "Owner", "Preempting"}


@dataclass(frozen=True, slots=True)
class Slot:
    """One slot of a machine: all that it has, and what of it is taken."""

    name: str
    machine: str
    usable: bool
    cpus: int
    cpus_used: int
    memory_mb: int
    memory_mb_used: int

    @classmethod
    def of(cls, ad: Ad) -> Self:
        """The slot that an ad describes."""
        cpus, memory = int(ad["TotalSlotCpus"]), int(ad["TotalSlotMemory"])
        if ad.get("SlotType") == "Partitionable":
            free_cpus, free_memory = int(ad["Cpus"]), int(ad["Memory"])
        else:
            free_cpus, free_memory = (0, 0) if ad["State"] == "Claimed" else (cpus, memory)
        return cls(
            str(ad["Name"]),
            str(ad["Machine"]),
            not ad.get("Offline") and ad["State"] not in _OUT_OF_USE,
            cpus,
            cpus - free_cpus,
            memory,
            memory - free_memory,
        )


def group_resources(client_group: str, slots: Sequence[Slot]) -> GroupResources:
    """What of the pool serves one client group."""
    reason = None
    if not slots:
        reason = "No slot of the pool serves this client group."
    elif not any(slot.usable for slot in slots):
        reason = "All slots that serve this client group are drained, offline or used by their owner."
    return GroupResources(
        client_group=client_group,
        nodes_total=len({slot.machine for slot in slots}),
        nodes_usable=len({slot.machine for slot in slots if slot.usable}),
        cpus_total=sum(slot.cpus for slot in slots),
        cpus_used=sum(slot.cpus_used for slot in slots),
        memory_mb_total=sum(slot.memory_mb for slot in slots),
        memory_mb_used=sum(slot.memory_mb_used for slot in slots),
        reason=reason,
    )


def why_never(needs: Requirements, slots: Iterable[Slot]) -> str | None:
    """Why no slot of the pool, even if it were empty, could hold such a job; None if one could, or none is known."""
    known = list(slots)
    if not known or any(needs.cpus <= slot.cpus and needs.memory_mb <= slot.memory_mb for slot in known):
        return None
    cpus, memory = max(slot.cpus for slot in known), max(slot.memory_mb for slot in known)
    return (
        f"It asks for {needs.cpus} cores and {needs.memory_mb} MiB of memory; "
        f"the slots that serve its client group have at most {cpus} cores and {memory} MiB."
    )
