"""What the backend asks of Slurm, the same in both ways, and what it learns."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass


class Trouble(Exception):
    """Slurm can't be asked now; the text says why, in plain words, as the end of a sentence without its full stop."""


class Rejection(Exception):
    """Slurm does not take a job. ``number`` is Slurm's own for the error, None if it was not told; the text is its."""

    def __init__(self, text: str, number: int | None = None) -> None:
        super().__init__(text)
        self.number = number


@dataclass(frozen=True, slots=True)
class JobRequest:
    """One job to submit; None leaves the choice to Slurm. ``comment`` is plain ASCII without blanks."""

    name: str
    comment: str
    script: str
    cpus: int
    memory_mb: int
    disk_mb: int | None
    minutes: int | None
    partition: str | None
    account: str | None
    qos: str | None
    output: str


@dataclass(frozen=True, slots=True)
class JobRow:
    """One job as Slurm lists it; ``state`` and ``reason`` are Slurm's words, ``nodes`` is empty before it has any."""

    id: int
    name: str
    state: str
    reason: str = ""
    nodes: str = ""
    partition: str = ""
    priority: int = 0
    exit_code: int | None = None
    signal: int | None = None
    restarts: int = 0
    comment: str = ""


@dataclass(frozen=True, slots=True)
class Node:
    """One machine. ``state``: Slurm's words in lower case, joined by ``+``; ``reason``: why it was taken away."""

    name: str
    partitions: tuple[str, ...]
    cpus: int
    cpus_used: int
    memory_mb: int
    memory_mb_used: int
    state: str
    reason: str


@dataclass(frozen=True, slots=True)
class Partition:
    """One of Slurm's queues; ``state`` is UP, DOWN, DRAIN or INACTIVE."""

    name: str
    is_default: bool
    state: str


class Session(ABC):
    """Questions to one Slurm, one after the other; all may raise :class:`Trouble`."""

    @abstractmethod
    def own_jobs(self) -> list[JobRow]:
        """All jobs of our account that Slurm still lists, ended ones too."""

    @abstractmethod
    def waiting_jobs(self) -> list[JobRow]:
        """The waiting jobs of all accounts, as far as we may see them."""

    @abstractmethod
    def submit(self, request: JobRequest) -> int:
        """The id of the new job.

        Raises:
            Rejection: Slurm does not take it.
            Trouble: it is not known whether Slurm has it.
        """

    @abstractmethod
    def cancel(self, job_ids: Sequence[int]) -> None:
        """Asks for the end of the jobs; ended and unknown ones are passed over."""

    @abstractmethod
    def nodes(self) -> list[Node]:
        """The machines."""

    @abstractmethod
    def partitions(self) -> list[Partition]:
        """The queues."""


Way = Callable[[], AbstractContextManager[Session]]
"""Begins a session with Slurm."""


def decode(status: int) -> tuple[int | None, int | None]:
    """Exit code and signal of the runner, of a raw wait status of its script as Slurm keeps it.

    The script is a shell, which ends with 128 + n if the runner was ended by signal n.
    """
    exit_code, signal = status >> 8 & 0xFF, status & 0x7F
    if exit_code > 128:
        signal = exit_code - 128
    return (None, signal) if signal else (exit_code, None)
