from typing import Any

import pytest
from bson import ObjectId
from store_engine import METHOD, KBase, finish, person, record, running, submit

from execution_engine.core import transitions
from execution_engine.core.clock import now
from execution_engine.core.errors import (
    AuthUnavailable,
    Busy,
    EngineError,
    InvalidParams,
    JobNotFound,
    PermissionDenied,
    UserNotFound,
    WorkspaceUnavailable,
    WrongState,
)
from execution_engine.jobs.engine import Engine
from execution_engine.jobs.identity import Admin
from execution_engine.jobs.sharing import MOST_HIDERS, MOST_HISTORY, hide, share, unhide, unshare
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


def test_jobs_of_workspaces_and_batches_are_not_shared_by_name(engine: Engine) -> None:
    with pytest.raises(WrongState, match="shared by the permissions of workspace 7; change them there"):
        share(engine, ALICE, submit(engine, wsid=7), ["bob"])
    batch_id, _ = run_jobs(engine, ALICE, {"jobs": [{"method": METHOD}]})
    with pytest.raises(WrongState, match="is a batch; share those of its jobs"):
        share(engine, ALICE, batch_id, ["bob"])
    with pytest.raises(JobNotFound):
        share(engine, EVE, batch_id, ["bob"])


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


def ended(engine: Engine, name: str = "alice", **params: Any) -> ObjectId:
    job_id, credential = running(engine, name, **params)
    finish(engine, job_id, credential)
    return job_id


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
    batch_id, _ = run_jobs(engine, ALICE, {"jobs": [{"method": METHOD}], "wsid": 7})
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
        batch_id: WrongState,
        unknown: JobNotFound,
    }


def test_while_the_workspace_is_down_own_jobs_are_hidden_all_the_same(engine: Engine, kbase: KBase) -> None:
    own, shared = ended(engine, "bob"), ended(engine, wsid=7)
    kbase.down.add("workspace")
    hidden, errors = hide(engine, BOB, [own, shared])
    assert hidden == [own]
    assert reasons(errors) == {shared: WorkspaceUnavailable}
