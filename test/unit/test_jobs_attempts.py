import datetime as dt
from typing import Any

import pytest
from bson import ObjectId
from store_engine import KBase, begin, claim, finish, hand_out, make_engine, person, record, running, submit

from execution_engine.core import transitions
from execution_engine.core.clock import now
from execution_engine.core.errors import CredentialInvalid, JobNotFound, LogGap, TicketUsed, WrongState
from execution_engine.jobs.attempts import add_lines, credential_check
from execution_engine.jobs.control import cancel
from execution_engine.jobs.engine import Engine
from execution_engine.jobs.work import Heartbeats
from execution_engine.store.log_chunks import Line

ALICE = person("alice")


def lines(*texts: str) -> list[Line]:
    return [Line(text, "stdout", 1_800_000_000_000) for text in texts]


def texts(engine: Engine, job_id: ObjectId) -> list[str]:
    return [line.text for line in engine.logs.read(job_id, 0, 100).lines]


def test_the_ticket_is_exchanged_for_a_credential_and_the_job_runs(engine: Engine) -> None:
    job_id = submit(engine)
    ticket = hand_out(engine, job_id)
    answer = begin(engine, job_id, ticket)
    job = record(engine, job_id)
    assert answer == {
        "credential": answer["credential"],
        "first_line": 0,
        "heartbeat_ms": 5_000,
        "cancel_requested": 0,
    }
    assert (job["status"], job["host"]) == ("running", "node7")
    assert job["running"] >= job["queued"] >= job["created"]
    assert [entry["event"] for entry in job["history"]] == ["created", "claimed", "queued", "started"]
    assert ticket not in str(job)
    assert answer["credential"] not in str(job)


def test_a_runner_that_is_quicker_than_the_dispatchers_note_begins_all_the_same(engine: Engine) -> None:
    job_id = submit(engine)
    _, ticket = claim(engine, job_id)
    begin(engine, job_id, ticket)
    job = record(engine, job_id)
    assert job["status"] == "running"
    assert job["queued"] == job["running"]
    late = transitions.submitted(now(), attempt=1, backend_id="17")
    assert engine.jobs.apply(job_id, late) is None


def test_the_same_runner_may_repeat_the_call_and_another_may_not_begin(engine: Engine) -> None:
    job_id = submit(engine)
    ticket = hand_out(engine, job_id)
    first = begin(engine, job_id, ticket)
    assert begin(engine, job_id, ticket) == first
    with pytest.raises(TicketUsed, match=f"Another runner has started attempt 1 of job {job_id}"):
        begin(engine, job_id, ticket, runner="another-runner-000")


def test_a_wrong_or_foreign_ticket_starts_nothing(engine: Engine) -> None:
    job_id, other = submit(engine), submit(engine)
    hand_out(engine, job_id)
    foreign = hand_out(engine, other)
    for ticket in ("eet_made_up", foreign):
        with pytest.raises(CredentialInvalid, match=r"not that of job .* current attempt \(1\)"):
            begin(engine, job_id, ticket)
    with pytest.raises(JobNotFound):
        begin(engine, ObjectId(), foreign)
    assert record(engine, job_id)["status"] == "queued"


def test_a_released_attempt_can_not_begin_late(engine: Engine) -> None:
    job_id = submit(engine)
    old = hand_out(engine, job_id)
    assert engine.jobs.apply(job_id, transitions.release(now(), attempt=1, note="lost"))
    with pytest.raises(CredentialInvalid):
        begin(engine, job_id, old)
    new = hand_out(engine, job_id)
    with pytest.raises(CredentialInvalid):
        begin(engine, job_id, old)
    with pytest.raises(CredentialInvalid):
        begin(engine, job_id, old, attempt=2)
    begin(engine, job_id, new, attempt=2)


def test_a_later_attempt_continues_the_log_behind_a_marker_that_is_written_once(engine: Engine) -> None:
    job_id, credential = running(engine)
    add_lines(engine, credential, job_id, 1, 0, lines("of the first"))
    assert engine.jobs.apply(job_id, transitions.lose(now(), attempt=1, note="preempted", losses=1))
    ticket = hand_out(engine, job_id)
    for _ in range(2):
        assert begin(engine, job_id, ticket, attempt=2)["first_line"] == 2
    assert texts(engine, job_id) == ["of the first", "--- attempt 2 begins; attempt 1 was lost ---"]


def test_a_log_says_nothing_of_attempts_that_never_began(engine: Engine) -> None:
    job_id = submit(engine)
    hand_out(engine, job_id)
    assert engine.jobs.apply(job_id, transitions.release(now(), attempt=1, note="lost"))
    assert begin(engine, job_id, hand_out(engine, job_id), attempt=2)["first_line"] == 0
    assert texts(engine, job_id) == []


