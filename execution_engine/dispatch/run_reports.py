"""The Catalog's statistics of runs: told one by one in a thread of its own, so that nothing waits for the Catalog.

The Catalog counts whatever it is told, so a job that is told of twice counts twice. Therefore the job's mark is taken
away before the call: each job is told of at most once, by whichever process takes the mark. A Catalog that is out of
reach is noticed before a mark is taken, and the marks wait in the database. What may be missing from the statistics is
the one job whose call broke off, or was under way when the process died.
"""

import logging
import threading
from pathlib import Path

from pymongo.errors import PyMongoError

from execution_engine.core.errors import CatalogUnavailable, ConfigurationError, EngineError
from execution_engine.core.states import Status
from execution_engine.kbase.catalog import Catalog, Execution
from execution_engine.store.database import Document
from execution_engine.store.jobs import JobStore

_PAUSE = 1.0
_LONGEST_PAUSE = 60.0
_log = logging.getLogger("execution_engine.dispatch")


class RunReports:
    """Tells the Catalog of the jobs that ran and ended."""

    def __init__(self, jobs: JobStore, catalog: Catalog, service_token_file: str) -> None:
        self._jobs = jobs
        self._catalog = catalog
        self._token_file = Path(service_token_file)

    def run(self, stop: threading.Event) -> None:
        """Tell of what there is until ``stop``; after trouble with a pause that grows."""
        pause = _PAUSE
        while not stop.is_set():
            try:
                self.tell(stop)
                pause = _PAUSE
            except (EngineError, OSError, UnicodeDecodeError, PyMongoError) as error:
                _log.warning("the Catalog is told of no runs for %d s: %s", pause, error)
                stop.wait(pause)
                pause = min(pause * 2, _LONGEST_PAUSE)
            stop.wait(_PAUSE)

    def tell(self, stop: threading.Event) -> None:
        """Tell of all jobs that are marked now, until ``stop``.

        Raises:
            CatalogUnavailable, ConfigurationError: the Catalog does not answer, or refuses the engine.
            OSError, UnicodeDecodeError: the engine's own token can't be read.
        """
        if not self._jobs.any_untold():
            return
        token = self._token_file.read_text(encoding="ascii").strip()
        self._catalog.ping()
        while not stop.is_set() and (job := self._jobs.take_untold()):
            try:
                self._catalog.log_exec_stats(_execution(job), token)
            except ConfigurationError:
                self._jobs.put_back_untold(job["_id"])  # refused before anything was counted
                raise
            except CatalogUnavailable:
                _log.warning("job %s may be missing from the Catalog's statistics", job["_id"])
                raise


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
