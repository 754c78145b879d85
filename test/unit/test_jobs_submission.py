from dataclasses import replace
from typing import Any

import pytest
from bson import ObjectId
from store_engine import COMMIT, METHOD, KBase, make_engine, person, record, submit

from execution_engine.core.clock import now
from execution_engine.core.errors import (
    AppNotFound,
    BatchTooLarge,
    CatalogUnavailable,
    ClientGroupNotFound,
    EngineError,
    IdempotencyConflict,
    ObjectNotReadable,
    ParametersTooLarge,
    PermissionDenied,
    RequirementsTooLarge,
    WorkspaceNotFound,
)
from execution_engine.jobs.engine import Engine
from execution_engine.jobs.submission import run_job, run_jobs
from execution_engine.store.payloads import input_key

ALICE = person("alice")


def test_a_job_begins_as_created_and_waiting(engine: Engine) -> None:
    job_id = submit(engine, wsid=7, app_id="sequence_tools/count_kmers", source_ws_objects=["7/1/1"])
    job = record(engine, job_id)
    created = job["created"]
    assert [(note["act"], note["role"]) for note in job.pop("outbox")] == [("submit", "workspace_admin")]
    begin = {"at": created, "event": "created", "status": "created", "actor": "alice", "role": "workspace_admin"}
    assert job == {
        "_id": job_id,
        "user": "alice",
        "wsid": 7,
        "method": METHOD,
        "app_id": "sequence_tools/count_kmers",
        "service_ver": COMMIT,
        "source_ws_objects": ["7/1/1"],
        "client_group": "local",
        "requirements": {"cpus": 2, "memory_mb": 512, "disk_gb": 1},
        "params_bytes": 10,
        "status": "created",
        "active": True,
        "claimed": False,
        "attempt": {"n": 0},
        "created": created,
        "updated": created,
        "history": [begin],
    }


def test_parameters_are_kept_apart_from_the_record_whatever_they_hold(engine: Engine) -> None:
    odd = [{"$where": 1, "a.b": None, "": 2**80, "nul": "\0"}, [], 1.5]
    job_id = submit(engine, params=odd)
    assert "params" not in record(engine, job_id)
    assert engine.payloads.get(input_key(job_id)) == {
        "params": odd,
        "app": {"kind": "command", "command": ["python3", "kmers.py"], "directory": "/apps/sequence_tools"},
    }


def test_a_container_app_is_described_by_its_image_and_gets_the_token(engine: Engine) -> None:
    job_id = submit(engine, method="kb_container.anything")
    assert engine.payloads.get(input_key(job_id))["app"] == {
        "kind": "container",
        "command": [],
        "directory": "",
        "image": "dockerhub/kb_container:1",
    }
    assert engine.payloads.get_token(job_id)


def test_the_submitters_token_is_kept_encrypted_and_only_if_the_app_needs_it(engine: Engine) -> None:
    needing, quiet = submit(engine), submit(engine, method="sequence_tools.quiet")
    encrypted = engine.payloads.get_token(needing) or b""
    assert b"alice-token" not in encrypted
    assert engine.cipher.decrypt(encrypted) == "alice-token"
    assert engine.payloads.get_token(quiet) is None


def test_what_is_asked_for_wins_over_the_app_and_the_app_over_the_defaults(engine: Engine) -> None:
    asked = submit(engine, requirements={"memory_mb": 9_000}, client_group="bigmem")
    assert record(engine, asked)["requirements"] == {"cpus": 2, "memory_mb": 9_000, "disk_gb": 1}
    assert record(engine, asked)["client_group"] == "bigmem"


