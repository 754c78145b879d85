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
from execution_engine.jobs.limits import Kind, Target
from execution_engine.jobs.routes import set_route


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
    assert hold["code"] == "no_client_group"
    assert hold["message"].startswith("The client group bigmem was removed from the configuration; the job begins once")


@pytest.mark.usefixtures("dispatching")
def test_a_route_decides_which_backends_matter(mock_database: Any, kbase: Any) -> None:
    backends = {name: BackendSettings(name, "local", {}) for name in ("local", "far")}
    engine = make_engine(mock_database, kbase, backends=backends)
    set_route(engine, person("root", Admin.FULL), {"user": "alice", "backends": ["far"]})
    engine.backends.report("far", now(), "down", "the cable is cut", {}, "")
    assert "far: the cable is cut" in hold_of(engine, submit(engine))["message"]
    assert hold_of(engine, submit(engine, "bob"))["code"] == "queue"


@pytest.mark.usefixtures("dispatching")
def test_a_route_that_leads_nowhere_any_more_is_said(mock_database: Any, kbase: Any) -> None:
    backends = {name: BackendSettings(name, "local", {}) for name in ("local", "far")}
    before = make_engine(mock_database, kbase, backends=backends)
    set_route(before, person("root", Admin.FULL), {"user": "alice", "backends": ["far"]})
    engine = make_engine(mock_database, kbase)
    assert hold_of(engine, submit(engine)) == {
        "code": "queue",
        "message": "The job waits for its turn in the client group local. "
        "A route would send it to far, which the configuration does not have.",
    }
    assert "route" not in hold_of(engine, submit(engine, "bob"))["message"]


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


def limit(engine: Engine, value: int, **target: Any) -> None:
    it = Target(Kind.RUNNING, **target)
    engine.limits.put(it.name, None, it.fields() | {"value": value}, {})


@pytest.mark.usefixtures("dispatching")
def test_a_limit_that_holds_a_job_is_named_with_what_would_free_it(engine: Engine) -> None:
    limit(engine, 2, each_user=True)
    hand_out(engine, submit(engine))
    claim(engine, submit(engine))
    assert hold_of(engine, submit(engine)) == {
        "code": "limit",
        "message": "alice has 2 jobs at work; the limit for each user is 2. The job begins when some of them have "
        "ended, or when an administrator raises the limit.",
        "limit": {"kind": "running", "each_user": 1, "value": 2, "in_use": 2},
    }
    assert hold_of(engine, submit(engine, "bob"))["code"] == "queue"


@pytest.mark.usefixtures("dispatching")
def test_a_limit_in_a_group_holds_the_jobs_there(engine: Engine) -> None:
    limit(engine, 1, user="alice", client_group="bigmem")
    hand_out(engine, submit(engine, client_group="bigmem"))
    hold = hold_of(engine, submit(engine, client_group="bigmem"))
    assert hold["message"].startswith("alice has 1 job at work in the client group bigmem; the limit is 1.")
    assert hold["limit"] == {
        "kind": "running",
        "user": "alice",
        "client_group": "bigmem",
        "value": 1,
        "in_use": 1,
    }
    assert hold_of(engine, submit(engine))["code"] == "queue"


@pytest.mark.usefixtures("dispatching")
def test_a_limit_of_a_group_holds_everybody_there(engine: Engine) -> None:
    limit(engine, 1, client_group="local")
    hand_out(engine, submit(engine))
    assert hold_of(engine, submit(engine, "bob"))["message"].startswith("The client group local has 1 job at work; ")


@pytest.mark.usefixtures("dispatching")
def test_where_nothing_may_run_no_end_is_waited_for(engine: Engine) -> None:
    limit(engine, 0, user="alice")
    assert hold_of(engine, submit(engine))["message"] == (
        "alice has 0 jobs at work; the limit is 0. The job begins when an administrator raises the limit."
    )


@pytest.mark.usefixtures("dispatching")
def test_a_route_to_backends_that_are_down_is_what_a_job_waits_for(mock_database: Any, kbase: Any) -> None:
    backends = {name: BackendSettings(name, "told", {}) for name in ("local", "far")}
    engine = make_engine(mock_database, kbase, backends=backends)
    engine.routes.write({"user": "bob"}, None, {"backends": ["far"]}, {})
    engine.backends.report("far", now(), "down", "no connection", {}, "")
    assert hold_of(engine, submit(engine, "bob"))["code"] == "backend_down"
    assert hold_of(engine, submit(engine))["code"] == "queue"


@pytest.mark.usefixtures("dispatching")
def test_one_look_serves_many(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    limit(engine, 1, each_user=True)
    hand_out(engine, submit(engine))
    waiting = [record(engine, submit(engine)) for _ in range(20)]
    looks = []
    count = engine.jobs.in_flight_counts
    monkeypatch.setattr(engine.jobs, "in_flight_counts", lambda: looks.append(1) or count())
    assert {hold["code"] for hold in find_holds(engine, waiting).values()} == {"limit"}
    assert len(looks) == 1
