"""What a cluster has, as far as it serves the engine's client groups."""

from collections.abc import Iterable, Mapping, Sequence

from execution_engine.backends.base import GroupResources, Resources
from execution_engine.backends.slurm.session import JobRow, Node, Partition
from execution_engine.backends.slurm.states import is_alive

_USABLE = frozenset({"idle", "mixed", "allocated", "completing"})
_AWAY = frozenset(
    {
        *("drain", "drained", "draining", "fail", "failing", "maint", "maintenance"),
        *("not_responding", "no_respond", "invalid", "invalid_reg"),
        *("powering_down", "reboot", "reboot_issued", "reboot_requested"),
    }
)


def is_usable(node: Node) -> bool:
    """Whether the node can be given jobs."""
    words = set(node.state.split("+"))
    # The commands mark a node that does not answer with a star and other habits with other signs.
    return not any(word.endswith("*") for word in words) and bool(words & _USABLE) and not words & _AWAY


def largest(nodes: Iterable[Node]) -> str:
    """A sentence about the largest of the nodes; empty if there is none."""
    sizes = [(node.cpus, node.memory_mb) for node in nodes]
    if not sizes:
        return ""
    cpus, memory_mb = max(size[0] for size in sizes), max(size[1] for size in sizes)
    return f" The most that a node there has: {cpus} CPUs, {memory_mb} MiB of memory."


class Capacity:
    """Nodes and partitions at one moment. ``served``: each client group's partition, None for the default one."""

    def __init__(
        self, nodes: Sequence[Node], partitions: Sequence[Partition], served: Mapping[str, str | None]
    ) -> None:
        self._nodes = nodes
        self._partitions = {partition.name: partition for partition in partitions}
        self._default = next((partition.name for partition in partitions if partition.is_default), None)
        self._served = {group: name or self._default for group, name in served.items()}

    def nodes_of(self, partition: str | None) -> list[Node]:
        """The nodes of a partition, or of the default one."""
        name = partition or self._default
        return [node for node in self._nodes if name in node.partitions]

    def resources(self, own_jobs: Iterable[JobRow]) -> Resources:
        """All that serves a group, and the groups; of jobs only the engine's own are counted."""
        names = set(self._served.values())
        nodes = [node for node in self._nodes if names & set(node.partitions)]
        usable = [node for node in nodes if is_usable(node)]
        alive = [job for job in own_jobs if is_alive(job)]
        waiting = sum(job.state == "PENDING" for job in alive)
        return Resources(
            cpus_total=sum(node.cpus for node in nodes),
            cpus_used=sum(node.cpus_used for node in nodes),
            memory_mb_total=sum(node.memory_mb for node in nodes),
            memory_mb_used=sum(node.memory_mb_used for node in nodes),
            slots_total=sum(node.cpus for node in usable),
            slots_used=sum(node.cpus_used for node in usable),
            running=len(alive) - waiting,
            waiting=waiting,
            groups=tuple(self._group(group, name) for group, name in self._served.items()),
        )

    def _group(self, group: str, name: str | None) -> GroupResources:
        nodes = self.nodes_of(name)
        usable = [node for node in nodes if is_usable(node)]
        return GroupResources(
            client_group=group,
            nodes_total=len(nodes),
            nodes_usable=len(usable),
            cpus_total=sum(node.cpus for node in nodes),
            cpus_used=sum(node.cpus_used for node in nodes),
            memory_mb_total=sum(node.memory_mb for node in nodes),
            memory_mb_used=sum(node.memory_mb_used for node in nodes),
            reason=self._why_not(name, nodes, usable),
        )

    def _why_not(self, name: str | None, nodes: list[Node], usable: list[Node]) -> str | None:
        """Why the partition starts no jobs now; None if it does."""
        partition = self._partitions.get(name or "")
        if partition is None:
            return f"Slurm has no partition {name}." if name else "Slurm has no default partition, and none is set."
        if partition.state != "UP":
            return f"The partition {name} is closed (its state is {partition.state})."
        if not nodes:
            return f"The partition {name} has no nodes."
        if not usable:
            states = sorted({f"{node.state}: {node.reason}" if node.reason else node.state for node in nodes})
            return f"No node of the partition {name} can be used ({'; '.join(states)})."
        return None
