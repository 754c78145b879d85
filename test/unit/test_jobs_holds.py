import datetime as dt
import re
from typing import Any

import pytest
from bson import ObjectId
from store_engine import begin, claim, hand_out, make_engine, person, record, submit

from execution_engine.config import BackendSettings, ClientGroupSettings
from execution_engine.core import transitions
from execution_engine.core.clock import now
from execution_engine.jobs.draining import set_backend_state
from execution_engine.jobs.engine import Engine
from execution_engine.jobs.holds import DISPATCH_LEASE, find_holds
from execution_engine.jobs.identity import Admin


def hold_of(engine: Engine, job_id: ObjectId) -> Any:
    return find_holds(engine, [record(engine, job_id)]).get(job_id)


@pytest.fixture
def dispatching(engine: Engine) -> None:
    until = now() + dt.timedelta(seconds=10)
    engine.database.leases.insert_one({"_id": DISPATCH_LEASE, "owner": "one", "until": until})


def test_without_a_dispatcher_nothing_begins(engine: Engine) -> None:
    hold = hold_of(engine, submit(engine))
    assert hold["code"] == "dispatcher_down"
    assert "dispatcher is not running" in hold["message"]


@pytest.mark.usefixtures("dispatching")
def test_a_waiting_job_waits_for_its_turn(engine: Engine) -> None:
    assert hold_of(engine, submit(engine, client_group="bigmem")) == {
        "code": "queue",
        "message": "The job waits for its turn in the client group bigmem.",
    }


@pytest.mark.usefixtures("dispatching")
def test_a_job_that_its_backend_gave_back_says_why(engine: Engine) -> None:
    job_id = submit(engine)
    claim(engine, job_id)
    engine.jobs.apply(job_id, transitions.release(now(), attempt=1, note="The disk is full."))
    assert hold_of(engine, job_id) == {"code": "given_back", "message": "The disk is full."}


@pytest.mark.usefixtures("dispatching")
def test_a_backend_that_is_down_is_named_with_its_reason(engine: Engine) -> None:
    job_id = submit(engine)
    engine.backends.report("local", now(), "down", "the disk is full", {}, "")
    hold = hold_of(engine, job_id)
    assert hold["code"] == "backend_down"
    assert "(local: the disk is full)" in hold["message"]
    engine.backends.report("local", now(), "up", None, {}, "")
    assert hold_of(engine, job_id)["code"] == "queue"


@pytest.mark.usefixtures("dispatching")
def test_as_long_as_one_backend_of_the_group_is_up_the_job_has_its_turn(mock_database: Any, kbase: Any) -> None:
    groups = {"local": ClientGroupSettings("local", ("local", "far"))}
    engine = make_engine(mock_database, kbase, client_groups=groups)
    job_id = submit(engine)
    engine.backends.report("local", now(), "down", None, {}, "")
    assert hold_of(engine, job_id)["code"] == "queue"
    engine.backends.report("far", now(), "down", None, {}, "")
    assert "(local: no reason given; far: no reason given)" in hold_of(engine, job_id)["message"]


@pytest.mark.usefixtures("dispatching")
def test_a_drained_backend_is_named_with_who_and_why(mock_database: Any, kbase: Any) -> None:
    groups = {"local": ClientGroupSettings("local", ("local", "far"))}
    backends = {name: BackendSettings(name, "local", {}) for name in groups["local"].backends}
    engine = make_engine(mock_database, kbase, client_groups=groups, backends=backends)
    job_id = submit(engine)
    set_backend_state(engine, person("root", Admin.FULL), "local", "draining", "new disks")
    assert hold_of(engine, job_id)["code"] == "queue"
    engine.backends.report("far", now(), "down", "no power", {}, "")
    hold = hold_of(engine, job_id)
    assert hold["code"] == "backend_draining"
    assert re.sub(r"20\S+ \S+ UTC", "TIME", hold["message"]) == (
        "The backend local takes no new jobs since TIME by root: new disks. The backend far is down: no power."
    )
    set_backend_state(engine, person("root", Admin.FULL), "local", "up", None)
    assert hold_of(engine, job_id)["code"] == "queue"


@pytest.mark.usefixtures("dispatching")
def test_a_group_that_was_removed_is_said(mock_database: Any, kbase: Any) -> None:
    job_id = submit(make_engine(mock_database, kbase), client_group="bigmem")
    groups = {"local": ClientGroupSettings("local", ("local",))}
    hold = hold_of(make_engine(mock_database, kbase, client_groups=groups), job_id)
    assert hold == {"code": "no_client_group", "message": "The client group bigmem was removed from the configuration."}


def test_a_job_that_is_being_handed_over_says_where(engine: Engine) -> None:
    job_id = submit(engine)
    claim(engine, job_id)
    assert hold_of(engine, job_id) == {
        "code": "handing_over",
        "message": "The job is being handed to the backend local.",
    }


def test_a_queued_job_says_what_its_backend_says(engine: Engine) -> None:
    job_id = submit(engine)
    ticket = hand_out(engine, job_id)
    assert hold_of(engine, job_id) is None
    said = {"code": "backend_waiting", "message": "Waits for 2 CPUs."}
    engine.jobs.note_holds([(record(engine, job_id), said, None)])
    assert hold_of(engine, job_id) == said
    begin(engine, job_id, ticket)
    assert hold_of(engine, job_id) is None
