"""The contract's calls, answered from AWE's list of jobs and its list of workers."""

import contextlib
import re
import threading
from collections.abc import Iterable, Sequence
from typing import ClassVar, Self

from execution_engine.backends.awe import lineup, options
from execution_engine.backends.awe.cancelling import Cancelling
from execution_engine.backends.awe.documents import OPEN_STATES, WAITING_STATES, AweJob, is_id
from execution_engine.backends.awe.options import AweOptions
from execution_engine.backends.awe.records import Records, TagRecords
from execution_engine.backends.awe.server import AweServer
from execution_engine.backends.awe.sightings import Judge, Since
from execution_engine.backends.awe.workers import Workers, why_never
from execution_engine.backends.awe.workflow import workflow
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
from execution_engine.config import BackendSettings, Settings
from execution_engine.core.errors import BackendUnavailable

# How AWE speaks of a document that it will never take; with its other troubles it may have taken it.
_REFUSAL = re.compile(r"unmarshal|invalid job script|No job")


class AweBackend(Backend):
    """Hands attempts to an AWE server; a backend id is AWE's id of the job.

    Between calls nothing happens: a cancel, which takes AWE some seconds, goes on with the calls that follow.
    """

    kind: ClassVar[str] = "awe"
    settle_seconds = 10.0  # a job is visible when its POST is answered; this is for one whose answer never came

    def __init__(self, name: str, chosen: AweOptions) -> None:
        super().__init__(name)
        self._options = chosen
        self._groups = chosen.groups
        self._server = AweServer(name, chosen.url, chosen.token_file, chosen.timeout_seconds)
        self._records = Records(self._server)
        self._judge = Judge(chosen.delays, Since())
        self._cancelling = Cancelling(self._server, self._judge)
        self._lock = threading.RLock()

    @classmethod
    def from_settings(cls, section: BackendSettings, settings: Settings) -> Self:
        """Options: see :mod:`execution_engine.backends.awe.options`."""
        return cls(section.name, options.read(section, settings))

    def submit(self, jobs: Sequence[Submission]) -> dict[str, Accepted | Refused | Unknown]:
        """One POST a job. AWE makes a second job of a second one, so it is asked before and after."""
        outcomes: dict[str, Accepted | Refused | Unknown] = {}
        for job in jobs:
            if problem := self._why_refused(job):
                outcomes[job.tag] = Refused(problem, transient=False)
        fresh = {job.tag: job for job in jobs if job.tag not in outcomes}
        with self._lock:
            known = self._known(fresh)
            posted = self._post_all([job for tag, job in fresh.items() if isinstance(known[tag], Absent)])
            with contextlib.suppress(BackendUnavailable):  # then what was answered to each POST counts
                known |= self._known(posted)
        for tag, found in known.items():
            outcomes[tag] = Accepted(found.backend_id) if isinstance(found, Found) else posted.get(tag) or _told(found)
        return outcomes

    def poll(self, backend_ids: Iterable[str]) -> dict[str, Sighting]:
        """One question for a hundred jobs, one for the workers, and one more for each job that failed or is missing."""
        asked = list(backend_ids)
        none = Sighting(SightingState.UNKNOWN, reason="No id of this backend.")
        sightings = dict.fromkeys(asked, none)
        ids = [one for one in sightings if is_id(one)]
        if not ids:
            return sightings
        with self._lock:
            self._cancelling.advance(self._records.look)
            jobs, problems = self._records.by_ids(ids)
            workers = self._records.workers()
            for one in ids:
                if job := jobs.get(one):
                    sightings[one] = self._sighting(job, workers)
                elif one in problems:
                    reason = f"AWE's record of it can't be understood: {problems[one]}."
                    sightings[one] = Sighting(SightingState.UNKNOWN, reason=reason)
                else:
                    sightings[one] = self._sighting_of_missing(one, workers)
        return sightings

    def find(self, tags: Iterable[str]) -> dict[str, Found | Absent | Unknown]:
        """Of several jobs of a tag the oldest counts; the others are ended."""
        asked = list(tags)
        absent: dict[str, Found | Absent | Unknown] = {tag: Absent() for tag in asked}
        with self._lock:
            return absent | self._known([tag for tag in asked if is_tag(tag)])

    def cancel(self, backend_ids: Iterable[str]) -> None:
        """What waits is deleted at once; what runs is suspended, and deleted when its worker has dropped it."""
        with self._lock:
            self._cancelling.begin(filter(is_id, backend_ids))
            self._cancelling.advance(self._records.look)

    def resources(self) -> Resources:
        """AWE knows of cores only, and gives a job a whole worker; memory is what the settings say."""
        workers = self._records.workers()
        ours = {"info.pipeline": [self._options.pipeline]}
        memory = self._options.worker_memory_mb or 0
        usable = [worker for worker in workers.all if worker.usable]
        busy = [worker for worker in usable if worker.busy]
        return Resources(
            cpus_total=sum(worker.cores for worker in usable),
            cpus_used=sum(worker.cores for worker in busy),
            memory_mb_total=memory * len(usable),
            memory_mb_used=memory * len(busy),
            slots_total=len(usable),
            slots_used=len(busy),
            running=self._server.count(ours | {"state": ["in-progress"]}),
            waiting=self._server.count(ours | {"state": WAITING_STATES}),
            groups=tuple(workers.group(group, names, memory) for group, names in self._groups.items()),
        )

    def queue(self) -> list[QueueEntry]:
        """Positions count the jobs of others too: they are served from the same queue."""
        with self._lock:
            listed = self._records.matching({"info.pipeline": [self._options.pipeline], "state": OPEN_STATES})
            ours = [job for job in lineup.line_up(listed) if is_tag(job.tag) and not (job.finished or job.failed)]
            workers = self._records.workers()
            seen = [(job, self._sighting(job, workers)) for job in ours]
        places: dict[str, int] = {}
        if any(sighting.state is SightingState.WAITING for _, sighting in seen):
            places = lineup.positions(self._records.matching({"state": WAITING_STATES}))
        entries = [
            QueueEntry(
                job.id,
                job.tag,
                job.client_group or None,
                sighting.state,
                places.get(job.id) if sighting.state is SightingState.WAITING else None,
                sighting.reason,
            )
            for job, sighting in seen
            if sighting.state is not SightingState.GONE
        ]
        return sorted(entries, key=lambda entry: entry.state is not SightingState.WAITING)

    def forget(self, backend_ids: Iterable[str]) -> None:
        """Removes the records of jobs that are gone."""
        gone = [one for one, seen in self.poll(backend_ids).items() if seen.state is SightingState.GONE]
        for one in gone:
            self._server.delete(f"/job/{one}?full")

    def _why_refused(self, job: Submission) -> str | None:
        if not is_tag(job.tag):
            return f"{job.tag!r} is not the tag of an attempt."
        return why_never(job.requirements, self._options.worker_cpus, self._options.worker_memory_mb)

    def _post_all(self, jobs: Sequence[Submission]) -> dict[str, Accepted | Refused | Unknown]:
        """Stops at the first one of which the outcome is not known: the next would fare no better."""
        outcomes: dict[str, Accepted | Refused | Unknown] = {}
        for job in jobs:
            try:
                outcomes[job.tag] = self._post(job)
            except BackendUnavailable as error:
                untried = Refused(error.message, transient=True)
                return dict.fromkeys([one.tag for one in jobs], untried) | outcomes | {job.tag: Unknown(error.message)}
        return outcomes

    def _post(self, job: Submission) -> Accepted | Refused:
        """One POST.

        Raises:
            BackendUnavailable: the outcome is not known.
        """
        document = workflow(
            job,
            command=self._options.command,
            group=self._groups.get(job.client_group, job.client_group),
            pipeline=self._options.pipeline,
            worker_url=self._options.worker_url,
        )
        answer = self._server.upload("/job", document)
        if not answer.ok and _REFUSAL.search(answer.error):
            return Refused(f"AWE refuses the job: {answer.error}", transient=False)
        job_id = answer.data.get("id") if isinstance(answer.data, dict) else None
        if not isinstance(job_id, str) or not is_id(job_id):
            raise self._server.unavailable(f"it does not say what became of a job ({answer.error or 'no id'})")
        return Accepted(job_id)

    def _known(self, tags: Iterable[str]) -> dict[str, Found | Absent | Unknown]:
        """What AWE has of each tag; ends all but one job of a tag."""
        asked = list(tags)
        records = self._records.by_tags(asked)
        known: dict[str, Found | Absent | Unknown] = {tag: Absent() for tag in asked}
        extra: list[AweJob] = []
        for tag, found in records.items():
            kept = _kept(found)
            if kept:
                known[tag] = Found(kept.id)
                extra += [job for job in found.jobs if job is not kept and job.state in OPEN_STATES]
            else:
                known[tag] = Unknown(f"AWE's record of {tag} can't be understood: {found.problems[0]}.")
        if extra:
            self._cancelling.begin(job.id for job in extra)
            self._cancelling.advance(self._records.look)
        return known

    def _sighting(self, job: AweJob, workers: Workers) -> Sighting:
        notes = self._records.worker_notes(job) if job.failed and "exit status" not in job.notes else ""
        return self._judge.sighting(job, workers, cancelled=job.id in self._cancelling, notes=notes)

    def _sighting_of_missing(self, job_id: str, workers: Workers) -> Sighting:
        """The list lacks it: AWE is asked for this one by its name before that is believed."""
        if self._server.get(f"/job/{job_id}").not_found:
            return self._judge.missing(job_id, workers.running(job_id))
        return Sighting(SightingState.UNKNOWN, reason="AWE does not list it, but does not say that it has none.")


def _told(found: Absent | Unknown) -> Unknown:
    return found if isinstance(found, Unknown) else Unknown("AWE has lost it since it took it.")


def _kept(records: TagRecords) -> AweJob | None:
    """The job that stands for its tag: the oldest one, unless it was deleted and another one was not."""
    living = [job for job in records.jobs if job.state != "deleted"]
    return next(iter(living or records.jobs), None)
