from typing import Any

import mongomock
import pytest
from bson import ObjectId
from pymongo.database import Database
from pymongo.errors import BulkWriteError
from store_databases import opened, pytest_generate_tests, watched
from store_exceptions import ImitatedJobStore

from execution_engine.core import transitions
from execution_engine.core.causes import describe
from execution_engine.core.clock import from_ms
from execution_engine.core.errors import Busy
from execution_engine.core.states import Status
from execution_engine.store.jobs import JobStore

__all__ = ["pytest_generate_tests"]

NOW = 1_800_000_000_000


@pytest.fixture
def database(request: pytest.FixtureRequest) -> Database[Any]:
    return opened(request)


@pytest.fixture
def store(database: Database[Any]) -> JobStore:
    return (ImitatedJobStore if isinstance(database, mongomock.Database) else JobStore)(database)


def new_job(seconds: int = 0, **changes: Any) -> dict[str, Any]:
    at = from_ms(NOW + 1_000 * seconds)
    job = {
        "_id": ObjectId(),
        "user": "alice",
        "method": "m.f",
        "client_group": "local",
        "requirements": {"cpus": 1},
        "status": "created",
        "active": True,
        "claimed": False,
        "attempt": {"n": 0},
        "created": at,
        "updated": at,
        "history": [],
    }
    return job | changes


def inserted(store: JobStore, *jobs: dict[str, Any]) -> list[ObjectId]:
    for job in jobs:
        assert store.insert(job) is None
    return [job["_id"] for job in jobs]


def claim_of(claim_id: str = "c", attempt: int = 1, backend: str = "local") -> transitions.Transition:
    return transitions.claim(
        from_ms(NOW), attempt=attempt, tag=f"ee.x.{attempt}", ticket_hash="t", claim_id=claim_id, backend=backend
    )


def queue_of(attempt: int = 1) -> transitions.Transition:
    return transitions.submitted(from_ms(NOW + 5), attempt=attempt, backend_id="17")


START = transitions.start(from_ms(NOW + 9), attempt=1, ticket_hash="t", runner="r", credential_hash="c", host="node7")
LOST = transitions.settle(from_ms(NOW + 10), attempt=1, to=Status.ERROR, cause=describe("runner_lost"))


def with_key(key: str, **changes: Any) -> dict[str, Any]:
    return new_job(idempotency={"key": key, "digest": "d"}, **changes)


# -- submission


def test_a_job_is_kept_as_it_is(store: JobStore) -> None:
    job = new_job(wsid=7, source_ws_objects=["1/2/3"])
    inserted(store, dict(job))
    assert store.get(job["_id"]) == job
    assert store.get(ObjectId()) is None


def test_the_same_key_of_the_same_user_makes_one_job(store: JobStore) -> None:
    first = with_key("once")
    inserted(store, dict(first))
    assert store.insert(with_key("once")) == first
    assert store.submitted_before("alice", "once") == first
    inserted(store, with_key("once", user="bob"), with_key("twice"), new_job())
    assert store.submitted_before("bob", "twice") is None
    assert store.submitted_before("alice", None) is None


def test_a_write_that_the_driver_repeats_makes_one_job(store: JobStore) -> None:
    first, keyed = new_job(), with_key("once")
    inserted(store, dict(first), dict(keyed))
    assert store.insert(dict(first)) == first
    assert store.insert(dict(keyed)) == keyed


