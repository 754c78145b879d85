"""What is left to do when a job has ended: erase what no longer counts, give slots back, mark it for the Catalog."""

from execution_engine.core.states import Status
from execution_engine.store.database import Document
from execution_engine.store.heartbeats import HeartbeatStore
from execution_engine.store.jobs import JobStore
from execution_engine.store.payloads import PayloadStore
from execution_engine.store.slots import SlotStore

_BATCH = 500


class Aftermath:
    """Works through ended jobs, many at a time; each step may be repeated."""

    def __init__(
        self,
        jobs: JobStore,
        payloads: PayloadStore,
        heartbeats: HeartbeatStore,
        slots: SlotStore,
        *,
        catalog_counts: bool,
    ) -> None:
        """``catalog_counts``: whether the Catalog is to be told of what ran (dispatch/run_reports.py)."""
        self._jobs = jobs
        self._payloads = payloads
        self._heartbeats = heartbeats
        self._slots = slots
        self._catalog_counts = catalog_counts

    def run(self) -> None:
        """One round."""
        ended = self._jobs.ended_with_work_left(_BATCH)
        if not ended:
            return
        ids = [job["_id"] for job in ended]
        self._payloads.erase_tokens(ids)
        self._heartbeats.forget(ids)
        self._slots.free_ended(ids)
        # Reports that did not decide; of a job that went its way without trouble there is one.
        self._payloads.delete_outputs({job["_id"]: _counted(job) for job in ended if _had_trouble(job)})
        ran = {job["_id"] for job in ended if "running" in job} if self._catalog_counts else set()
        self._jobs.mark_cleaned([job_id for job_id in ids if job_id not in ran])
        self._jobs.mark_cleaned(list(ran), untold=True)


def _counted(job: Document) -> str | None:
    key: str | None = job.get("output", {}).get("key")
    return key


def _had_trouble(job: Document) -> bool:
    return job["status"] != Status.COMPLETED or "losses" in job
