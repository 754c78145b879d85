from typing import Any

import pytest
from bson import ObjectId
from store_engine import METHOD, KBase, person, record, submit

from execution_engine.core import transitions
from execution_engine.core.clock import now
from execution_engine.core.errors import (
    AuthUnavailable,
    Busy,
    InvalidParams,
    JobNotFound,
    PermissionDenied,
    UserNotFound,
    WrongState,
)
from execution_engine.jobs.audit_pages import list_audit
from execution_engine.jobs.engine import Engine
from execution_engine.jobs.identity import Admin
from execution_engine.jobs.lookup import find_job, find_jobs
from execution_engine.jobs.sharing import MOST_HISTORY, share, unshare
from execution_engine.jobs.submission import run_jobs

ALICE, BOB, EVE = person("alice"), person("bob"), person("eve")
ROOT, RUTH = person("root", Admin.FULL), person("ruth", Admin.READ)


def test_people_are_named_and_taken_back(engine: Engine) -> None:
    job_id = submit(engine)
    assert share(engine, ALICE, job_id, ["bob", "carol", "bob", "alice"]) == ["bob", "carol"]
    assert share(engine, ALICE, job_id, ["dave", "bob"]) == ["bob", "carol", "dave"]
    assert unshare(engine, ALICE, job_id, ["carol", "nobody"]) == ["bob", "dave"]
    assert record(engine, job_id)["shared_with"] == ["bob", "dave"]
    assert unshare(engine, ALICE, job_id, ["bob", "dave"]) == []
    assert "shared_with" not in record(engine, job_id)


def test_each_change_is_in_the_history_with_the_right_that_it_was_made_by(engine: Engine) -> None:
    job_id = submit(engine)
    share(engine, ALICE, job_id, ["bob"])
    unshare(engine, ROOT, job_id, ["bob"])
    steps = [(e["event"], e["actor"], e["role"], e["note"]) for e in record(engine, job_id)["history"][1:]]
    assert steps == [("shared", "alice", "owner", "with bob"), ("unshared", "root", "admin", "with bob")]


def test_what_changes_nothing_leaves_no_trace(engine: Engine) -> None:
    job_id = submit(engine)
    share(engine, ALICE, job_id, ["bob"])
    before = record(engine, job_id)
    share(engine, ALICE, job_id, ["bob"])
    unshare(engine, ALICE, job_id, ["carol"])
    assert record(engine, job_id) == before


def test_only_the_owner_and_full_administrators_share(engine: Engine) -> None:
    job_id = submit(engine)
    share(engine, ALICE, job_id, ["bob"])
    for change in (share, unshare):
        for user, refusal in ((BOB, PermissionDenied), (RUTH, PermissionDenied), (EVE, JobNotFound)):
            with pytest.raises(refusal):
                change(engine, user, job_id, ["eve"])
        with pytest.raises(JobNotFound):
            change(engine, ALICE, ObjectId(), ["eve"])
    assert record(engine, job_id)["shared_with"] == ["bob"]


def test_nobody_learns_of_a_job_whether_names_exist(engine: Engine) -> None:
    job_id = submit(engine)
    with pytest.raises(JobNotFound):
        share(engine, EVE, job_id, ["nobody"])


def batch_of(engine: Engine, n: int, **params: Any) -> tuple[ObjectId, list[ObjectId]]:
    return run_jobs(engine, ALICE, {"jobs": [{"method": METHOD}] * n, **params})


def test_jobs_and_batches_of_workspaces_are_not_shared_by_name(engine: Engine) -> None:
    with pytest.raises(WrongState, match=r"Job .* is shared by the permissions of workspace 7; change them there"):
        share(engine, ALICE, submit(engine, wsid=7), ["bob"])
    with pytest.raises(WrongState, match=r"Batch .* is shared by the permissions of workspace 7"):
        share(engine, ALICE, batch_of(engine, 1, wsid=7)[0], ["bob"])


def test_a_batch_is_shared_with_all_of_its_jobs(engine: Engine) -> None:
    batch_id, job_ids = batch_of(engine, 3)
    share(engine, ALICE, job_ids[0], ["carol"])
    share(engine, ALICE, job_ids[1], ["bob"])
    assert share(engine, ALICE, batch_id, ["bob", "alice"]) == ["bob"]
    held = [record(engine, job_id)["shared_with"] for job_id in job_ids]
    assert held == [["carol", "bob"], ["bob"], ["bob"]]
    found, errors = find_jobs(engine, BOB, [batch_id, *job_ids], frozenset())
    assert (len(found), errors) == (4, {})
    assert found[batch_id].record["shared_with"] == ["bob"]
    steps = [len(record(engine, job_id)["history"]) for job_id in job_ids]
    assert steps == [3, 2, 2], "what changes nothing is no step"
    assert unshare(engine, ROOT, batch_id, ["bob", "dave"]) == []
    assert [record(engine, job_id).get("shared_with") for job_id in job_ids] == [["carol"], None, None]
    last = record(engine, job_ids[2])["history"][-1]
    assert (last["event"], last["actor"], last["role"]) == ("unshared", "root", "admin")
    for job_id in (batch_id, *job_ids):
        with pytest.raises(JobNotFound):
            find_job(engine, BOB, job_id)