def test_a_job_that_vanishes_while_its_key_is_looked_up_is_said_to_be_under_way(
    store: JobStore, database: Database[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    inserted(store, with_key("once"))
    second = with_key("once")
    insert_one = database.jobs.insert_one

    class Vanishing:
        def insert_one(self, job: dict[str, Any]) -> None:
            try:
                insert_one(job)
            finally:
                database.jobs.delete_many({})

        def find_one(self, query: dict[str, Any]) -> Any:
            return database.jobs.find_one(query)

    monkeypatch.setattr(store, "_jobs", Vanishing())
    with pytest.raises(Busy, match="same idempotency key is under way; send it again"):
        store.insert(second)


def batch_of(n: int, **changes: Any) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    batch = {"_id": ObjectId(), "user": "alice", "created": from_ms(NOW), **changes}
    return batch, [new_job(batch_id=batch["_id"], batch_n=i) for i in range(n)]


def test_a_batch_and_its_jobs_begin_to_exist_together(store: JobStore) -> None:
    batch, jobs = batch_of(3)
    assert store.insert_batch(dict(batch), [dict(job) for job in jobs]) is None
    assert store.get_batch(batch["_id"]) == batch
    assert store.get_many([job["_id"] for job in jobs]) == {job["_id"]: job for job in jobs}


def test_a_batch_with_a_used_key_leaves_nothing(store: JobStore, database: Database[Any]) -> None:
    key = {"key": "once", "digest": "d"}
    batch, jobs = batch_of(2, idempotency=key)
    assert store.insert_batch(dict(batch), jobs) is None
    again, more = batch_of(2, idempotency=key)
    assert store.insert_batch(again, more) == batch
    assert store.batch_submitted_before("alice", "once") == batch
    assert store.batch_submitted_before("bob", "once") is None
    assert store.batch_submitted_before("alice", None) is None
    assert database.jobs.count_documents({}) == 2


def test_a_batch_that_fails_in_the_middle_leaves_nothing(store: JobStore, database: Database[Any]) -> None:
    batch, jobs = batch_of(3)
    jobs[2]["_id"] = jobs[1]["_id"]
    with pytest.raises(BulkWriteError):
        store.insert_batch(batch, jobs)
    assert database.jobs.count_documents({}) == database.batches.count_documents({}) == 0


# -- looking up


def test_many_are_found_at_once_and_unknown_ones_are_left_out(store: JobStore) -> None:
    first, second = inserted(store, new_job(), new_job())
    found = store.get_many([second, ObjectId(), first, second])
    assert found.keys() == {first, second}
    assert store.get_many([]) == {}
    assert store.get_many([first], {"status": 1}) == {first: {"_id": first, "status": "created"}}


def test_a_batches_jobs_are_counted_by_status_and_listed_in_order(store: JobStore) -> None:
    batch_id, empty, other = ObjectId(), ObjectId(), ObjectId()
    statuses = ["running", "created", "created", "error"]
    jobs = [new_job(status=status, batch_id=batch_id, batch_n=n) for n, status in reversed(list(enumerate(statuses)))]
    ids = inserted(store, *jobs, new_job(batch_id=other, batch_n=0), new_job())
    assert store.batch_counts([batch_id, empty]) == {batch_id: {"running": 1, "created": 2, "error": 1}, empty: {}}
    assert store.batch_job_ids(batch_id) == ids[:4][::-1]
    assert store.batch_job_ids(empty) == []


def test_batches_are_found_by_their_ids(store: JobStore, database: Database[Any]) -> None:
    batches = [{"_id": ObjectId(), "user": "alice"} for _ in range(2)]
    database.batches.insert_many(batches)
    assert store.get_batches([batches[0]["_id"], ObjectId()]) == {batches[0]["_id"]: batches[0]}
    assert store.get_batch(ObjectId()) is None


def test_retries_are_found_oldest_first(store: JobStore) -> None:
    old, lonely = inserted(store, new_job(), new_job())
    retries = inserted(store, *(new_job(retry_of=old) for _ in range(3)))
    assert store.retries_of([old, lonely]) == {old: retries}
    store.mark_retried(old)
    assert (store.get(old) or {})["retried"] is True


# -- transitions


def test_a_transition_answers_the_job_as_it_is_afterwards(store: JobStore) -> None:
    (job_id,) = inserted(store, new_job())
    job = store.apply(job_id, claim_of())
    assert job is not None
    assert (job["claimed"], job["attempt"]["n"], job["updated"]) == (True, 1, from_ms(NOW))
    assert job == store.get(job_id)


def test_a_transition_whose_condition_does_not_hold_changes_nothing(store: JobStore) -> None:
    (job_id,) = inserted(store, new_job())
    before = store.get(job_id)
    for refused in (claim_of(attempt=2), queue_of(), START, LOST):
        assert store.apply(job_id, refused) is None
    assert store.apply(ObjectId(), claim_of()) is None
    assert store.get(job_id) == before


def test_a_life_is_a_history(store: JobStore) -> None:
    (job_id,) = inserted(store, new_job())
    for step in (claim_of(), queue_of(), START, LOST):
        assert store.apply(job_id, step)
    job = store.get(job_id) or {}
    assert [entry["event"] for entry in job["history"]] == ["claimed", "queued", "started", "error"]
    assert (job["status"], job["active"], job["finished"]) == ("error", False, from_ms(NOW + 10))
    for step in (claim_of(attempt=2), queue_of(), START, LOST):
        assert store.apply(job_id, step) is None, "a final status never changes"


def test_the_time_of_being_queued_is_the_earliest(store: JobStore) -> None:
    (job_id,) = inserted(store, new_job())
    store.apply(job_id, claim_of())
    store.apply(job_id, queue_of())
    store.apply(job_id, START)
    assert (store.get(job_id) or {})["queued"] == from_ms(NOW + 5)


def test_only_one_of_two_attempts_is_started(store: JobStore) -> None:
    (job_id,) = inserted(store, new_job())
    store.apply(job_id, claim_of())
    assert store.apply(job_id, START)
    assert store.apply(job_id, START) is None
    assert store.apply(job_id, transitions.release(from_ms(NOW), attempt=1, note="x")) is None


def test_termination_by_the_runner_needs_a_wish(store: JobStore) -> None:
    (job_id,) = inserted(store, new_job())
    store.apply(job_id, claim_of())
    store.apply(job_id, START)
    end = transitions.finish(from_ms(NOW), attempt=1, credential_hash="c", to=Status.TERMINATED, digest="d", result={})
    assert store.apply(job_id, end) is None
    assert store.apply(job_id, transitions.request_cancel(from_ms(NOW), by="alice", reason=None))
    assert store.apply(job_id, end)


def test_many_transitions_at_once_each_on_its_own_condition(store: JobStore) -> None:
    ids = inserted(store, *(new_job() for _ in range(3)))
    store.apply(ids[1], claim_of())
    assert store.apply_many([(job_id, claim_of("mine")) for job_id in ids]) == 2
    assert store.claimed_by("mine", ids) == {ids[0], ids[2]}
    assert store.apply_many([]) == 0


def test_a_transition_of_all_jobs_of_a_batch_each_on_its_own_condition(store: JobStore) -> None:
    batch_id = ObjectId()
    ids = inserted(store, *(new_job(batch_id=batch_id, batch_n=n) for n in range(3)), new_job())
    store.apply(ids[1], claim_of())
    cause = describe("cancelled_before_start")
    cancel = transitions.cancel_waiting(from_ms(NOW), by="alice", reason=None, cause=cause)
    assert store.apply_to_batch(batch_id, cancel) == 2
    assert store.apply_to_batch(batch_id, cancel) == 0
    assert [(store.get(job_id) or {})["status"] for job_id in ids] == ["terminated", "created", "terminated", "created"]


def test_transitions_of_a_rolled_back_transaction_never_happened(store: JobStore, database: Database[Any]) -> None:
    (job_id,) = inserted(store, new_job())
    with database.client.start_session() as session:
        session.start_transaction()
        assert store.apply_many([(job_id, claim_of())], session) == 1
        session.abort_transaction()
    assert (store.get(job_id) or {})["claimed"] is False


def test_a_backends_id_is_noted_whatever_the_state_but_for_the_right_attempt(store: JobStore) -> None:
    first, second = inserted(store, new_job(), new_job())
    for job_id in (first, second):
        store.apply(job_id, claim_of())
    store.apply(first, START)
    store.note_backend_id({(first, 1): "17", (second, 2): "18"})
    store.note_backend_id({})
    assert (store.get(first) or {})["backend_id"] == "17"
    assert "backend_id" not in (store.get(second) or {})


# -- dispatching


def test_whether_any_job_waits(store: JobStore) -> None:
    assert store.any_waiting() is False
    (job_id,) = inserted(store, new_job())
    assert store.any_waiting() is True
    store.apply(job_id, claim_of())
    assert store.any_waiting() is False


def test_the_heads_of_the_queues_are_the_users_by_their_oldest_job(store: JobStore) -> None:
    inserted(
        store,
        new_job(5, user="ann"),
        new_job(9, user="ann"),
        new_job(3, user="cem"),
        new_job(4, user="bob"),
        new_job(1, user="dan", client_group="bigmem"),
        new_job(0, user="eve", claimed=True),
    )
    assert store.queue_heads("local") == ["cem", "bob", "ann"]
    assert store.queue_heads("bigmem") == ["dan"]
    assert store.queue_heads("moon") == []


def test_a_users_waiting_jobs_come_oldest_first(store: JobStore) -> None:
    jobs = inserted(store, *(new_job(n) for n in (4, 2, 3)), new_job(user="bob"), new_job(client_group="bigmem"))
    waiting = store.waiting_of("local", "alice", 2)
    assert [job["_id"] for job in waiting] == [jobs[1], jobs[2]]
    assert waiting[0].keys() == {"_id", "attempt", "requirements", "client_group", "user", "method"}


def test_a_users_waiting_jobs_but_those_that_were_looked_at_and_some_methods(store: JobStore) -> None:
    jobs = inserted(store, new_job(1), new_job(2, method="m.slow"), new_job(3), new_job(4))
    waiting = store.waiting_of("local", "alice", 2, [jobs[0]], ["m.slow"])
    assert [job["_id"] for job in waiting] == [jobs[2], jobs[3]]


def test_what_holds_a_job_is_noted_while_it_is_as_it_was_seen(store: JobStore) -> None:
    (job_id,) = inserted(store, new_job())
    hold = {"code": "backend_held", "message": "Its folder is missing."}
    claimed, queued = store.apply(job_id, claim_of()), store.apply(job_id, queue_of())
    assert claimed
    assert queued
    store.note_holds([(claimed, hold, from_ms(NOW))])
    assert "hold" not in (store.get(job_id) or {})
    store.note_holds([(queued, hold, from_ms(NOW))])
    noted = store.get(job_id) or {}
    assert (noted["hold"], noted["attempt"]["held_since"]) == (hold, from_ms(NOW))
    store.note_holds([(queued, None, None)])
    noted = store.get(job_id) or {}
    assert "hold" not in noted
    assert "held_since" not in noted["attempt"]
    store.note_holds([])


def test_in_flight_is_what_a_backend_may_have(store: JobStore) -> None:
    claimed, queued, running, ended, _ = inserted(store, *(new_job() for _ in range(5)))
    for job_id in (claimed, queued, running, ended):
        store.apply(job_id, claim_of())
    store.apply(queued, queue_of())
    for job_id in (running, ended):
        store.apply(job_id, START)
    store.apply(ended, LOST)
    assert {job["_id"] for job in store.in_flight()} == {claimed, queued, running}
    assert all(job["backend"] == "local" for job in store.in_flight())


def test_jobs_in_flight_are_counted_by_kind(store: JobStore) -> None:
    jobs = inserted(store, *(new_job() for _ in range(3)), new_job(user="bob"), new_job(user="cem"))
    for job_id in jobs[:4]:
        store.apply(job_id, claim_of())
    for job_id in jobs[:2]:
        store.apply(job_id, queue_of())
    kind = {"backend": "local", "client_group": "local"}
    counts = sorted(store.in_flight_counts(), key=lambda row: (row["user"], row["status"]))
    assert counts == [
        {**kind, "user": "alice", "status": "created", "n": 1},
        {**kind, "user": "alice", "status": "queued", "n": 2},
        {**kind, "user": "bob", "status": "created", "n": 1},
    ]


def test_ended_jobs_are_found_until_nothing_is_left_to_do(store: JobStore) -> None:
    ids = inserted(store, *(new_job() for _ in range(4)))
    for job_id in ids[:3]:
        store.apply(job_id, claim_of())
        store.apply(job_id, LOST)
    assert {job["_id"] for job in store.ended_with_work_left(10)} == set(ids[:3])
    assert len(store.ended_with_work_left(2)) == 2
    store.mark_cleaned(ids[1:])
    assert [job["_id"] for job in store.ended_with_work_left(10)] == ids[:1]


def test_the_catalog_is_told_of_each_job_once_oldest_first(store: JobStore) -> None:
    ids = inserted(store, *(new_job() for _ in range(3)))
    for job_id in ids[:2]:
        store.apply(job_id, claim_of())
        store.apply(job_id, LOST)
    assert not store.any_untold()
    store.mark_cleaned(ids, untold=True)
    assert store.any_untold()
    first = store.take_untold()
    assert first
    assert first["_id"] == ids[0]
    store.mark_cleaned(ids, untold=True)
    store.put_back_untold(ids[0])
    assert [job["_id"] for job in iter(store.take_untold, None)] == ids[:2]
    assert not store.any_untold()


# -- durability


def test_a_transaction_is_committed_to_the_majority(database: Database[Any], mongod_url: str) -> None:
    # Also where the operators have set another default: what was acknowledged must survive a crash.
    with watched(mongod_url, database.name) as (seen, commands):
        batch, jobs = batch_of(2)
        assert JobStore(seen).insert_batch(batch, jobs) is None
    (commit,) = [command for name, command in commands.sent if name == "commitTransaction"]
    assert commit["writeConcern"] == {"w": "majority"}


def test_an_earlier_submission_is_read_from_what_survives(database: Database[Any], mongod_url: str) -> None:
    # The first request may not have been acknowledged yet: its id is no answer while it could still be lost.
    with watched(mongod_url, database.name) as (seen, commands):
        store = JobStore(seen)
        inserted(store, with_key("once"))
        assert store.submitted_before("alice", "once")
        assert store.batch_submitted_before("alice", "once") is None
    finds = [command for name, command in commands.sent if name == "find"]
    assert [find["readConcern"]["level"] for find in finds] == ["majority", "majority"]
