"""The contract's calls, answered from one listing of the account's jobs, which Slurm gives quickly."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from math import ceil
from pathlib import Path
from typing import ClassVar, Self

from execution_engine.backends import runner_archive
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
    is_tag,
)
from execution_engine.backends.slurm import accounting, queueing, refusals
from execution_engine.backends.slurm.absences import Absences
from execution_engine.backends.slurm.accounting import JobCompletionFile, Sacct
from execution_engine.backends.slurm.capacity import Capacity, largest
from execution_engine.backends.slurm.command_line import CommandLine
from execution_engine.backends.slurm.commands import Commands
from execution_engine.backends.slurm.queueing import backend_id
from execution_engine.backends.slurm.rest import Rest
from execution_engine.backends.slurm.rest_connection import Door
from execution_engine.backends.slurm.rest_versions import VERSIONS
from execution_engine.backends.slurm.script import BatchScript
from execution_engine.backends.slurm.session import JobRequest, JobRow, Rejection, Session, Trouble, Way
from execution_engine.backends.slurm.settings import SACCT, SlurmSettings
from execution_engine.backends.slurm.states import is_alive, sighting
from execution_engine.config import BackendSettings, Settings
from execution_engine.core.errors import BackendUnavailable

_LIMIT_MARGIN_MINUTES = 2  # the runner enforces the limit; Slurm's is for one that does not
_MIB_PER_GIB = 1024


class SlurmBackend(Backend):
    """Keeps nothing but since when attempts have been missed: the truth is Slurm's, a new instance just goes on."""

    kind: ClassVar[str] = "slurm"

    def __init__(
        self,
        name: str,
        settings: SlurmSettings,
        runner: bytes,
        worker_url: str,
        *,
        client_groups: Sequence[str] = (),
        handover_seconds: float = 20.0,
        settle_seconds: float = 30.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """A backend for the Slurm of ``settings``.

        ``runner``: the archive of the runner. ``client_groups``: those that the backend serves. ``handover_seconds``:
        how long one submit call goes on handing over jobs; the others are refused for now.
        """
        super().__init__(name)
        # A request that got no answer from the controller is repeated by Slurm's REST daemon for some time.
        self.settle_seconds = settle_seconds
        self._settings = settings
        self._script = BatchScript(runner, worker_url, settings.python, settings.work_folder)
        self._partitions = {group: settings.partition.of(group) for group in client_groups}
        self._handover_seconds = handover_seconds
        self._clock = clock
        self._absences = Absences(settle_seconds, clock)
        self._cancelled: frozenset[str] = frozenset()
        commands = Commands(settings.slurm_conf, settings.timeout_seconds)
        self._way = _way(settings, commands)
        self._histories = _histories(settings, commands)

    @classmethod
    def from_settings(cls, section: BackendSettings, settings: Settings) -> Self:
        """The options are those of :class:`SlurmSettings`."""
        groups = [group.name for group in settings.client_groups.values() if section.name in group.backends]
        options = SlurmSettings.read(section)
        return cls(section.name, options, runner_archive.compact(), settings.worker_url, client_groups=groups)

    @property
    def notice(self) -> str:
        """How Slurm is asked, and as whom."""
        way = f"the REST daemon at {self._settings.rest_url}" if self._settings.rest_url else "Slurm's commands"
        return f"by {way}; apps run as {self._settings.user}, and can see what other jobs of this account leave"

    def submit(self, jobs: Sequence[Submission]) -> Mapping[str, Accepted | Refused | Unknown]:
        """One by one over one connection: Slurm takes different jobs only so."""
        with self._session() as slurm:
            outcomes: dict[str, Accepted | Refused | Unknown] = {
                row.name: Accepted(backend_id(row)) for row in _by_tag(slurm.own_jobs()).values()
            }
            until = self._clock() + self._handover_seconds
            trouble: Trouble | None = None
            for job in jobs:
                if job.tag in outcomes:
                    continue
                if not is_tag(job.tag):
                    outcomes[job.tag] = Refused(f"{job.tag!r} is no tag of an attempt.", transient=False)
                elif trouble or self._clock() > until:
                    why = f"Slurm stopped answering: {trouble}." if trouble else "Slurm takes jobs too slowly."
                    outcomes[job.tag] = Refused(why, transient=True)
                else:
                    try:
                        outcomes[job.tag] = self._hand_over(slurm, job)
                    except Trouble as error:
                        trouble = error
                        outcomes[job.tag] = Unknown(f"Slurm did not say whether it took the job: {error}.")
            return {job.tag: outcomes[job.tag] for job in jobs}

    def poll(self, backend_ids: Iterable[str]) -> dict[str, Sighting]:
        """An attempt that is not listed any more is looked up in the accounting, if that is set up."""
        ids = list(backend_ids)
        with self._session() as slurm:
            rows = _by_tag(slurm.own_jobs())
        tags = {it: tag for it in ids if (tag := _tag_of(it))}
        missing = {tag for tag in tags.values() if tag not in rows}
        trouble = None
        try:
            rows |= accounting.ask(self._histories, missing) if missing else {}
        except Trouble as error:
            trouble = error
        self._absences.seen([it for it, tag in tags.items() if tag in rows])
        return {it: self._sighting(it, tags.get(it), rows, trouble) for it in ids}

    def find(self, tags: Iterable[str]) -> dict[str, Found | Absent | Unknown]:
        """In the listing; then in the accounting, if that is set up."""
        wanted = list(tags)
        with self._session() as slurm:
            rows = _by_tag(slurm.own_jobs())
        missing = {tag for tag in wanted if is_tag(tag) and tag not in rows}
        silent: Absent | Unknown = Absent()
        try:
            rows |= accounting.ask(self._histories, missing) if missing else {}
        except Trouble as error:
            silent = Unknown(f"Slurm does not list it, and {error}.")
        answers: dict[str, Found | Absent | Unknown] = {}
        for tag in wanted:
            absent = silent if tag in missing else Absent()
            answers[tag] = Found(backend_id(rows[tag])) if tag in rows else absent
        return answers

    def cancel(self, backend_ids: Iterable[str]) -> None:
        """All jobs of the attempts' names that Slurm has not done with: by number alone another could be hit."""
        tags = {tag for it in backend_ids if (tag := _tag_of(it))}
        with self._session() as slurm:
            rows = slurm.own_jobs()
            doomed = [row for row in rows if row.name in tags and is_alive(row)]
            # Before the act, which another thread may see at once; of those that Slurm still lists.
            listed = self._cancelled & {row.name for row in rows}
            self._cancelled = listed | {row.name for row in doomed}
            slurm.cancel([row.id for row in doomed])

    def resources(self) -> Resources:
        """The nodes of the partitions that the client groups use."""
        with self._session() as slurm:
            return self._capacity(slurm).resources(_ours(slurm.own_jobs()))

    def queue(self) -> list[QueueEntry]:
        """With the positions among all people's jobs, as far as the engine's account may see those."""
        with self._session() as slurm:
            own = slurm.own_jobs()
            return queueing.entries(own, slurm.waiting_jobs())

    def _hand_over(self, slurm: Session, job: Submission) -> Accepted | Refused:
        request = self._request(job)
        try:
            return Accepted(f"{self._submit(slurm, request)}:{job.tag}")
        except Rejection as rejection:
            if refusals.number_of(rejection) not in refusals.SIZES:
                return refusals.refused(rejection, request)
            nodes = self._capacity(slurm).nodes_of(request.partition)
            return refusals.refused(rejection, request, largest(nodes))

    def _submit(self, slurm: Session, request: JobRequest) -> int:
        try:
            return slurm.submit(request)
        except Rejection as rejection:
            if request.minutes is None or refusals.number_of(rejection) != refusals.TIME_LIMIT:
                raise
            # The limit may be just what the partition allows; the margin is not worth a refusal.
            return slurm.submit(replace(request, minutes=request.minutes - _LIMIT_MARGIN_MINUTES))

    def _request(self, job: Submission) -> JobRequest:
        needs, settings = job.requirements, self._settings
        return JobRequest(
            name=job.tag,
            comment=queueing.comment(job),
            script=self._script.of(job),
            cpus=needs.cpus,
            memory_mb=needs.memory_mb,
            disk_mb=needs.disk_gb * _MIB_PER_GIB if settings.request_disk else None,
            minutes=ceil(job.time_limit_s / 60) + _LIMIT_MARGIN_MINUTES if job.time_limit_s else None,
            partition=settings.partition.of(job.client_group),
            account=settings.account.of(job.client_group),
            qos=settings.qos.of(job.client_group),
            output=settings.runner_output,
        )

    def _sighting(self, it: str, tag: str | None, rows: Mapping[str, JobRow], trouble: Trouble | None) -> Sighting:
        if tag is None:
            return Sighting(SightingState.UNKNOWN, "No id of this backend.")
        if tag in rows:
            return sighting(rows[tag], cancelled=tag in self._cancelled)
        if trouble:
            return Sighting(SightingState.UNKNOWN, f"Slurm does not list it, and {trouble}.")
        if self._absences.is_final(it):
            return Sighting(SightingState.GONE, detail="Slurm does not know the job any more.")
        return Sighting(SightingState.UNKNOWN, "Slurm does not list it; a node may still report it.")

    def _capacity(self, slurm: Session) -> Capacity:
        return Capacity(slurm.nodes(), slurm.partitions(), self._partitions)

    @contextmanager
    def _session(self) -> Iterator[Session]:
        try:
            with self._way() as slurm:
                yield slurm
        except Trouble as error:
            raise BackendUnavailable(f"the backend {self.name} can't be used: {error}.") from error


def _way(settings: SlurmSettings, commands: Commands) -> Way:
    if not settings.rest_url:
        return CommandLine(commands).begin
    door = Door(settings.rest_url, settings.user, settings.token_file, settings.timeout_seconds)
    return Rest(door, settings.rest_version, VERSIONS[settings.rest_version], settings.user).begin


def _histories(settings: SlurmSettings, commands: Commands) -> list[accounting.History]:
    histories: list[accounting.History] = []
    if settings.accounting == SACCT:
        histories.append(Sacct(commands, settings.user))
    if settings.jobcomp_file:
        histories.append(JobCompletionFile(Path(settings.jobcomp_file), settings.user))
    return histories


def _tag_of(it: str) -> str | None:
    number, _, tag = it.partition(":")
    return tag if number.isdecimal() and is_tag(tag) else None


def _ours(rows: Iterable[JobRow]) -> list[JobRow]:
    return [row for row in rows if is_tag(row.name)]


def _by_tag(rows: Iterable[JobRow]) -> dict[str, JobRow]:
    """The engine's jobs by tag. Of several of one tag (Slurm's own repetitions) the one that lives counts."""
    return {row.name: row for row in sorted(_ours(rows), key=lambda row: (is_alive(row), row.id))}
