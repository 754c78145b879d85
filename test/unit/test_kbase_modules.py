import datetime as dt
from typing import Any

import pytest

from execution_engine.core.errors import AppNotFound, CatalogUnavailable
from execution_engine.kbase.catalog import Catalog, Execution
from execution_engine.kbase.http import Answer
from execution_engine.kbase.modules import CommandFunction, ModuleVersion

RECORD = {
    "module_name": "sequence_tools",
    "version": "1.0.0",
    "git_commit_hash": "a" * 40,
    "release_tags": ["release", "beta", "dev"],
    "narrative_methods": ["assembly_stats"],
    "command_app": {
        "directory": "/apps/sequence_tools",
        "functions": {
            "assembly_stats": {
                "command": ["python3", "sequence_tools.py", "assembly_stats"],
                "needs_token": 1,
                "requirements": {"cpus": 1, "memory_mb": 256},
            },
            "long_task": {"command": ["python3", "sequence_tools.py", "long_task"]},
        },
    },
}


def test_a_command_app_says_how_its_functions_are_started() -> None:
    version = ModuleVersion.from_record(RECORD)
    assert version.command_app is not None
    assert version.command_app.directory == "/apps/sequence_tools"
    assert version.docker_img_name == ""
    assert version.command_function("assembly_stats") == CommandFunction(
        ("python3", "sequence_tools.py", "assembly_stats"), needs_token=True, requirements={"cpus": 1, "memory_mb": 256}
    )
    assert version.command_function("long_task") == CommandFunction(
        ("python3", "sequence_tools.py", "long_task"), needs_token=False, requirements={}
    )


def test_a_function_that_a_command_app_lacks_is_named_beside_those_it_has() -> None:
    with pytest.raises(AppNotFound) as raised:
        ModuleVersion.from_record(RECORD).command_function("assemble")
    assert raised.value.message == (
        "The module sequence_tools (version 1.0.0) has no function assemble; it has: assembly_stats, long_task."
    )


@pytest.mark.parametrize(
    "change",
    [
        {"git_commit_hash": None},
        {"module_name": 7},
        {"command_app": "python3"},
        {"command_app": {"directory": "/x"}},
        {"command_app": {"directory": "/x", "functions": {"f": {}}}},
        {"command_app": {"directory": "/x", "functions": ["f"]}},
    ],
)
def test_a_record_of_another_shape_is_no_answer_of_the_catalog(change: dict[str, Any]) -> None:
    catalog: Any = Catalog("http://127.0.0.1:1")
    catalog._rpc._http.exchange = lambda *_args, **_options: Answer(200, {"result": [RECORD | change]})
    with pytest.raises(CatalogUnavailable, match="its answer to get_module_version is not understood"):
        catalog.module_version("sequence_tools")


def test_an_execution_is_recorded_in_seconds() -> None:
    start = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    created, started, finished = (start + dt.timedelta(seconds=it) for it in (0, 10.5, 100.25))
    job = Execution("5d51aa0517554f4cfd7b8a2b", "alice", "m", "f", "c" * 40, created, started, finished, is_error=True)
    assert job.record() == {
        "job_id": "5d51aa0517554f4cfd7b8a2b",
        "user_id": "alice",
        "func_module_name": "m",
        "func_name": "f",
        "git_commit_hash": "c" * 40,
        "creation_time": 1767225600.0,
        "exec_start_time": 1767225610.5,
        "finish_time": 1767225700.25,
        "is_error": 1,
    }