@pytest.mark.parametrize(
    ("params", "error", "text"),
    [
        ({"wsid": 999}, WorkspaceNotFound, "There is no workspace 999, or you may not use it"),
        ({"method": "no_such.thing"}, AppNotFound, "no_such"),
        ({"method": "sequence_tools.unknown"}, AppNotFound, "has no function unknown; it has: count_kmers, quiet."),
        ({"service_ver": "beta"}, AppNotFound, "version beta of the module sequence_tools"),
        (
            {"client_group": "moon"},
            ClientGroupNotFound,
            "params.client_group: there is no client group 'moon'; there are bigmem, local.",
        ),
        (
            {"source_ws_objects": ["1/2/3", "1/1/1", "1/2/3"]},
            ObjectNotReadable,
            "source_ws_objects: 1/2/3 does not exist, or you may not read it.",
        ),
        (
            {"source_ws_objects": ["1/2/3", "1/2/4"]},
            ObjectNotReadable,
            "source_ws_objects: 1/2/3, 1/2/4 do not exist, or you may not read them.",
        ),
        (
            {"params": ["x" * 2_000_000]},
            ParametersTooLarge,
            f"params: the parameters of {METHOD} have 2,000,",
        ),
    ],
)
def test_what_is_wrong_is_named_and_nothing_is_kept(
    engine: Engine, kbase: KBase, params: dict[str, Any], error: type[EngineError], text: str
) -> None:
    kbase.unreadable |= {"1/2/3", "1/2/4"}
    with pytest.raises(error) as caught:
        submit(engine, **params)
    assert text in caught.value.message
    assert engine.database.jobs.count_documents({}) == 0
    assert engine.database.job_io.count_documents({}) == 0


def test_a_reader_of_a_workspace_may_not_run_jobs_there(engine: Engine) -> None:
    with pytest.raises(PermissionDenied, match="You may read workspace 7"):
        submit(engine, "bob", wsid=7)


def test_an_outage_of_the_catalog_has_its_own_error(engine: Engine, kbase: KBase) -> None:
    kbase.down.add("catalog")
    with pytest.raises(CatalogUnavailable):
        submit(engine)


def test_the_same_key_and_request_is_the_same_job(engine: Engine, kbase: KBase) -> None:
    job_id = submit(engine, idempotency_key="once")
    assert submit(engine, idempotency_key="once") == job_id
    kbase.down |= {"catalog", "workspace"}
    assert submit(engine, idempotency_key="once") == job_id
    assert engine.database.jobs.count_documents({}) == 1


def test_the_same_key_with_another_request_names_the_first_job(engine: Engine) -> None:
    job_id = submit(engine, idempotency_key="once")
    with pytest.raises(IdempotencyConflict) as caught:
        submit(engine, idempotency_key="once", params=[{"k": 22}])
    assert caught.value.data == {"job_id": str(job_id)}
    assert caught.value.message == (
        f"idempotency_key 'once' was used before, with another request, for {job_id}; use a new key for a new request."
    )


def test_keys_of_different_users_have_nothing_to_do_with_each_other(engine: Engine) -> None:
    assert submit(engine, "alice", idempotency_key="once") != submit(engine, "bob", idempotency_key="once")


class OutOfSight:
    """A store whose first look misses an earlier submission, which was made at the same moment."""

    def __init__(self, jobs: Any) -> None:
        self._jobs = jobs

    def __getattr__(self, name: str) -> Any:
        return getattr(self._jobs, name)

    def submitted_before(self, *_: Any) -> None:
        return None

    batch_submitted_before = submitted_before


def at_the_same_moment(engine: Engine) -> Engine:
    out_of_sight: Any = OutOfSight(engine.jobs)
    return replace(engine, jobs=out_of_sight)


def test_of_two_submissions_at_the_same_moment_one_makes_the_job(engine: Engine) -> None:
    job_id = submit(engine, idempotency_key="once")
    late = at_the_same_moment(engine)
    assert submit(late, idempotency_key="once") == job_id
    with pytest.raises(IdempotencyConflict):
        submit(late, idempotency_key="once", params=[])
    assert engine.database.jobs.count_documents({}) == 1


def batch(engine: Engine, *jobs: dict[str, Any], **params: Any) -> tuple[ObjectId, list[ObjectId]]:
    return run_jobs(engine, ALICE, {"jobs": list(jobs), **params})


