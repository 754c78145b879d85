import logging
from pathlib import Path
from typing import Any

import pytest
from bson import ObjectId
from store_engine import COMMIT, finish, hand_out, person, record, running, submit

from execution_engine.core.clock import now
from execution_engine.core.errors import CatalogUnavailable, ConfigurationError
from execution_engine.dispatch.aftermath import Aftermath
from execution_engine.jobs.control import cancel
from execution_engine.jobs.engine import Engine


class Catalog:
    def __init__(self) -> None:
        self.told: list[tuple[Any, str]] = []
        self.error: Exception | None = None

    def log_exec_stats(self, execution: Any, token: str) -> None:
        if self.error:
            raise self.error
        self.told.append((execution, token))


@pytest.fixture
def catalog() -> Catalog:
    return Catalog()


@pytest.fixture
def token_file(tmp_path: Path) -> Path:
    path = tmp_path / "service.token"
    path.write_text("SERVICE\n")
    return path


def aftermath_of(engine: Engine, catalog: Any, token_file: Path | str) -> Aftermath:
    return Aftermath(engine.jobs, engine.payloads, engine.heartbeats, catalog, str(token_file))


def completed(engine: Engine, **params: Any) -> ObjectId:
    job_id, credential = running(engine, **params)
    engine.heartbeats.beat(job_id, 1, now(), None)
    finish(engine, job_id, credential)
    return job_id


def test_after_the_end_nothing_is_left_of_the_token_and_of_the_signs_of_life(engine: Engine, catalog: Catalog) -> None:
    job_id = completed(engine)
    going_on, _ = running(engine)
    engine.heartbeats.beat(going_on, 1, now(), None)
    assert engine.payloads.get_token(job_id)
    aftermath_of(engine, catalog, "").run()
    assert engine.payloads.get_token(job_id) is None
    assert engine.heartbeats.get_many([job_id]) == {}
    assert "cleanup" not in record(engine, job_id)
    assert engine.payloads.get_token(going_on)
    assert engine.heartbeats.get_many([going_on])
    assert catalog.told == []


def test_the_catalog_is_told_of_what_ran(engine: Engine, catalog: Catalog, token_file: Path) -> None:
    job_id = completed(engine, app_id="sequence_tools/count_kmers")
    failed, credential = running(engine, app_id="count_kmers")
    finish(engine, failed, credential, "error")
    never_ran = submit(engine)
    hand_out(engine, never_ran)
    waiting = submit(engine)
    cancel(engine, person("alice"), waiting, None)
    aftermath_of(engine, catalog, token_file).run()
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


def test_each_run_is_told_once(engine: Engine, catalog: Catalog, token_file: Path) -> None:
    completed(engine)
    aftermath = aftermath_of(engine, catalog, token_file)
    aftermath.run()
    aftermath.run()
    assert len(catalog.told) == 1


@pytest.mark.parametrize("error", [CatalogUnavailable(), ConfigurationError("no role")])
def test_statistics_hold_nothing_up(
    engine: Engine, catalog: Catalog, token_file: Path, error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    job_id = completed(engine)
    catalog.error = error
    with caplog.at_level(logging.WARNING, "execution_engine.dispatch"):
        aftermath_of(engine, catalog, token_file).run()
    assert "the Catalog was not told of 1 runs" in caplog.text
    assert "cleanup" not in record(engine, job_id)


@pytest.mark.parametrize("content", [None, b"\xff\xfe"])
def test_a_token_file_that_can_not_be_read_holds_nothing_up(
    engine: Engine, catalog: Catalog, tmp_path: Path, content: bytes | None, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "other.token"
    if content is not None:
        path.write_bytes(content)
    job_id = completed(engine)
    with caplog.at_level(logging.WARNING, "execution_engine.dispatch"):
        aftermath_of(engine, catalog, path).run()
    assert "the Catalog was not told of 1 runs" in caplog.text
    assert "cleanup" not in record(engine, job_id)
