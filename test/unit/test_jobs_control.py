from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from bson import ObjectId
from store_engine import COMMIT, METHOD, KBase, begin, claim, finish, hand_out, person, record, running, submit

from execution_engine.core import transitions
from execution_engine.core.clock import now
from execution_engine.core.errors import (
    Busy,
    ClientGroupNotFound,
    JobNotFound,
    NotRetryable,
    PermissionDenied,
    WorkspaceNotFound,
)
from execution_engine.jobs.control import cancel, retry
from execution_engine.jobs.engine import Engine
from execution_engine.jobs.identity import Admin
from execution_engine.jobs.submission import run_jobs
from execution_engine.store.payloads import input_key

ALICE, BOB, CAROL = person("alice"), person("bob"), person("carol")


def waiting(engine: Engine) -> ObjectId:
    return submit(engine)


def claimed(engine: Engine) -> ObjectId:
    job_id = submit(engine)
    claim(engine, job_id)
    return job_id


def queued(engine: Engine) -> ObjectId:
    job_id = submit(engine)
    hand_out(engine, job_id)
    return job_id


def begun(engine: Engine) -> ObjectId:
    return running(engine)[0]


def completed(engine: Engine) -> ObjectId:
    job_id, credential = running(engine)
    finish(engine, job_id, credential)
    return job_id


def failed(engine: Engine) -> ObjectId:
    job_id, credential = running(engine)
    finish(engine, job_id, credential, "error")
    return job_id


Make = Callable[[Engine], ObjectId]


def test_a_waiting_job_ends_at_once(engine: Engine) -> None:
    job_id = waiting(engine)
    answer = cancel(engine, ALICE, job_id, "wrong input")
    job = record(engine, job_id)
    wish = {"by": "alice", "at": job["finished"], "reason": "wrong input"}
    assert answer == {
        "job_id": str(job_id),
        "status": "terminated",
        "cancelled": 1,
        "cancel_requested": answer["cancel_requested"],
    }
    assert answer["cancel_requested"] == job["cancel_requested"] == wish
    assert job["cause"]["code"] == "cancelled_before_start"
    assert (job["active"], job["cleanup"], "running" in job) == (False, True, False)


@pytest.mark.parametrize(("make", "status"), [(claimed, "created"), (queued, "queued"), (begun, "running")])
def test_a_job_that_a_backend_may_have_stays_until_its_end_is_confirmed(
    engine: Engine, make: Make, status: str
) -> None:
    job_id = make(engine)
    answer = cancel(engine, ALICE, job_id, None)
    assert (answer["status"], answer["cancelled"]) == (status, 1)
    assert answer["cancel_requested"].keys() == {"by", "at"}
    assert record(engine, job_id)["status"] == status


@pytest.mark.parametrize("make", [claimed, queued, begun])
def test_the_first_wish_to_stop_stands(engine: Engine, make: Make) -> None:
    job_id = make(engine)
    first = cancel(engine, ALICE, job_id, "first")
    second = cancel(engine, person("root", Admin.FULL), job_id, "second")
    assert second == first | {"cancelled": 0}


@pytest.mark.parametrize(("make", "status"), [(completed, "completed"), (failed, "error")])
def test_an_ended_job_stays_as_it_is(engine: Engine, make: Make, status: str) -> None:
    job_id = make(engine)
    before = record(engine, job_id)
    assert cancel(engine, ALICE, job_id, None) == {"job_id": str(job_id), "status": status, "cancelled": 0}
    assert record(engine, job_id) == before


class Meanwhile:
    """A job store in which something happens just before each of the first writes."""

    def __init__(self, engine: Engine, *events: Callable[[], Any]) -> None:
        self._jobs, self._events = engine.jobs, list(events)

    def apply(self, job_id: ObjectId, transition: transitions.Transition) -> Any:
        if self._events:
            self._events.pop(0)()
        return self._jobs.apply(job_id, transition)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._jobs, name)


def with_jobs(engine: Engine, jobs: Any) -> Engine:
    return replace(engine, jobs=jobs)


def test_a_job_that_ends_at_the_same_moment_was_not_cancelled(engine: Engine) -> None:
    job_id, credential = running(engine)
    racing = with_jobs(engine, Meanwhile(engine, lambda: finish(engine, job_id, credential)))
    assert cancel(racing, ALICE, job_id, None) == {"job_id": str(job_id), "status": "completed", "cancelled": 0}


def test_of_two_who_cancel_at_the_same_moment_one_did(engine: Engine) -> None:
    job_id = begun(engine)
    racing = with_jobs(engine, Meanwhile(engine, lambda: cancel(engine, ALICE, job_id, "first")))
    answer = cancel(racing, person("root", Admin.FULL), job_id, "second")
    assert answer["cancelled"] == 0
    assert answer["cancel_requested"]["reason"] == "first"


def released(engine: Engine, job_id: ObjectId) -> Callable[[], Any]:
    return lambda: engine.jobs.apply(job_id, transitions.release(now(), attempt=1, note="lost"))


def test_a_job_that_changes_hands_meanwhile_is_cancelled_all_the_same(engine: Engine) -> None:
    # Claimed at the first write, which wants it unclaimed; free again at the second, which wants it claimed.
    job_id = waiting(engine)
    events = Meanwhile(engine, lambda: claim(engine, job_id), released(engine, job_id))
    assert cancel(with_jobs(engine, events), ALICE, job_id, None)["status"] == "terminated"


