"""CPU and memory of this machine, shared out to jobs strictly in their order.

The first job that does not fit keeps what is free for itself: nothing behind it may start, or a stream of small jobs
would keep a large one waiting for ever. Disk is not counted.
"""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from execution_engine.backends.base import Requirements

_MEMORY_SHARE = 0.8  # the rest is for the engine, its database and the operating system


@dataclass(frozen=True, slots=True)
class Room:
    """An amount of CPUs and memory (MiB); negative where more is taken than there is."""

    cpus: int
    memory_mb: int

    def minus(self, needs: Iterable[Requirements]) -> "Room":
        """What is left."""
        cpus, memory_mb = self.cpus, self.memory_mb
        for need in needs:
            cpus -= need.cpus
            memory_mb -= need.memory_mb
        return Room(cpus, memory_mb)

    def fits(self, need: Requirements) -> bool:
        """Whether the job can have what it asks for."""
        return need.cpus <= self.cpus and need.memory_mb <= self.memory_mb


def machine(cpus: int | None = None, memory_mb: int | None = None) -> Room:
    """What jobs may take: the given amounts, or all of the CPUs and most of the memory of this machine."""
    if memory_mb is None:
        total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        memory_mb = int(total * _MEMORY_SHARE) // 2**20
    return Room(cpus or os.cpu_count() or 1, memory_mb)


def startable(waiting: Sequence[Requirements], free: Room) -> int:
    """How many jobs from the head of the queue can start now."""
    for count, need in enumerate(waiting):
        if not free.fits(need):
            return count
        free = free.minus([need])
    return len(waiting)


def why_never(need: Requirements, total: Room) -> str | None:
    """The sentence for a job that can't ever fit; None for one that can."""
    asked = []
    if need.cpus > total.cpus:
        asked.append(f"asks for {_cpus(need.cpus)}, this machine gives jobs at most {_cpus(total.cpus)}")
    if need.memory_mb > total.memory_mb:
        asked.append(f"asks for {need.memory_mb} MB of memory, this machine gives jobs at most {total.memory_mb} MB")
    return f"The job {' and '.join(asked)}." if asked else None


def why_waiting(need: Requirements, free: Room, ahead: int) -> str:
    """What holds a waiting job, for people; ``ahead``: how many wait before it."""
    if ahead:
        return f"Waits behind {ahead} other job{'s' if ahead > 1 else ''} for free CPUs and memory."
    if free.fits(need):
        return "Starts in a moment."
    return (
        f"Waits for {_cpus(need.cpus)} and {need.memory_mb} MB of memory; "
        f"{_cpus(max(free.cpus, 0))} and {max(free.memory_mb, 0)} MB are free."
    )


def _cpus(count: int) -> str:
    return f"{count} CPU{'' if count == 1 else 's'}"
