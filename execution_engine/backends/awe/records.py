"""Jobs and workers, read from AWE many at a time."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from execution_engine.backends.awe.documents import TAG_PATH, AweJob, UnreadableError, read_job, read_worker, tag_of
from execution_engine.backends.awe.server import AweServer
from execution_engine.backends.awe.workers import Workers

_AT_ONCE = 100  # ids or tags in one URL


@dataclass(slots=True)
class TagRecords:
    """The jobs of one tag, the oldest first, and why some of them can't be read."""

    jobs: list[AweJob] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


class Records:
    """What the server holds, as values. A record that can't be read is named, and does not spoil the others."""

    def __init__(self, server: AweServer) -> None:
        self._server = server

    def by_ids(self, job_ids: Iterable[str]) -> tuple[dict[str, AweJob], dict[str, str]]:
        """The jobs of these ids, and why some of the records can't be read; those without a record are in neither."""
        jobs: dict[str, AweJob] = {}
        problems: dict[str, str] = {}
        for some in _parts(job_ids):
            for document in self._server.jobs({"id": some}):
                try:
                    job = read_job(document)
                    jobs[job.id] = job
                except UnreadableError as error:
                    problems |= dict.fromkeys([one for one in some if _has_id(document, one)], str(error))
        return jobs, problems

    def by_tags(self, tags: Iterable[str]) -> dict[str, TagRecords]:
        """The jobs of these tags."""
        found: dict[str, TagRecords] = defaultdict(TagRecords)
        for some in _parts(tags):
            for document in self._server.jobs({TAG_PATH: some}):
                try:
                    job = read_job(document)
                    found[job.tag].jobs.append(job)
                except UnreadableError as error:
                    found[tag_of(document)].problems.append(str(error))
        return found

    def matching(self, conditions: Mapping[str, Sequence[str]]) -> list[AweJob]:
        """The readable jobs that meet all conditions."""
        jobs = []
        for document in self._server.jobs(conditions):
            try:
                jobs.append(read_job(document))
            except UnreadableError:
                continue
        return jobs

    def workers(self) -> Workers:
        """All workers that this account may see.

        Raises:
            BackendUnavailable: one of them can't be read: it might run anything.
        """
        try:
            return Workers(read_worker(document) for document in self._server.listed("/client").data)
        except UnreadableError as error:
            raise self._server.unavailable(f"its list of workers can't be understood ({error})") from error

    def look(self, job_ids: Iterable[str]) -> tuple[dict[str, AweJob], Workers]:
        """Jobs and workers, in this order: what a job's record says to be stopped can't come to a worker later."""
        jobs, _ = self.by_ids(job_ids)
        return jobs, self.workers()

    def worker_notes(self, job: AweJob) -> str:
        """What the worker noted about the end of the command; empty if nothing."""
        answer = self._server.get(f"/work/{job.id}_0_0?report=worknotes")
        return answer.data if answer.ok and isinstance(answer.data, str) else ""


def _parts(items: Iterable[str]) -> Iterator[list[str]]:
    listed = list(items)
    return (listed[start : start + _AT_ONCE] for start in range(0, len(listed), _AT_ONCE))


def _has_id(document: object, job_id: str) -> bool:
    return isinstance(document, dict) and document.get("id") == job_id
