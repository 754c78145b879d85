import re
from dataclasses import replace
from typing import Any

import pytest
from bson import ObjectId
from store_engine import KBase, finish, make_engine, person, record, running

from execution_engine.core import transitions
from execution_engine.core.causes import CAUSES, describe
from execution_engine.core.clock import now
from execution_engine.core.errors import AlreadyFinished, CredentialInvalid, InvalidParams, WrongState
from execution_engine.core.states import Status
from execution_engine.jobs.control import cancel
from execution_engine.jobs.engine import Engine
from execution_engine.jobs.finish import finish_job
from execution_engine.jobs.lookup import find_job

ALICE = person("alice")


def stored_outputs(engine: Engine, job_id: ObjectId) -> int:
    return engine.database.job_io.count_documents({"_id": {"$regex": f"^{job_id}.out"}})


def test_a_completed_job_has_its_output_and_its_reports(engine: Engine) -> None:
    job_id, credential = running(engine)
    output = [{"report_name": "r", "report_ref": "7/4/1", "n": 2**70}, "text"]
    assert finish(engine, job_id, credential, output=output) == {"status": "completed", "accepted": 1}
    job = record(engine, job_id)
    assert (job["status"], job["active"], job["claimed"], job["cleanup"]) == ("completed", False, False, True)
    assert job["finished"] == job["updated"] >= job["running"]
    assert job["reports"] == ["7/4/1"]
    assert "cause" not in job
    assert job["output"]["bytes"] == 76
    assert engine.payloads.get(job["output"]["key"]) == output
    assert job["history"][-1] == {
        "at": job["finished"],
        "event": "completed",
        "actor": "runner",
        "status": "completed",
        "attempt": 1,
    }


def test_an_output_without_reports_names_none(engine: Engine) -> None:
    job_id, credential = running(engine)
    finish(engine, job_id, credential, output=[{"n50": 1}])
    assert "reports" not in record(engine, job_id)


def test_a_method_that_returns_nothing_leaves_no_output(engine: Engine) -> None:
    job_id, credential = running(engine)
    finish(engine, job_id, credential, output=None)
    assert record(engine, job_id)["status"] == "completed"
    assert "output" not in record(engine, job_id)
    assert stored_outputs(engine, job_id) == 0
    assert "output" not in find_job(engine, ALICE, job_id).details


def test_no_output_and_an_output_of_null_are_the_same_report(engine: Engine) -> None:
    job_id, credential = running(engine)
    report = {"job_id": str(job_id), "attempt": 1, "outcome": "completed"}
    first = finish_job(engine, credential, report)
    assert finish_job(engine, credential, report | {"output": None}) == first == {"status": "completed", "accepted": 1}


@pytest.mark.parametrize(
    ("output", "what"), [("x", "a string"), (5, "a number"), ({}, "an object"), (False, "a boolean")]
)
def test_an_output_that_is_no_list_is_refused(engine: Engine, output: Any, what: str) -> None:
    job_id, credential = running(engine)
    expected = f"params.output: expected an array, the values that the method returned, or null; found {what}"
    with pytest.raises(InvalidParams, match=f"^{re.escape(expected)}$"):
        finish(engine, job_id, credential, output=output)
    assert record(engine, job_id)["status"] == "running"
    assert stored_outputs(engine, job_id) == 0


def test_a_failed_job_says_why(engine: Engine) -> None:
    job_id, credential = running(engine)
    cause = {"code": "out_of_memory", "detail": "killed", "exit_code": -9}
    assert finish(engine, job_id, credential, "error", cause=cause) == {"status": "error", "accepted": 1}
    assert record(engine, job_id)["cause"] == describe("out_of_memory", detail="killed", exit_code=-9)
    assert "output" not in record(engine, job_id)


def test_a_failure_without_a_cause_is_the_apps(engine: Engine) -> None:
    job_id, credential = running(engine)
    finish(engine, job_id, credential, "error")
    assert record(engine, job_id)["cause"]["code"] == "app_error"


def test_the_same_report_may_come_again(engine: Engine) -> None:
    job_id, credential = running(engine)
    first = finish(engine, job_id, credential, output=[{"b": 1, "a": 2}])
    before = record(engine, job_id)
    assert finish(engine, job_id, credential, output=[{"a": 2, "b": 1}]) == first
    assert record(engine, job_id) == before
    assert stored_outputs(engine, job_id) == 1


@pytest.mark.parametrize(
    "other",
    [
        {"outcome": "completed", "output": ["another"]},
        {"outcome": "error"},
        {"outcome": "terminated"},
    ],
)
def test_another_report_changes_nothing_and_leaves_nothing(engine: Engine, other: dict[str, Any]) -> None:
    job_id, credential = running(engine)
    finish(engine, job_id, credential)
    before = record(engine, job_id)
    with pytest.raises(AlreadyFinished, match=r"has ended \(completed\), before this report") as caught:
        finish(engine, job_id, credential, **other)
    assert caught.value.data == {"status": "completed"}
    assert record(engine, job_id) == before
    assert stored_outputs(engine, job_id) == 1


