import datetime as dt
from typing import Any

import pytest
from bson import ObjectId
from store_engine import METHOD, KBase, begin, finish, hand_out, person, record, running, submit

from execution_engine.core.clock import now
from execution_engine.core.errors import EngineError, JobNotFound, PermissionDenied, WorkspaceUnavailable, WrongState
from execution_engine.jobs.control import cancel, retry
from execution_engine.jobs.engine import Engine
from execution_engine.jobs.identity import Admin
from execution_engine.jobs.lookup import (
    CONTACT,
    HOLD,
    OUTPUT,
    PARAMS,
    RETRIES,
    Found,
    find_job,
    find_jobs,
    readable_job,
)
from execution_engine.jobs.submission import run_jobs

ALICE, BOB, EVE = person("alice"), person("bob"), person("eve")
NOTHING: frozenset[str] = frozenset()


def test_a_job_is_found_with_all_that_is_known_of_it(engine: Engine) -> None:
    job_id, credential = running(engine, params=[{"k": 3}])
    engine.heartbeats.beat(job_id, 1, now(), {"percent": 40.0})
    found = find_job(engine, ALICE, job_id)
    assert found.record == record(engine, job_id)
    assert found.details[PARAMS] == [{"k": 3}]
    assert found.details[CONTACT]["progress"]["percent"] == 40.0
    assert OUTPUT not in found.details
    finish(engine, job_id, credential, output=[7])
    assert find_job(engine, ALICE, job_id).details == {PARAMS: [{"k": 3}], OUTPUT: [7]}


def test_only_the_details_that_were_asked_for_are_looked_up(engine: Engine) -> None:
    job_id, _ = running(engine)
    engine.heartbeats.beat(job_id, 1, now(), None)
    assert find_job(engine, ALICE, job_id, NOTHING).details == {}
    assert find_job(engine, ALICE, job_id, frozenset({CONTACT})).details.keys() == {CONTACT}
    assert find_job(engine, ALICE, job_id, frozenset({OUTPUT, RETRIES, HOLD})).details == {}


def test_a_running_job_that_is_silent_for_long_says_so_and_since_when(engine: Engine) -> None:
    heard = now() - dt.timedelta(seconds=engine.settings.silent_after_seconds)
    silent, alive, removed = (running(engine)[0] for _ in range(3))
    engine.heartbeats.beat(silent, 1, heard - dt.timedelta(seconds=1), None)
    engine.heartbeats.beat(alive, 1, heard + dt.timedelta(seconds=60), None)
    engine.database.jobs.update_one({"_id": removed}, {"$set": {"hold": {"code": "backend_removed", "message": "…"}}})
    holds = [find_job(engine, ALICE, job_id).details.get(HOLD) for job_id in (silent, alive, removed)]
    assert holds[0]["code"] == "no_contact"
    assert f"since {heard:%Y-%m-%d}" in holds[0]["message"]
    assert holds[1] is None
    assert holds[2]["code"] == "backend_removed"


def test_an_output_of_null_is_none(engine: Engine) -> None:
    job_id, credential = running(engine)
    finish(engine, job_id, credential, output=None)
    assert find_job(engine, ALICE, job_id, frozenset({OUTPUT})).details == {}


def test_retries_are_shown_with_the_job_oldest_first(engine: Engine) -> None:
    job_id = submit(engine)
    cancel(engine, ALICE, job_id, None)
    retries = [retry(engine, ALICE, job_id), retry(engine, ALICE, job_id)]
    assert find_job(engine, ALICE, job_id).details[RETRIES] == retries
    assert RETRIES not in find_job(engine, ALICE, retries[0]).details


def test_a_waiting_job_says_what_it_waits_for(engine: Engine) -> None:
    assert find_job(engine, ALICE, submit(engine)).details[HOLD]["code"] == "dispatcher_down"


def test_many_jobs_each_with_its_own_answer(engine: Engine, kbase: KBase) -> None:
    kbase.public.add(8)
    kbase.workspaces[8] = {"alice": "a"}
    mine, shared = submit(engine, "bob"), submit(engine, wsid=7)
    public, private, unknown = submit(engine, wsid=8), submit(engine), ObjectId()
    found, errors = find_jobs(engine, BOB, [mine, shared, public, private, unknown], frozenset({PARAMS}))
    assert found.keys() == {mine, shared, public}
    assert PARAMS in found[mine].details
    assert PARAMS in found[shared].details
    assert found[public].details == {}
    assert {job_id: type(error) for job_id, error in errors.items()} == {private: JobNotFound, unknown: JobNotFound}
    assert errors[private].message == f"There is no job {private}, or you may not read it."
    assert kbase.asked == ["permissions"] * 3  # two submissions, one look-up


