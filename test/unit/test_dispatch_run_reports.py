import logging
import threading
from pathlib import Path
from typing import Any

import pytest
from bson import ObjectId
from store_engine import COMMIT, finish, record, running

from execution_engine.core.errors import CatalogUnavailable, ConfigurationError
from execution_engine.dispatch.run_reports import RunReports
from execution_engine.jobs.engine import Engine


class Catalog:
    """``errors``: what the next calls of log_exec_stats raise, None: nothing. ``down``: what ping raises."""

    def __init__(self) -> None:
        self.told: list[tuple[Any, str]] = []
        self.errors: list[Exception | None] = []
        self.down: Exception | None = None

    def ping(self) -> None:
        if self.down:
            raise self.down

    def log_exec_stats(self, execution: Any, token: str) -> None:
        if self.errors and (error := self.errors.pop(0)):
            raise error
        self.told.append((execution, token))


@pytest.fixture
def catalog() -> Catalog:
    return Catalog()


@pytest.fixture
def token_file(tmp_path: Path) -> Path:
    path = tmp_path / "service.token"
    path.write_text("SERVICE\n")
    return path


@pytest.fixture
def reports(engine: Engine, catalog: Any, token_file: Path) -> RunReports:
    return RunReports(engine.jobs, catalog, str(token_file))


def ended(engine: Engine, outcome: str = "completed", **params: Any) -> ObjectId:
    """A job that ran, and of which the Catalog is to be told."""
    job_id, credential = running(engine, **params)
    finish(engine, job_id, credential, outcome)
    engine.jobs.mark_cleaned([job_id], untold=True)
    return job_id


def tell(reports: RunReports) -> None:
    reports.tell(threading.Event())


def test_the_catalog_is_told_of_what_ran(engine: Engine, catalog: Catalog, reports: RunReports) -> None:
    job_id = ended(engine, app_id="sequence_tools/count_kmers")
    failed = ended(engine, "error", app_id="count_kmers")
    tell(reports)
    (good, token), (bad, _) = catalog.told
    job = record(engine, job_id)
    assert token == "SERVICE"
    assert good.record() == {
        "user_id": "alice",
        "app_module_name": "sequence_tools",
        "app_id": "count_kmers",
        "func_module_name": "sequence_tools",
        "func_name": "count_kmers",
        "git_commit_hash": COMMIT,
        "creation_time": job["created"].timestamp(),
        "exec_start_time": job["running"].timestamp(),
        "finish_time": job["finished"].timestamp(),
        "is_error": 0,
        "job_id": str(job_id),
    }
    assert bad.job_id == str(failed)
    assert bad.is_error
    assert (bad.app_module_name, bad.app_id) == (None, None), "they come together or not at all"


def test_each_run_is_told_once_whoever_tells(engine: Engine, catalog: Any, token_file: Path) -> None:
    jobs = {str(ended(engine)) for _ in range(3)}
    both = [RunReports(engine.jobs, catalog, str(token_file)) for _ in range(2)]
    for reports in (*both, *both):
        tell(reports)
    assert len(catalog.told) == 3
    assert {execution.job_id for execution, _ in catalog.told} == jobs


def test_while_the_catalog_is_out_of_reach_nothing_is_lost(
    engine: Engine, catalog: Catalog, reports: RunReports
) -> None:
    ended(engine)
    catalog.down = CatalogUnavailable()
    with pytest.raises(CatalogUnavailable):
        tell(reports)
    catalog.down = None
    tell(reports)
    assert len(catalog.told) == 1


def test_a_call_that_breaks_off_is_not_repeated(
    engine: Engine, catalog: Catalog, reports: RunReports, caplog: pytest.LogCaptureFixture
) -> None:
    doubtful, other = ended(engine), ended(engine)
    catalog.errors = [CatalogUnavailable()]
    with pytest.raises(CatalogUnavailable):
        tell(reports)
    assert f"job {doubtful} may be missing from the Catalog's statistics" in caplog.text
    tell(reports)
    assert [execution.job_id for execution, _ in catalog.told] == [str(other)]


def test_a_catalog_that_refuses_the_engine_is_told_later(engine: Engine, catalog: Catalog, reports: RunReports) -> None:
    ended(engine)
    catalog.errors = [ConfigurationError("no role")]
    with pytest.raises(ConfigurationError):
        tell(reports)
    tell(reports)
    assert len(catalog.told) == 1


@pytest.mark.parametrize("content", [None, b"\xff\xfe"])
def test_a_token_file_that_can_not_be_read_is_told_to_the_operators(
    engine: Engine,
    catalog: Catalog,
    reports: RunReports,
    token_file: Path,
    content: bytes | None,
    caplog: pytest.LogCaptureFixture,
) -> None:
    token_file.unlink() if content is None else token_file.write_bytes(content)
    ended(engine)

    class Stop(threading.Event):
        """Set after the pauses of two failures."""

        waits: list[float | None]

        def wait(self, timeout: float | None = None) -> bool:
            self.waits.append(timeout)
            if len(self.waits) == 4:
                self.set()
            return self.is_set()

    stop = Stop()
    stop.waits = []
    with caplog.at_level(logging.WARNING, "execution_engine.dispatch"):
        reports.run(stop)
    assert stop.waits == [1, 1, 2, 1], "the pause grows"
    assert caplog.text.count("the Catalog is told of no runs for") == 2
    assert engine.jobs.any_untold()
    assert catalog.told == []