def test_a_report_after_the_engine_has_settled_the_job_comes_too_late(engine: Engine) -> None:
    job_id, credential = running(engine)
    lost = transitions.settle(now(), attempt=1, to=Status.ERROR, cause=describe("runner_lost"))
    assert engine.jobs.apply(job_id, lost)
    with pytest.raises(AlreadyFinished):
        finish(engine, job_id, credential)
    assert record(engine, job_id)["cause"]["code"] == "runner_lost"
    assert stored_outputs(engine, job_id) == 0


class SettledAtThatMoment:
    """A job store in which the job ends otherwise just before the report's own write."""

    def __init__(self, jobs: Any, end: transitions.Transition) -> None:
        self._jobs, self._end = jobs, end

    def apply(self, job_id: ObjectId, transition: transitions.Transition) -> Any:
        self._jobs.apply(job_id, self._end)
        return self._jobs.apply(job_id, transition)

    def get(self, job_id: ObjectId) -> Any:
        return self._jobs.get(job_id)


def test_of_a_report_and_a_settlement_at_the_same_moment_one_decides(engine: Engine) -> None:
    job_id, credential = running(engine)
    lost = transitions.settle(now(), attempt=1, to=Status.ERROR, cause=describe("runner_lost"))
    at_that_moment: Any = SettledAtThatMoment(engine.jobs, lost)
    racing = replace(engine, jobs=at_that_moment)
    with pytest.raises(AlreadyFinished):
        finish(racing, job_id, credential)
    assert record(engine, job_id)["status"] == "error"


def test_an_output_that_is_too_large_is_an_error_of_the_job(mock_database: Any, kbase: KBase) -> None:
    engine = make_engine(mock_database, kbase, max_output_bytes=100)
    job_id, credential = running(engine)
    answer = finish(engine, job_id, credential, output=["x" * 97])
    assert answer == {"status": "error", "accepted": 1}
    assert record(engine, job_id)["cause"] == {
        "code": "output_too_large",
        "message": "The app's result has 101 bytes; the engine keeps up to 100.",
        "advice": CAUSES["output_too_large"].advice,
    }
    assert stored_outputs(engine, job_id) == 0
    assert finish(engine, job_id, credential, output=["x" * 97]) == answer


def test_an_output_of_just_the_size_is_kept(mock_database: Any, kbase: KBase) -> None:
    engine = make_engine(mock_database, kbase, max_output_bytes=100)
    job_id, credential = running(engine)
    assert finish(engine, job_id, credential, output=["x" * 96])["status"] == "completed"


def test_a_runner_does_not_terminate_a_job_that_nobody_cancelled(engine: Engine) -> None:
    job_id, credential = running(engine)
    with pytest.raises(WrongState, match="nobody has asked to cancel it"):
        finish(engine, job_id, credential, "terminated")
    assert record(engine, job_id)["status"] == "running"


def test_a_cancelled_job_is_terminated_when_its_runner_confirms(engine: Engine) -> None:
    job_id, credential = running(engine)
    cancel(engine, ALICE, job_id, "no longer needed")
    assert record(engine, job_id)["status"] == "running"
    assert finish(engine, job_id, credential, "terminated") == {"status": "terminated", "accepted": 1}
    assert record(engine, job_id)["cause"]["code"] == "cancelled"
    assert record(engine, job_id)["cancel_requested"]["reason"] == "no longer needed"


def test_a_finish_that_arrives_before_the_cancel_is_carried_out_wins(engine: Engine) -> None:
    job_id, credential = running(engine)
    cancel(engine, ALICE, job_id, None)
    assert finish(engine, job_id, credential)["status"] == "completed"
    assert record(engine, job_id)["cancel_requested"]["by"] == "alice"


def test_only_the_attempts_own_credential_reports(engine: Engine) -> None:
    job_id, credential = running(engine)
    for secret, attempt in (("eec_made_up", 1), (credential, 2)):
        with pytest.raises(CredentialInvalid):
            finish(engine, job_id, secret, attempt=attempt)
    assert stored_outputs(engine, job_id) == 0
    assert record(engine, job_id)["status"] == "running"


STOPPED = {"code": "runner_stopped", "message": "The runner on node7 was told to stop."}


def test_a_runner_that_was_told_to_stop_leaves_the_end_to_its_backend(engine: Engine) -> None:
    job_id, credential = running(engine)
    for _ in range(2):
        assert finish(engine, job_id, credential, "error", cause=STOPPED) == {"status": "running", "accepted": 1}
    job = record(engine, job_id)
    assert (job["status"], job["active"]) == ("running", True)
    assert job["attempt"]["interrupted"]["message"] == STOPPED["message"]
    assert [entry["event"] for entry in job["history"]].count("interrupted") == 1
    with pytest.raises(AlreadyFinished, match="reported before that it was stopped"):
        finish(engine, job_id, credential)
    assert stored_outputs(engine, job_id) == 0
    lost = transitions.settle(now(), attempt=1, to=Status.ERROR, cause=describe("runner_lost"))
    assert engine.jobs.apply(job_id, lost)
    assert finish(engine, job_id, credential, "error", cause=STOPPED) == {"status": "error", "accepted": 1}