def test_of_a_public_workspaces_job_strangers_see_the_record_alone(engine: Engine, kbase: KBase) -> None:
    kbase.public.add(7)
    job_id, credential = running(engine, wsid=7, app_id="m/a")
    finish(engine, job_id, credential, "error", cause={"code": "app_error", "message": "secret"})
    found = find_job(engine, EVE, job_id)
    assert found.details == {}
    assert found.record.keys() == {
        "_id",
        "user",
        "wsid",
        "method",
        "app_id",
        "status",
        "active",
        "created",
        "queued",
        "running",
        "finished",
        "updated",
    }
    with pytest.raises(PermissionDenied):
        readable_job(engine, EVE, job_id)


def test_a_job_that_is_not_to_be_found(engine: Engine) -> None:
    private = submit(engine)
    for job_id in (private, ObjectId()):
        with pytest.raises(JobNotFound):
            find_job(engine, EVE, job_id)
        with pytest.raises(JobNotFound):
            readable_job(engine, EVE, job_id)
    assert readable_job(engine, ALICE, private)["_id"] == private


def reasons(errors: dict[ObjectId, EngineError]) -> dict[ObjectId, str]:
    return {job_id: error.reason for job_id, error in errors.items()}


def test_while_the_workspace_is_down_only_those_jobs_fail_that_it_decides(engine: Engine, kbase: KBase) -> None:
    mine, shared, private, unknown = submit(engine, "bob"), submit(engine, wsid=7), submit(engine), ObjectId()
    own_there = submit(engine, "carol", wsid=7)
    kbase.down.add("workspace")
    found, errors = find_jobs(engine, BOB, [mine, shared, own_there, private, unknown], NOTHING)
    assert found.keys() == {mine}
    assert reasons(errors) == {
        shared: "workspace_unavailable",
        own_there: "workspace_unavailable",
        # No workspace decides of this one: it must answer as an unknown one also now.
        private: "job_not_found",
        unknown: "job_not_found",
    }
    found, errors = find_jobs(engine, person("carol"), [shared, own_there], NOTHING)
    assert found.keys() == {own_there}
    assert reasons(errors) == {shared: "workspace_unavailable"}
    found, errors = find_jobs(engine, person("ruth", Admin.READ), [mine, shared, private], NOTHING)
    assert found.keys() == {mine, shared, private}
    with pytest.raises(WorkspaceUnavailable):
        find_job(engine, BOB, shared)


def batch_of(engine: Engine, n: int, **params: Any) -> tuple[ObjectId, list[ObjectId]]:
    return run_jobs(engine, ALICE, {"jobs": [{"method": METHOD}] * n, **params})


def found_batch(engine: Engine, batch_id: ObjectId) -> Found:
    return find_job(engine, ALICE, batch_id)


def test_a_batch_shows_its_jobs_by_status(engine: Engine) -> None:
    batch_id, job_ids = batch_of(engine, 3)
    batch = found_batch(engine, batch_id).record
    assert batch["batch"] == 1
    assert batch["updated"] == batch["created"]
    assert (batch["status"], batch["children"], batch["active"]) == ("created", {"created": 3}, True)
    begin(engine, job_ids[0], hand_out(engine, job_ids[0]))
    cancel(engine, ALICE, job_ids[1], None)
    batch = found_batch(engine, batch_id).record
    assert batch["status"] == "running"
    assert batch["children"] == {"running": 1, "terminated": 1, "created": 1}


def test_a_batch_ends_with_its_last_job(engine: Engine) -> None:
    batch_id, job_ids = batch_of(engine, 2)
    for job_id in job_ids:
        finish(engine, job_id, begin(engine, job_id, hand_out(engine, job_id))["credential"])
    batch = found_batch(engine, batch_id)
    assert (batch.record["status"], batch.record["active"]) == ("completed", False)
    assert batch.details == {}


def test_a_batch_is_shared_by_its_workspace_as_its_jobs_are(engine: Engine) -> None:
    batch_id, _ = batch_of(engine, 1, wsid=7)
    assert find_job(engine, BOB, batch_id).record["children"] == {"created": 1}
    with pytest.raises(JobNotFound):
        find_job(engine, EVE, batch_id)


def test_a_batch_has_no_log(engine: Engine) -> None:
    batch_id, _ = batch_of(engine, 1)
    with pytest.raises(WrongState, match=f"{batch_id} is a batch; ask for its jobs"):
        readable_job(engine, ALICE, batch_id)
    with pytest.raises(JobNotFound):
        readable_job(engine, EVE, batch_id)


def test_of_very_many_retries_the_newest_are_shown(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("execution_engine.store.jobs.SHOWN_RETRIES", 3)
    job_id = submit(engine)
    retries = [ObjectId() for _ in range(5)]
    engine.database.jobs.insert_many({"_id": retry, "retry_of": job_id, "user": "alice"} for retry in retries)
    assert engine.jobs.retries_of([job_id]) == {job_id: retries[2:]}
