"""Stand-ins for the tests of the dispatcher: a backend that does as it is told, and a clock that stands."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Self

from bson import ObjectId

from execution_engine.backends.base import (
    Absent,
    Accepted,
    Backend,
    Found,
    QueueEntry,
    Refused,
    Resources,
    Sighting,
    SightingState,
    Submission,
    Unknown,
)
from execution_engine.core.errors import BackendUnavailable
from execution_engine.core.transitions import Transition
from execution_engine.store.jobs import JobStore
from execution_engine.store.slots import SlotStore


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.seconds = 1_000.0

    def __call__(self) -> float:
        return self.seconds


class ToldBackend(Backend):
    """Accepts everything under the tag as its id, and says of each what ``sightings`` has (default: it waits).

    down: the reason, if it does not answer. refusals: by tag. answers: of find, by tag. Everything that it was asked is
    in ``calls``.
    """

    kind = "told"
    settle_seconds = 1.0

    def __init__(self, name: str = "local", slots: int | None = 8) -> None:
        super().__init__(name)
        self.down: str | None = None
        self.slots = slots
        self.on_submit: Callable[[Sequence[Submission]], None] = lambda _: None
        self.refusals: dict[str, Refused | Unknown] = {}
        self.answers: dict[str, Found | Absent | Unknown] = {}
        self.sightings: dict[str, Sighting] = {}
        self.tickets: dict[str, str] = {}
        self.order: list[str] = []
        self.cancelled: list[str] = []
        self.listed: list[QueueEntry] = []
        self.calls: list[str] = []

    @classmethod
    def from_settings(cls, section: Any, settings: Any) -> Self:
        raise NotImplementedError

    def _called(self, name: str) -> None:
        self.calls.append(name)
        if self.down is not None:
            raise BackendUnavailable(self.down)

    def submit(self, jobs: Sequence[Submission]) -> dict[str, Accepted | Refused | Unknown]:
        self._called("submit")
        self.on_submit(jobs)
        for job in jobs:
            if job.tag not in self.refusals:
                self.tickets[job.tag] = job.ticket
                self.order.append(job.tag)
        return {job.tag: self.refusals.get(job.tag) or Accepted(job.tag) for job in jobs}

    def poll(self, backend_ids: Iterable[str]) -> dict[str, Sighting]:
        self._called("poll")
        waits = Sighting(SightingState.WAITING)
        return {backend_id: self.sightings.get(backend_id, waits) for backend_id in backend_ids}

    def find(self, tags: Iterable[str]) -> dict[str, Found | Absent | Unknown]:
        self._called("find")
        return {tag: self.answers.get(tag, Absent()) for tag in tags}

    def cancel(self, backend_ids: Iterable[str]) -> None:
        self._called("cancel")
        self.cancelled += backend_ids

    def resources(self) -> Resources:
        self._called("resources")
        return Resources(8, 0, 1000, 0, self.slots, 0, 0, 0)

    def queue(self) -> list[QueueEntry]:
        self._called("queue")
        return self.listed


class FreePost:
    """A dispatcher's post without a lease: what its holder writes is simply written."""

    term = 1

    def __init__(self, jobs: JobStore) -> None:
        self.jobs = jobs
        self._slots = SlotStore(jobs._jobs.database)

    def write(self, writes: Sequence[tuple[ObjectId, Transition]]) -> int:
        applied = self.jobs.apply_many(writes)
        self._slots.free_ended([job_id for job_id, transition in writes if transition.ends_attempt])
        return applied

    def act(self, write: Callable[[None], Any]) -> Any:
        return write(None)
