from collections.abc import Callable
from typing import Any

import pytest
from bson import ObjectId

from execution_engine.core import transitions
from execution_engine.core.causes import describe
from execution_engine.core.clock import from_ms
from execution_engine.core.states import ACTIVE, FINAL, FOLLOWS, NOT_STARTED, Status
from execution_engine.core.transitions import Transition

AT = from_ms(1_800_000_000_000)
JOB = ObjectId()
CAUSE = describe("runner_lost")


def claimed() -> Transition:
    return transitions.claim(AT, attempt=2, tag="ee.x.2", ticket_hash="t", claim_id="c", backend="local")


def started(host: str | None = None) -> Transition:
    return transitions.start(AT, attempt=2, ticket_hash="t", runner="r", credential_hash="c", host=host)


def finished(to: Status) -> Transition:
    return transitions.finish(AT, attempt=2, credential_hash="c", to=to, digest="d", result={"reports": ["1/2/3"]})


def cancelled(reason: str | None = "wrong input") -> Transition:
    return transitions.cancel_waiting(AT, by="alice", reason=reason, cause=describe("cancelled_before_start"))


ALL: dict[str, Transition] = {
    "claimed": claimed(),
    "submitted": transitions.submitted(AT, attempt=2, backend_id="17"),
    "released": transitions.release(AT, attempt=2, note="lost"),
    "started": started(),
    "completed": finished(Status.COMPLETED),
    "failed": finished(Status.ERROR),
    "stopped": finished(Status.TERMINATED),
    "lost": transitions.lose(AT, attempt=2, note="preempted", losses=1),
    "interrupted": transitions.interrupted(AT, attempt=2, credential_hash="c", digest="d", cause=CAUSE),
    "to be stopped": transitions.stop(AT, attempt=2, cause=CAUSE),
    "settled": transitions.settle(AT, attempt=2, to=Status.ERROR, cause=CAUSE),
    "cancelled": cancelled(),
    "asked to stop": transitions.request_cancel(AT, by="alice", reason=None),
}


@pytest.mark.parametrize("transition", ALL.values(), ids=ALL)
@pytest.mark.parametrize("before", Status)
def test_no_transition_leads_where_its_state_may_not_go(transition: Transition, before: Status) -> None:
    after = transition.to or before
    if before in transition.leaves:
        assert after == before or after in FOLLOWS[before]
    else:
        assert before not in admitted_states(transition)


def admitted_states(transition: Transition) -> list[Status]:
    """What the update's own filter lets through."""
    condition = transition.condition(JOB)["status"]
    return list(condition["$in"]) if isinstance(condition, dict) else [condition]


@pytest.mark.parametrize("transition", ALL.values(), ids=ALL)
def test_every_transition_names_its_job_and_leaves_only_active_states(transition: Transition) -> None:
    assert transition.condition(JOB)["_id"] == JOB
    assert admitted_states(transition) == list(transition.leaves)
    assert not FINAL.intersection(transition.leaves)


@pytest.mark.parametrize("transition", ALL.values(), ids=ALL)
def test_every_transition_is_one_line_of_history_by_its_actor(transition: Transition) -> None:
    change = transition.change()
    entry = change["$push"]["history"]
    assert entry["at"] == AT
    assert entry["actor"] in ("engine", "runner", "alice")
    assert None not in entry.values()
    assert change["$set"]["updated"] == AT
    assert entry.get("status") == transition.to


@pytest.mark.parametrize("transition", ALL.values(), ids=ALL)
def test_status_and_the_mark_of_active_jobs_change_together(transition: Transition) -> None:
    put = transition.change()["$set"]
    if transition.to is None:
        assert not {"status", "active", "finished"} & put.keys()
    else:
        assert put["status"] == transition.to
        assert put["active"] == (transition.to in ACTIVE)
        assert ("finished" in put) == (transition.to in FINAL)


@pytest.mark.parametrize("transition", [t for t in ALL.values() if t.to in FINAL])
def test_an_ended_job_holds_no_place_and_is_marked_for_what_is_left_to_do(transition: Transition) -> None:
    put = transition.change()["$set"]
    assert put["finished"] == AT
    assert put["claimed"] is False
    assert put["cleanup"] is True


def test_a_claim_takes_only_the_next_attempt_of_a_job_that_nobody_has_or_wants_to_stop() -> None:
    where = claimed().where
    assert where == {"claimed": False, "attempt.n": 1, "cancel_requested": None}
    change = claimed().change()
    assert change["$set"]["attempt"] == {"n": 2, "tag": "ee.x.2", "ticket": "t", "claim": "c", "claimed_at": AT}
    assert change["$unset"].keys() == {"backend_id", "host", "given_back"}


