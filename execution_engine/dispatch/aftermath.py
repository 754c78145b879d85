"""What is left to do when a job has ended: erase the token, forget its signs of life, mark it for the Catalog."""

from execution_engine.store.heartbeats import HeartbeatStore
from execution_engine.store.jobs import JobStore
from execution_engine.store.payloads import PayloadStore

_BATCH = 500


class Aftermath:
    """Works through ended jobs, many at a time; each step may be repeated."""

    def __init__(
        self, jobs: JobStore, payloads: PayloadStore, heartbeats: HeartbeatStore, *, catalog_counts: bool
    ) -> None:
        """``catalog_counts``: whether the Catalog is to be told of what ran (dispatch/run_reports.py)."""
        self._jobs = jobs
        self._payloads = payloads
        self._heartbeats = heartbeats
        self._catalog_counts = catalog_counts

    def run(self) -> None:
        """One round."""
        ended = self._jobs.ended_with_work_left(_BATCH)
        if not ended:
            return
        ids = [job["_id"] for job in ended]
        self._payloads.erase_tokens(ids)
        self._heartbeats.forget(ids)
        ran = {job["_id"] for job in ended if "running" in job} if self._catalog_counts else set()
        self._jobs.mark_cleaned([job_id for job_id in ids if job_id not in ran])
        self._jobs.mark_cleaned(list(ran), untold=True)