def test_the_runner_of_a_lost_attempt_is_turned_away(engine: Engine) -> None:
    job_id, credential = running(engine)
    assert engine.jobs.apply(job_id, transitions.lose(now(), attempt=1, note="preempted", losses=1))
    with pytest.raises(CredentialInvalid):
        add_lines(engine, credential, job_id, 1, 0, lines("late"))
    with pytest.raises(CredentialInvalid):
        Heartbeats(engine).heartbeat(credential, {"job_id": str(job_id), "attempt": 1})
    with pytest.raises(CredentialInvalid):
        finish(engine, job_id, credential)
    begin(engine, job_id, hand_out(engine, job_id), attempt=2)
    with pytest.raises(CredentialInvalid):
        finish(engine, job_id, credential)
    assert record(engine, job_id)["status"] == "running"


def test_a_job_that_has_ended_is_not_started_again(engine: Engine) -> None:
    job_id = submit(engine)
    ticket = hand_out(engine, job_id)
    credential = begin(engine, job_id, ticket)["credential"]
    finish(engine, job_id, credential)
    with pytest.raises(WrongState, match=r"has ended \(completed\)") as caught:
        begin(engine, job_id, ticket)
    assert caught.value.data == {"status": "completed"}


def test_a_job_that_is_to_stop_says_so_at_its_start(engine: Engine) -> None:
    job_id = submit(engine)
    ticket = hand_out(engine, job_id)
    cancel(engine, ALICE, job_id, None)
    assert begin(engine, job_id, ticket)["cancel_requested"] == 1


def test_lines_are_appended_by_number(engine: Engine) -> None:
    job_id, credential = running(engine)
    assert add_lines(engine, credential, job_id, 1, 0, lines("a", "b")) == (2, False)
    assert add_lines(engine, credential, job_id, 1, 0, lines("a", "b")) == (2, False)
    assert add_lines(engine, credential, job_id, 1, 1, lines("b", "c")) == (3, False)
    assert add_lines(engine, credential, job_id, 1, 3, []) == (3, False)
    with pytest.raises(LogGap) as caught:
        add_lines(engine, credential, job_id, 1, 5, lines("f"))
    assert caught.value.data == {"next_line": 3}
    assert texts(engine, job_id) == ["a", "b", "c"]


def test_lines_without_a_number_go_to_the_end(engine: Engine) -> None:
    job_id, credential = running(engine)
    assert add_lines(engine, credential, job_id, 1, None, lines("a")) == (1, False)
    assert add_lines(engine, credential, job_id, 1, None, lines("a", "b")) == (3, False)
    assert texts(engine, job_id) == ["a", "a", "b"]


@pytest.mark.parametrize("first_line", [None, 0])
def test_only_the_attempts_own_credential_writes(engine: Engine, first_line: int | None) -> None:
    job_id, credential = running(engine)
    other, _ = running(engine)
    for secret, job, attempt in (("eec_made_up", job_id, 1), (credential, other, 1), (credential, job_id, 2)):
        with pytest.raises(CredentialInvalid, match=f"not that of job {job}'s current attempt"):
            add_lines(engine, secret, job, attempt, first_line, lines("a"))
    with pytest.raises(CredentialInvalid):
        add_lines(engine, credential, ObjectId(), 1, first_line, lines("a"))
    assert texts(engine, job_id) == texts(engine, other) == []


def test_the_answer_to_lines_brings_the_order_to_stop(engine: Engine) -> None:
    job_id, credential = running(engine)
    cancel(engine, ALICE, job_id, "no longer needed")
    assert add_lines(engine, credential, job_id, 1, 0, lines("a")) == (1, True)
    assert add_lines(engine, credential, job_id, 1, None, lines("b")) == (2, True)


def test_late_lines_are_taken_for_a_while_after_the_end(mock_database: Any, kbase: KBase) -> None:
    engine = make_engine(mock_database, kbase, credential_grace_seconds=60.0)
    job_id, credential = running(engine)
    finish(engine, job_id, credential)
    assert add_lines(engine, credential, job_id, 1, 0, lines("late")) == (1, False)
    ended = now() - dt.timedelta(seconds=61)
    engine.database.jobs.update_one({"_id": job_id}, {"$set": {"finished": ended}})
    with pytest.raises(CredentialInvalid, match=f"ended {ended:%Y-%m-%d %H:%M} UTC; its credential has expired"):
        add_lines(engine, credential, job_id, 1, 1, lines("too late"))
    with pytest.raises(CredentialInvalid):
        credential_check(engine, credential, job_id, 1)()
