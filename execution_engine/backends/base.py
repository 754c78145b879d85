"""The contract between the engine and the systems that execute its attempts.

Every call takes many items at once, since a batch system answers one large question faster than many small ones. For a
system that is down, slow, refusing or answering nonsense it raises BackendUnavailable (``core.errors``) with the reason
in plain words; a problem of one job is a value in the answer, never an exception.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import ClassVar, Self

from execution_engine.config import BackendSettings, Settings
from execution_engine.core.ids import attempt_tag, parse_tag

TAG_VARIABLE = "EE_ATTEMPT_TAG"
"""Environment variable that every process of an attempt has; its value is the tag."""


def is_tag(name: str) -> bool:
    """Whether the name is exactly an attempt's tag: nothing else names files, jobs or processes of ours."""
    parts = parse_tag(name)
    return parts is not None and attempt_tag(*parts) == name


@dataclass(frozen=True, slots=True)
class Requirements:
    """What one job occupies while it runs: whole cores, MiB, GiB."""

    cpus: int
    memory_mb: int
    disk_gb: int


@dataclass(frozen=True, slots=True)
class Submission:
    """One attempt to hand over.

    ``tag`` names it inside the system and is never used for another one. ``ticket`` is the single-use start ticket, the
    only secret that a system's records may carry. ``time_limit_s`` is the longest run time; None if there is none.
    ``user`` is whom a system's own fair share counts it for. ``constraints`` are what the app wants of a machine beyond
    the requirements, by name; both sides are letters, digits and ``_.:/+-``. A system that knows no such names passes
    over them.
    """

    tag: str
    job_id: str
    attempt: int
    ticket: str
    requirements: Requirements
    client_group: str
    user: str
    time_limit_s: int | None = None
    constraints: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Accepted:
    """The system has the attempt, and keeps it over its own restart."""

    backend_id: str


@dataclass(frozen=True, slots=True)
class Refused:
    """The system does not take the attempt. ``transient``: the same submission may be taken later."""

    message: str
    transient: bool


class SightingState(StrEnum):
    """What a system says about an attempt. HELD: the system will not run it unless somebody intervenes."""

    WAITING = "waiting"
    RUNNING = "running"
    HELD = "held"
    GONE = "gone"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Sighting:
    """One attempt as the system sees it now.

    GONE is a confirmation: no process of the attempt runs any more and none will. ``reason`` is in plain words, except
    for GONE, where it is a code of :mod:`execution_engine.core.causes` if the system itself knows one, and ``detail``
    has the words. ``cause``: for HELD, the code that the job ends with if nobody intervenes, if the system knows one.
    ``exit_code`` and ``signal`` (at most one of them) are the runner's, not the app's.
    """

    state: SightingState
    reason: str | None = None
    host: str | None = None
    exit_code: int | None = None
    signal: int | None = None
    detail: str | None = None
    cause: str | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """The system has an attempt of that tag."""

    backend_id: str


@dataclass(frozen=True, slots=True)
class Absent:
    """The system has none; to be believed once ``settle_seconds`` have passed since the submit call ended."""


@dataclass(frozen=True, slots=True)
class Unknown:
    """The system can't say; ``reason`` in plain words."""

    reason: str


@dataclass(frozen=True, slots=True)
class GroupResources:
    """What of a system serves one client group; None where the system can't say.

    ``reason``: why nothing of it can start jobs now (all its nodes are down, its partition is drained), in plain words.
    """

    client_group: str
    nodes_total: int | None = None
    nodes_usable: int | None = None
    cpus_total: int | None = None
    cpus_used: int | None = None
    memory_mb_total: int | None = None
    memory_mb_used: int | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Resources:
    """What a system has and what is taken. ``slots``: how many one-core jobs fit; None where the system can't say.

    ``groups``: the parts that serve single client groups, of systems that are divided.
    """

    cpus_total: int
    cpus_used: int
    memory_mb_total: int
    memory_mb_used: int
    slots_total: int | None
    slots_used: int | None
    running: int
    waiting: int
    groups: tuple[GroupResources, ...] = ()


@dataclass(frozen=True, slots=True)
class QueueEntry:
    """One attempt that a system holds. ``position`` counts from 1 among those that wait; ``reason`` in plain words."""

    backend_id: str
    tag: str | None
    client_group: str | None
    state: SightingState
    position: int | None = None
    reason: str | None = None


class Backend(ABC):
    """One configured execution system. Safe to use from several threads."""

    kind: ClassVar[str]

    settle_seconds: float
    """How long after the end of a submit call, answered or not, an :class:`Absent` can still be wrong."""

    def __init__(self, name: str) -> None:
        self.name = name

    @property
    def notice(self) -> str:
        """What operators should know about how it is set up; empty if nothing."""
        return ""

    @classmethod
    @abstractmethod
    def from_settings(cls, section: BackendSettings, settings: Settings) -> Self:
        """The backend of one ``[backend:NAME]`` section. Must not fail because the system is down.

        Raises:
            ConfigurationError: an option is unknown, or its value can't be used.
        """

    @abstractmethod
    def submit(self, jobs: Sequence[Submission]) -> Mapping[str, Accepted | Refused | Unknown]:
        """Hands over attempts; answers for every tag. A tag that the system already has is Accepted once more.

        Unknown: the system was asked and did not answer, so it may have the attempt; :meth:`find` tells later.

        Raises:
            BackendUnavailable: the same holds for all of them.
        """

    @abstractmethod
    def poll(self, backend_ids: Iterable[str]) -> dict[str, Sighting]:
        """How the attempts are; answers for every id."""

    @abstractmethod
    def find(self, tags: Iterable[str]) -> dict[str, Found | Absent | Unknown]:
        """Whether the system has these attempts, waiting, running or ended lately; answers for every tag."""

    @abstractmethod
    def cancel(self, backend_ids: Iterable[str]) -> None:
        """Asks the system to stop the attempts. Repeating it, or naming ended or unknown ones, does nothing.

        It is not done when this returns: a later :meth:`poll` that says GONE confirms it.
        """

    @abstractmethod
    def resources(self) -> Resources:
        """What the system has, and what of it is in use."""

    @abstractmethod
    def queue(self) -> list[QueueEntry]:
        """What the system holds for us and has not ended: first those that wait, in their order, then the others.

        An entry that the engine knows nothing of is an orphan.
        """

    def forget(self, backend_ids: Iterable[str]) -> None:  # noqa: B027  most systems keep and drop their history themselves
        """Removes what the system still keeps of ended attempts; others are left alone."""

    def stop_all(self, timeout_seconds: float) -> None:  # noqa: B027  most systems run on without the engine
        """The engine on this machine stops for good: ends what would be left without an owner, and starts no more."""
