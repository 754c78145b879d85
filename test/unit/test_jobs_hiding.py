from typing import Any

import pytest
from bson import ObjectId
from store_engine import METHOD, KBase, finish, person, record, running, submit

from execution_engine.core.errors import (
    EngineError,
    InvalidParams,
    JobNotFound,
    PermissionDenied,
    WorkspaceUnavailable,
    WrongState,
)
from execution_engine.jobs import hiding
from execution_engine.jobs.audit_pages import list_audit
from execution_engine.jobs.control import cancel
from execution_engine.jobs.engine import Engine
from execution_engine.jobs.hiding import MOST_HIDERS, hide, unhide
from execution_engine.jobs.submission import run_jobs

ALICE, BOB = person("alice"), person("bob")


def ended(engine: Engine, name: str = "alice", **params: Any) -> ObjectId:
    job_id, credential = running(engine, name, **params)
    finish(engine, job_id, credential)
    return job_id


def batch_of(engine: Engine, n: int, **params: Any) -> tuple[ObjectId, list[ObjectId]]:
    return run_jobs(engine, ALICE, {"jobs": [{"method": METHOD}] * n, **params})


def hidden_by(engine: Engine, job_id: ObjectId) -> list[str]:
    found: list[str] = record(engine, job_id).get("hidden_by", [])
    return found


def test_everybody_hides_for_themselves(engine: Engine) -> None:
    one, two = ended(engine, wsid=7), ended(engine, wsid=7)
    assert hide(engine, ALICE, [one, two]) == ([one, two], {})
    assert hide(engine, BOB, [one]) == ([one], {})
    assert hide(engine, BOB, [one]) == ([one], {})
    assert hidden_by(engine, one) == ["alice", "bob"]
    assert unhide(engine, ALICE, [one, two]) == ([one, two], {})
    assert (hidden_by(engine, one), hidden_by(engine, two)) == (["bob"], [])
    acts = [(note["act"], note["actor"]) for note in record(engine, one)["outbox"][1:]]
    assert acts == [("hide", "alice"), ("hide", "bob"), ("unhide", "alice")]


def test_hiding_is_nobody_elses_business(engine: Engine) -> None:
    job_id = ended(engine, wsid=7)
    history = record(engine, job_id)["history"]
    hide(engine, BOB, [job_id])
    assert record(engine, job_id)["history"] == history


def reasons(errors: dict[ObjectId, EngineError]) -> dict[ObjectId, type[EngineError]]:
    return {job_id: type(error) for job_id, error in errors.items()}


def test_each_job_that_is_not_hidden_says_why(engine: Engine, kbase: KBase) -> None:
    kbase.workspaces[8], kbase.public = {"alice": "a"}, {8}
    active, private, public, crowded = (
        submit(engine, wsid=7),
        ended(engine),
        ended(engine, wsid=8),
        ended(engine, wsid=7),
    )
    engine.database.jobs.update_one({"_id": crowded}, {"$set": {"hidden_by": ["x"] * MOST_HIDERS}})
    batch_id, _ = batch_of(engine, 1, wsid=7)
    unknown = ObjectId()
    asked = [active, private, public, crowded, batch_id, unknown]
    hidden, errors = hide(engine, BOB, asked)
    assert hidden == []
    assert reasons(errors) == {
        active: WrongState,
        private: JobNotFound,
        public: PermissionDenied,
        crowded: WrongState,
        batch_id: WrongState,
        unknown: JobNotFound,
    }
    assert reasons(unhide(engine, BOB, asked)[1]) == {
        private: JobNotFound,
        public: PermissionDenied,
        unknown: JobNotFound,
    }


def test_while_the_workspace_is_down_own_jobs_are_hidden_all_the_same(engine: Engine, kbase: KBase) -> None:
    own, shared = ended(engine, "bob"), ended(engine, wsid=7)
    kbase.down.add("workspace")
    hidden, errors = hide(engine, BOB, [own, shared])
    assert hidden == [own]
    assert reasons(errors) == {shared: WorkspaceUnavailable}


def test_a_batch_is_hidden_with_all_of_its_jobs(engine: Engine) -> None:
    batch_id, job_ids = batch_of(engine, 3, wsid=7)
    assert reasons(hide(engine, BOB, [batch_id])[1]) == {batch_id: WrongState}
    cancel(engine, ALICE, batch_id, None)
    hide(engine, BOB, [job_ids[0]])
    other = ended(engine, wsid=7)
    assert hide(engine, BOB, [batch_id, other]) == ([batch_id, other], {})
    assert [hidden_by(engine, job_id) for job_id in [*job_ids, other]] == [["bob"]] * 4
    entries, _ = list_audit(engine, {"job_id": str(batch_id), "act": "hide"})
    assert {entry["jobs"][0] for entry in entries} == set(job_ids)
    assert unhide(engine, BOB, [batch_id]) == ([batch_id], {})
    assert [hidden_by(engine, job_id) for job_id in [*job_ids, other]] == [[], [], [], ["bob"]]


def test_a_call_changes_so_many_jobs_at_most(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hiding, "MOST_AT_ONCE", 4)
    first, second = batch_of(engine, 3)[0], batch_of(engine, 2)[0]
    for batch_id in (first, second):
        cancel(engine, ALICE, batch_id, None)
    for change in (hide, unhide):
        done, errors = change(engine, ALICE, [first, second])
        assert done == [first]
        assert reasons(errors) == {second: InvalidParams}
        assert "this would be 5 jobs; one call takes up to 4" in errors[second].message


def test_a_crowded_job_of_a_batch_stays_as_it_is(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hiding, "MOST_HIDERS", 2)
    batch_id, (full, empty) = batch_of(engine, 2)
    cancel(engine, ALICE, batch_id, None)
    engine.database.jobs.update_one({"_id": full}, {"$set": {"hidden_by": ["x", "y"]}})
    hide(engine, ALICE, [batch_id])
    assert (hidden_by(engine, full), hidden_by(engine, empty)) == (["x", "y"], ["alice"])