def test_a_batch_that_was_shared_half_is_shared_wholly_by_the_same_call_again(engine: Engine) -> None:
    batch_id, (one, other) = batch_of(engine, 2)
    share(engine, ALICE, batch_id, ["bob"])
    engine.database.jobs.update_one({"_id": other}, {"$unset": {"shared_with": ""}})
    assert share(engine, ALICE, batch_id, ["bob"]) == ["bob"]
    assert record(engine, one)["shared_with"] == record(engine, other)["shared_with"] == ["bob"]


def test_what_nobody_is_left_to_share_with_can_be_shared_again(engine: Engine) -> None:
    job_id = submit(engine)
    engine.database.jobs.update_one({"_id": job_id}, {"$set": {"shared_with": []}})  # for a moment, in a batch
    assert share(engine, ALICE, job_id, ["bob"]) == ["bob"]


def test_sharing_a_batch_is_audited_with_each_job_that_it_changes(engine: Engine) -> None:
    batch_id, job_ids = batch_of(engine, 2)
    share(engine, ALICE, batch_id, ["bob"])
    entries, _ = list_audit(engine, {"job_id": str(batch_id), "act": "share"})
    assert {entry["jobs"][0] for entry in entries} == {batch_id, *job_ids}
    assert all(entry["after"] == {"shared_with": ["bob"]} for entry in entries)


def test_a_batch_is_shared_by_its_owner_and_full_administrators(engine: Engine) -> None:
    batch_id, _ = batch_of(engine, 1)
    share(engine, ALICE, batch_id, ["bob"])
    for change in (share, unshare):
        for user, refusal in ((BOB, PermissionDenied), (RUTH, PermissionDenied), (EVE, JobNotFound)):
            with pytest.raises(refusal):
                change(engine, user, batch_id, ["eve"])


def test_people_must_exist(engine: Engine, kbase: KBase) -> None:
    job_id = submit(engine)
    with pytest.raises(UserNotFound, match=r"params.users: the Auth service knows no nobody\."):
        share(engine, ALICE, job_id, ["bob", "nobody"])
    kbase.down.add("auth")
    with pytest.raises(AuthUnavailable):
        share(engine, ALICE, job_id, ["bob"])
    assert "shared_with" not in record(engine, job_id)


def test_a_job_is_shared_with_a_hundred_people_at_most(engine: Engine) -> None:
    job_id = submit(engine)
    share(engine, ALICE, job_id, [f"u{n}" for n in range(100)])
    with pytest.raises(InvalidParams, match="would be shared with 101 people; up to 100 are possible"):
        share(engine, ALICE, job_id, ["bob"])


def test_sharing_for_ever_does_not_fill_the_record(engine: Engine) -> None:
    job_id = submit(engine)
    long = [{"event": "shared"}] * MOST_HISTORY
    engine.database.jobs.update_one({"_id": job_id}, {"$set": {"history": long}})
    with pytest.raises(WrongState, match="its sharing is no longer changed"):
        share(engine, ALICE, job_id, ["bob"])


class Meanwhile:
    """A store whose job is changed by others just before each of our writes."""

    def __init__(self, engine: Engine, names: list[str]) -> None:
        self.jobs, self.names = engine.jobs, names

    def __getattr__(self, name: str) -> Any:
        return getattr(self.jobs, name)

    def apply(self, job_id: ObjectId, step: transitions.Transition) -> Any:
        if self.names:
            held = (self.jobs.get(job_id) or {}).get("shared_with", [])
            wanted = [*held, self.names.pop()]
            other = transitions.share(
                now(), event="shared", by="root", role="admin", held=held, wanted=wanted, audit={"id": ObjectId()}
            )
            assert self.jobs.apply(job_id, other)
        return self.jobs.apply(job_id, step)


def racing(engine: Engine, names: list[str]) -> Any:
    class Racing:
        jobs = Meanwhile(engine, names)
        tokens = engine.tokens

    return Racing


def test_of_two_changes_at_once_none_is_lost(engine: Engine) -> None:
    job_id = submit(engine)
    assert share(racing(engine, ["zoe", "yan"]), ALICE, job_id, ["bob"]) == ["yan", "zoe", "bob"]
    notes = record(engine, job_id)["outbox"]
    assert notes[-1]["before"] == {"shared_with": ["yan", "zoe"]}
    with pytest.raises(Busy, match="is just being changed; try again"):
        share(racing(engine, [f"u{n}" for n in range(20)]), ALICE, job_id, ["carol"])