def test_the_jobs_of_a_batch_point_to_it_in_their_order(engine: Engine) -> None:
    batch_id, job_ids = batch(engine, *({"method": METHOD, "params": [n]} for n in range(3)), wsid=7)
    parent = engine.jobs.get_batch(batch_id)
    assert parent is not None
    assert parent.keys() == {"_id", "user", "created", "wsid", "outbox"}
    for n, job_id in enumerate(job_ids):
        job = record(engine, job_id)
        assert (job["batch_id"], job["batch_n"], job["wsid"], job["status"]) == (batch_id, n, 7, "created")
        assert engine.payloads.get(input_key(job_id))["params"] == [n]


def test_a_batch_fails_whole_and_names_the_job(engine: Engine) -> None:
    with pytest.raises(ClientGroupNotFound, match=r"^jobs\[1\]\.client_group: there is no client group 'moon'"):
        batch(engine, {"method": METHOD}, {"method": METHOD, "client_group": "moon"})
    with pytest.raises(ParametersTooLarge, match=r"^jobs\[0\]: the parameters of"):
        batch(engine, {"method": METHOD, "params": ["x" * 2_000_000]})
    with pytest.raises(AppNotFound, match=r"^jobs\[1\]: "):
        batch(engine, {"method": METHOD}, {"method": "no_such.thing"})
    assert engine.database.jobs.count_documents({}) == 0
    assert engine.database.batches.count_documents({}) == 0


def test_a_batch_has_a_largest_size(mock_database: Any, kbase: KBase) -> None:
    engine = make_engine(mock_database, kbase, max_batch_jobs=2)
    with pytest.raises(BatchTooLarge, match="The batch has 3 jobs; up to 2 are taken"):
        batch(engine, *[{"method": METHOD}] * 3)


def test_the_objects_of_all_jobs_of_a_batch_are_one_question(engine: Engine, kbase: KBase) -> None:
    kbase.unreadable.add("1/2/4")
    jobs = [{"method": METHOD, "source_ws_objects": [f"1/2/{n}"]} for n in range(3, 6)]
    with pytest.raises(ObjectNotReadable, match="source_ws_objects: 1/2/4 does not exist"):
        batch(engine, *jobs)
    assert kbase.asked == ["unreadable_objects"]


def test_the_same_key_and_request_is_the_same_batch(engine: Engine) -> None:
    jobs = [{"method": METHOD, "params": [n]} for n in range(3)]
    first = batch(engine, *jobs, idempotency_key="once")
    assert batch(engine, *jobs, idempotency_key="once") == first
    assert run_jobs(at_the_same_moment(engine), ALICE, {"jobs": jobs, "idempotency_key": "once"}) == first
    with pytest.raises(IdempotencyConflict, match=f"for {first[0]}"):
        batch(engine, *jobs[1:], idempotency_key="once")
    assert engine.database.jobs.count_documents({}) == 3


def test_a_job_without_parameters_has_none(engine: Engine) -> None:
    job_id = run_job(engine, ALICE, {"method": METHOD})
    assert engine.payloads.get(input_key(job_id))["params"] == []


def test_what_no_backend_of_the_group_could_run_is_refused(engine: Engine) -> None:
    resources = {"cpus_total": 4, "memory_mb_total": 8_000}
    engine.backends.report("local", now(), "up", None, resources, "")
    asked = {"method": METHOD, "requirements": {"cpus": 5}}
    with pytest.raises(RequirementsTooLarge, match=r"params\.requirements\.cpus is 5; the client group local has 4 at"):
        run_job(engine, ALICE, asked)
    assert run_job(engine, ALICE, {"method": METHOD, "requirements": {"cpus": 4}})


def test_a_key_of_a_job_is_taken_for_batches_too(engine: Engine) -> None:
    first = run_job(engine, ALICE, {"method": METHOD, "idempotency_key": "k"})
    with pytest.raises(IdempotencyConflict, match=str(first)):
        run_jobs(engine, ALICE, {"jobs": [{"method": METHOD}], "idempotency_key": "k"})