class AlwaysElsewhere(Meanwhile):
    def apply(self, *_: Any) -> None:
        return None


def test_a_job_that_never_stands_still_is_said_to_be_busy(engine: Engine) -> None:
    job_id = waiting(engine)
    with pytest.raises(Busy, match="changing hands right now; cancel it again"):
        cancel(with_jobs(engine, AlwaysElsewhere(engine)), ALICE, job_id, None)


def test_who_may_not_cancel_is_refused(engine: Engine) -> None:
    job_id = submit(engine, wsid=7)
    with pytest.raises(PermissionDenied):
        cancel(engine, BOB, job_id, None)
    with pytest.raises(JobNotFound):
        cancel(engine, person("eve"), job_id, None)
    with pytest.raises(JobNotFound):
        cancel(engine, ALICE, ObjectId(), None)
    assert cancel(engine, CAROL, job_id, None)["cancelled"] == 1


def three_jobs(engine: Engine, **params: Any) -> tuple[ObjectId, list[ObjectId]]:
    return run_jobs(engine, ALICE, {"jobs": [{"method": METHOD}] * 3, **params})


def test_cancelling_a_batch_asks_all_of_its_jobs(engine: Engine) -> None:
    batch_id, (free, at_work, done) = three_jobs(engine, wsid=7)
    begin(engine, at_work, hand_out(engine, at_work))
    finish(engine, done, begin(engine, done, hand_out(engine, done))["credential"])
    with pytest.raises(PermissionDenied):
        cancel(engine, BOB, batch_id, None)
    answer = cancel(engine, CAROL, batch_id, "stop")
    assert answer == {"job_id": str(batch_id), "status": "running", "cancelled": 2}
    assert [record(engine, job_id)["status"] for job_id in (free, at_work, done)] == [
        "terminated",
        "running",
        "completed",
    ]
    assert record(engine, at_work)["cancel_requested"]["by"] == "carol"
    assert cancel(engine, CAROL, batch_id, "stop")["cancelled"] == 0


@pytest.mark.parametrize("make", [completed, failed])
def test_a_retry_is_a_new_job_with_the_same_input(engine: Engine, make: Make) -> None:
    old = make(engine)
    new = retry(engine, ALICE, old)
    job, before = record(engine, new), record(engine, old)
    assert new != old
    assert job["retry_of"] == old
    assert before["retried"] is True
    assert (job["status"], job["attempt"], job["service_ver"]) == ("created", {"n": 0}, COMMIT)
    assert engine.payloads.get(input_key(new)) == engine.payloads.get(input_key(old))
    assert engine.jobs.retries_of([old]) == {old: [new]}


def test_a_retry_keeps_all_that_was_asked_for(engine: Engine) -> None:
    asked = {
        "wsid": 7,
        "app_id": "sequence_tools/count_kmers",
        "source_ws_objects": ["7/1/1"],
        "client_group": "bigmem",
        "requirements": {"cpus": 3, "memory_mb": 4, "disk_gb": 5},
    }
    old = submit(engine, **asked)
    cancel(engine, ALICE, old, None)
    job = record(engine, retry(engine, CAROL, old))
    assert {name: job[name] for name in asked} == asked
    assert job["user"] == "carol"
    assert engine.cipher.decrypt(engine.payloads.get_token(job["_id"]) or b"") == "carol-token"


@pytest.mark.parametrize(
    ("make", "status"), [(waiting, "created"), (claimed, "created"), (queued, "queued"), (begun, "running")]
)
def test_only_an_ended_job_is_retried(engine: Engine, make: Make, status: str) -> None:
    with pytest.raises(NotRetryable, match=f"is {status}; only a job that has ended can be retried"):
        retry(engine, ALICE, make(engine))


def test_a_batch_is_not_retried_as_a_whole(engine: Engine) -> None:
    batch_id, _ = three_jobs(engine)
    with pytest.raises(NotRetryable, match=f"{batch_id} is a batch; retry those of its jobs that should run again"):
        retry(engine, ALICE, batch_id)
    with pytest.raises(JobNotFound):
        retry(engine, person("eve"), batch_id)


def test_who_may_retry(engine: Engine, kbase: KBase) -> None:
    job_id = submit(engine, wsid=7)
    cancel(engine, ALICE, job_id, None)
    with pytest.raises(PermissionDenied, match="may not retry job"):
        retry(engine, BOB, job_id)
    with pytest.raises(JobNotFound):
        retry(engine, person("eve"), job_id)
    kbase.workspaces[7]["alice"] = "r"
    with pytest.raises(PermissionDenied, match="running jobs there needs permission to write"):
        retry(engine, ALICE, job_id)
    del kbase.workspaces[7]
    with pytest.raises(WorkspaceNotFound):
        retry(engine, ALICE, job_id)
    assert engine.database.jobs.count_documents({}) == 1


def test_a_retry_of_what_can_no_longer_run_is_refused(engine: Engine) -> None:
    job_id = submit(engine)
    cancel(engine, ALICE, job_id, None)
    engine.database.jobs.update_one({"_id": job_id}, {"$set": {"client_group": "moon"}})
    with pytest.raises(ClientGroupNotFound):
        retry(engine, ALICE, job_id)
