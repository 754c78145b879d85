"""What is left to do when a job has ended: erase the token, tell the Catalog."""

import logging
from pathlib import Path

from execution_engine.core.errors import CatalogUnavailable, ConfigurationError
from execution_engine.core.states import Status
from execution_engine.kbase.catalog import Catalog, Execution
from execution_engine.store.database import Document
from execution_engine.store.heartbeats import HeartbeatStore
from execution_engine.store.jobs import JobStore
from execution_engine.store.payloads import PayloadStore

_BATCH = 500
_log = logging.getLogger("execution_engine.dispatch")


class Aftermath:
    """Works through ended jobs, many at a time; each step may be repeated."""

    def __init__(
        self,
        jobs: JobStore,
        payloads: PayloadStore,
        heartbeats: HeartbeatStore,
        catalog: Catalog,
        service_token_file: str,
    ) -> None:
        self._jobs = jobs
        self._payloads = payloads
        self._heartbeats = heartbeats
        self._catalog = catalog
        self._service_token_file = service_token_file

    def run(self) -> None:
        """One round."""
        ended = self._jobs.ended_with_work_left(_BATCH)
        if not ended:
            return
        ids = [job["_id"] for job in ended]
        self._payloads.erase_tokens(ids)
        self._heartbeats.forget(ids)
        self._report_runs([job for job in ended if "running" in job])
        self._jobs.mark_cleaned(ids)

    def _report_runs(self, jobs: list[Document]) -> None:
        """The Catalog's statistics of runs; they are worth having, but not worth holding anything up."""
        if not self._service_token_file or not jobs:
            return
        try:
            token = Path(self._service_token_file).read_text(encoding="ascii").strip()
            for job in jobs:
                self._catalog.log_exec_stats(_execution(job), token)
        except (OSError, UnicodeDecodeError, CatalogUnavailable, ConfigurationError) as error:
            _log.warning("the Catalog was not told of %d runs: %s", len(jobs), error)


def _execution(job: Document) -> Execution:
    module, function = job["method"].split(".", 1)
    app_module, _, app = job.get("app_id", "").rpartition("/")
    return Execution(
        job_id=str(job["_id"]),
        user_id=job["user"],
        func_module_name=module,
        func_name=function,
        git_commit_hash=job["service_ver"],
        created=job["created"],
        started=job["running"],
        finished=job["finished"],
        is_error=job["status"] != Status.COMPLETED,
        app_module_name=app_module or None,
        app_id=app or None if app_module else None,
    )
