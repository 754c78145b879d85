"""AWE's workers together: who has a job, and what there is for each client group."""

from collections.abc import Iterable

from execution_engine.backends.awe.documents import Worker
from execution_engine.backends.base import GroupResources, Requirements


class Workers:
    """What one ``GET /client`` said."""

    def __init__(self, workers: Iterable[Worker]) -> None:
        self.all = tuple(workers)
        self._running = {job: worker for worker in self.all for job in worker.running}
        self._assigned = {job: worker for worker in self.all for job in worker.assigned}

    def running(self, job_id: str) -> Worker | None:
        """The worker that says that it runs the job."""
        return self._running.get(job_id)

    def assigned(self, job_id: str) -> Worker | None:
        """The worker that the job was given to and that has not brought back an end of it."""
        return self._assigned.get(job_id)

    def group(self, client_group: str, groups: str, memory_mb: int) -> GroupResources:
        """What serves the engine's client group, whose jobs go to AWE's ``groups`` (names with commas between)."""
        names = groups.split(",")
        mine = [worker for worker in self.all if worker.group in names]
        usable = [worker for worker in mine if worker.usable]
        busy = [worker for worker in usable if worker.busy]
        reason = None
        if not usable:
            found = "all its workers are suspended" if mine else "it has no worker now"
            reason = f"AWE's group {' or '.join(names)} can run nothing: {found}."
        return GroupResources(
            client_group,
            nodes_total=len(mine),
            nodes_usable=len(usable),
            cpus_total=sum(worker.cores for worker in mine),
            cpus_used=sum(worker.cores for worker in busy),
            memory_mb_total=memory_mb * len(mine) if memory_mb else None,
            memory_mb_used=memory_mb * len(busy) if memory_mb else None,
            reason=reason,
        )


def why_never(needs: Requirements, cpus: int | None, memory_mb: int | None) -> str | None:
    """Why no worker could run such a job. ``cpus``, ``memory_mb``: what each has by the settings, None if unsaid."""
    if cpus is not None and needs.cpus > cpus:
        return f"The job asks for {needs.cpus} cores, but a worker has {cpus}."
    if memory_mb is not None and needs.memory_mb > memory_mb:
        return f"The job asks for {needs.memory_mb} MiB of memory, but a worker has {memory_mb}."
    return None
