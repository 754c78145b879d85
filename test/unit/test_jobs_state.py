import datetime as dt
from dataclasses import replace
from typing import Any

import pytest
from pymongo.errors import ServerSelectionTimeoutError
from store_engine import make_engine, person

from execution_engine.core.clock import now
from execution_engine.jobs.draining import set_backend_state
from execution_engine.jobs.engine import Engine
from execution_engine.jobs.holds import DISPATCH_LEASE
from execution_engine.jobs.identity import Admin
from execution_engine.jobs.state import dependencies


def states(engine: Engine) -> dict[str, str]:
    return {name: state["state"] for name, state in dependencies(engine).items()}


def test_an_engine_without_a_dispatcher_says_so(engine: Engine) -> None:
    assert dependencies(engine) == {
        "database": {"state": "up", "message": "answers"},
        "dispatcher": {"state": "down", "message": "No dispatcher is running."},
        "backend local": {"state": "down", "message": "The dispatcher has not reported it yet."},
    }


def test_all_is_well(engine: Engine) -> None:
    lease = {"_id": DISPATCH_LEASE, "until": now() + dt.timedelta(seconds=10)}
    engine.database.leases.insert_one(lease)
    engine.backends.report("local", now(), "up", None, {}, "")
    assert states(engine) == {"database": "up", "dispatcher": "up", "backend local": "up"}
    assert dependencies(engine)["backend local"]["message"] == "answers"


def test_a_lease_that_has_run_out_is_no_dispatcher(engine: Engine) -> None:
    engine.database.leases.insert_one({"_id": DISPATCH_LEASE, "until": now() - dt.timedelta(seconds=1)})
    assert states(engine)["dispatcher"] == "down"


def test_a_backend_is_as_its_last_report_says_and_an_old_report_says_nothing(engine: Engine) -> None:
    engine.backends.report("local", now(), "down", "the disk is full", {}, "")
    assert dependencies(engine)["backend local"] == {"state": "down", "message": "the disk is full"}
    engine.backends.report("local", now(), "up", None, {}, "apps are trusted")
    assert dependencies(engine)["backend local"] == {"state": "up", "message": "apps are trusted"}
    engine.backends.report("local", now() - dt.timedelta(seconds=61), "up", None, {}, "")
    state = dependencies(engine)["backend local"]
    assert state["state"] == "down"
    assert state["message"].startswith("Last reported at ")


def test_a_drained_backend_is_draining_and_one_that_is_down_is_down_whoever_drains_it(engine: Engine) -> None:
    engine.backends.report("local", now(), "up", None, {}, "")
    set_backend_state(engine, person("root", Admin.FULL), "local", "draining", "new disks")
    assert states(engine)["backend local"] == "draining"
    assert dependencies(engine)["backend local"]["message"].endswith("by root: new disks")
    engine.backends.report("local", now(), "down", "no power", {}, "")
    assert states(engine)["backend local"] == "down"


@pytest.mark.parametrize("part", ["backends", "leases"])
def test_a_database_that_does_not_answer_is_all_that_can_be_said(mock_database: Any, kbase: Any, part: str) -> None:
    engine = make_engine(mock_database, kbase)

    class Down:
        def __getattr__(self, name: str) -> Any:
            raise ServerSelectionTimeoutError(name)

    down: dict[str, Any] = {part: Down()}
    assert dependencies(replace(engine, **down)) == {
        "database": {"state": "down", "message": "The database can't be reached."}
    }