def test_the_time_of_being_queued_stays_that_of_the_first_report() -> None:
    # The runner may be quicker than the dispatcher's note that the backend took the job.
    assert ALL["submitted"].change()["$min"] == {"queued": AT}
    assert started().change()["$min"] == {"queued": AT}
    assert "queued" not in started().change()["$set"]


def test_a_released_attempt_can_no_longer_be_started_and_leaves_no_trace_of_its_backend() -> None:
    released = ALL["released"]
    assert released.where == {"attempt.n": 2, "claimed": True, "attempt.runner": None, "cancel_requested": None}
    assert released.change()["$unset"].keys() == {"attempt.ticket", "backend_id", "queued", "hold"}
    assert released.change()["$set"]["claimed"] is False


def test_a_lost_attempt_can_write_nothing_more_and_its_job_looks_as_if_it_had_not_begun() -> None:
    lost = ALL["lost"]
    assert lost.leaves == (Status.RUNNING,)
    assert lost.where == {"attempt.n": 2, "claimed": True, "cancel_requested": None}
    gone = lost.change()["$unset"].keys()
    assert {"attempt.ticket", "attempt.runner", "attempt.credential", "attempt.finish"} < gone
    assert {"attempt.interrupted", "attempt.stop_cause", "running", "queued", "host", "backend_id", "hold"} < gone
    put = lost.change()["$set"]
    assert (put["claimed"], put["losses"], put["active"]) == (False, 1, True)
    assert lost.change()["$push"]["history"]["note"] == "preempted"


def test_a_report_of_being_stopped_stands_instead_of_a_finish_and_ends_nothing() -> None:
    interrupted = ALL["interrupted"]
    assert interrupted.where == {"attempt.n": 2, "attempt.credential": "c", "attempt.finish": None}
    put = interrupted.change()["$set"]
    assert (put["attempt.finish"], put["attempt.interrupted"]) == ("d", CAUSE)
    assert "status" not in put


def test_the_first_reason_to_stop_an_attempt_stands_and_a_persons_wish_comes_before_it() -> None:
    where = ALL["to be stopped"].where
    assert where == {"attempt.n": 2, "claimed": True, "attempt.stop_cause": None, "cancel_requested": None}
    assert ALL["to be stopped"].change()["$set"]["attempt.stop_cause"] == CAUSE


def test_only_the_ticket_of_the_current_attempt_starts_and_only_once() -> None:
    assert started().leaves == NOT_STARTED
    assert started().where == {"attempt.n": 2, "attempt.ticket": "t", "attempt.runner": None, "claimed": True}
    put = started("node7").change()["$set"]
    assert put["attempt.runner"] == "r"
    assert put["attempt.credential"] == "c"
    assert put["running"] == AT
    assert put["host"] == "node7"
    assert "host" not in started(None).change()["$set"]


def test_only_the_current_credential_finishes_and_termination_needs_a_wish() -> None:
    assert finished(Status.COMPLETED).where == {
        "attempt.n": 2,
        "attempt.credential": "c",
        "attempt.finish": None,
    }
    assert finished(Status.TERMINATED).where["cancel_requested"] == {"$ne": None}
    put = finished(Status.COMPLETED).change()["$set"]
    assert put["attempt.finish"] == "d"
    assert put["reports"] == ["1/2/3"]


def test_a_settlement_says_why_in_the_record_and_in_the_history() -> None:
    settled = transitions.settle(
        AT, attempt=2, to=Status.ERROR, cause=CAUSE, leaves=NOT_STARTED, where={"attempt.runner": None}
    )
    assert settled.condition(JOB) == {
        "_id": JOB,
        "status": {"$in": list(NOT_STARTED)},
        "attempt.n": 2,
        "attempt.runner": None,
    }
    change = settled.change()
    assert change["$set"]["cause"] == CAUSE
    assert change["$push"]["history"]["note"] == CAUSE["message"]


@pytest.mark.parametrize("make", [cancelled, lambda reason: transitions.request_cancel(AT, by="alice", reason=reason)])
def test_a_wish_to_cancel_says_whose_it_is(make: Callable[[str | None], Transition]) -> None:
    wish: dict[str, Any] = {"by": "alice", "at": AT}
    assert make(None).put["cancel_requested"] == wish
    assert make("typo").put["cancel_requested"] == wish | {"reason": "typo"}
    assert make("typo").change()["$push"]["history"]["note"] == "typo"


def test_the_first_wish_to_cancel_stands() -> None:
    assert ALL["asked to stop"].where == {"claimed": True, "cancel_requested": None}
    assert ALL["cancelled"].where == {"claimed": False}
