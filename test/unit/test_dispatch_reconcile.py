import datetime as dt
from typing import Any

import pytest
from bson import ObjectId
from store_dispatch import Clock, FreePost, ToldBackend
from store_engine import begin, claim, finish, hand_out, person, record, running, submit

from execution_engine.backends.base import Found, QueueEntry, Sighting, SightingState, Unknown
from execution_engine.core import transitions
from execution_engine.core.causes import CAUSES
from execution_engine.core.clock import now
from execution_engine.dispatch import reconcile
from execution_engine.dispatch.desk import Desk
from execution_engine.dispatch.reconcile import Reconciler
from execution_engine.dispatch.stopping import LIMIT_MARGIN
from execution_engine.dispatch.unreported import PATIENCE
from execution_engine.jobs.control import cancel
from execution_engine.jobs.engine import Engine

ALICE = person("alice")
SUBMIT_SECONDS = 30.0
HELD_SECONDS = 600.0
TRIES = 2
GONE = Sighting(SightingState.GONE)


@pytest.fixture
def backend() -> ToldBackend:
    return ToldBackend()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def reconciler(engine: Engine, backend: ToldBackend, clock: Clock) -> Reconciler:
    post: Any = FreePost(engine.jobs)
    return Reconciler(post, {"local": Desk(backend, engine.backends, clock)}, SUBMIT_SECONDS, HELD_SECONDS, TRIES)


def tag(job_id: ObjectId, attempt: int = 1) -> str:
    return f"ee.{job_id}.{attempt}"


def queued(engine: Engine) -> ObjectId:
    job_id = submit(engine)
    hand_out(engine, job_id)
    return job_id


def status(engine: Engine, job_id: ObjectId) -> tuple[str, str | None]:
    job = record(engine, job_id)
    return job["status"], job.get("cause", {}).get("code")


def test_jobs_that_wait_or_run_are_left_alone(reconciler: Reconciler, backend: ToldBackend, engine: Engine) -> None:
    waiting, (at_work, _) = queued(engine), running(engine)
    backend.sightings[tag(at_work)] = Sighting(SightingState.RUNNING)
    before = [record(engine, waiting), record(engine, at_work)]
    reconciler.run()
    assert [record(engine, waiting), record(engine, at_work)] == before
    assert backend.calls == ["poll"]


def test_a_backend_is_asked_also_when_it_has_nothing(reconciler: Reconciler, backend: ToldBackend) -> None:
    reconciler.run()
    assert backend.calls == ["poll"]


@pytest.mark.parametrize(
    ("sighting", "code", "message"),
    [
        (GONE, "runner_lost", "The job's process on the worker was killed or died."),
        (
            Sighting(SightingState.GONE, signal=9),
            "runner_lost",
            "The job's runner was killed (signal 9).",
        ),
        (
            Sighting(SightingState.GONE, exit_code=3),
            "runner_lost",
            "The job's runner died (exit code 3) without reporting the job's end.",
        ),
        (
            Sighting(SightingState.GONE, reason="out_of_memory", signal=9),
            "out_of_memory",
            "The job used more memory than it had asked for.",
        ),
        (
            Sighting(SightingState.GONE, reason="a code of the future"),
            "runner_lost",
            "The job's process on the worker was killed or died.",
        ),
    ],
)
def test_a_running_job_whose_runner_is_gone_fails_and_says_why(
    reconciler: Reconciler, backend: ToldBackend, engine: Engine, sighting: Sighting, code: str, message: str
) -> None:
    job_id, _ = running(engine)
    backend.sightings[tag(job_id)] = sighting
    reconciler.run()
    cause = record(engine, job_id)["cause"]
    assert status(engine, job_id) == ("error", code)
    assert cause["message"] == message
    assert cause.get("exit_code") == (sighting.exit_code if code == "runner_lost" else None)


def test_what_the_backend_knows_stands_in_the_cause(
    reconciler: Reconciler, backend: ToldBackend, engine: Engine
) -> None:
    job_id, _ = running(engine)
    backend.sightings[tag(job_id)] = Sighting(SightingState.GONE, reason="out_of_memory", detail="used 9 GB of 8")
    reconciler.run()
    assert record(engine, job_id)["cause"]["detail"] == "used 9 GB of 8"


def test_a_job_that_finished_while_the_backend_was_asked_stays_finished(
    reconciler: Reconciler, backend: ToldBackend, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id, credential = running(engine)

    def gone_after_its_report(ids: Any) -> dict[str, Sighting]:
        finish(engine, job_id, credential)
        return dict.fromkeys(ids, GONE)

    monkeypatch.setattr(backend, "poll", gone_after_its_report)
    reconciler.run()
    assert status(engine, job_id) == ("completed", None)


def test_an_attempt_that_was_lost_before_it_began_is_replaced(
    reconciler: Reconciler, backend: ToldBackend, engine: Engine
) -> None:
    job_id = queued(engine)
    backend.sightings[tag(job_id)] = GONE
    reconciler.run()
    job = record(engine, job_id)
    assert (job["status"], job["claimed"]) == ("created", False)
    assert job["history"][-1]["note"] == "the backend lost the attempt before it began"
    ticket = hand_out(engine, job_id)
    assert begin(engine, job_id, ticket, attempt=2)


def test_an_attempt_is_not_replaced_for_ever(reconciler: Reconciler, backend: ToldBackend, engine: Engine) -> None:
    job_id = queued(engine)
    backend.sightings[tag(job_id)] = Sighting(SightingState.GONE, detail="no such job")
    reconciler.run()
    assert record(engine, job_id)["history"][-1]["note"] == "no such job"
    hand_out(engine, job_id)
    backend.sightings[tag(job_id, 2)] = GONE
    reconciler.run()
    assert status(engine, job_id) == ("error", "start_failed")


def test_an_order_to_cancel_is_passed_on_until_the_end_is_confirmed(
    reconciler: Reconciler, backend: ToldBackend, engine: Engine
) -> None:
    waiting, (at_work, _), other = queued(engine), running(engine), queued(engine)
    for job_id in (waiting, at_work):
        cancel(engine, ALICE, job_id, None)
    reconciler.run()
    reconciler.run()
    assert backend.cancelled == [tag(waiting), tag(at_work)] * 2
    assert status(engine, waiting) == ("queued", None)
    backend.sightings |= {tag(waiting): GONE, tag(at_work): GONE}
    reconciler.run()
    assert status(engine, waiting) == ("terminated", "cancelled_before_start")
    assert status(engine, at_work) == ("terminated", "cancelled")
    assert status(engine, other) == ("queued", None)


def test_what_holds_a_queued_job_is_noted(reconciler: Reconciler, backend: ToldBackend, engine: Engine) -> None:
    job_id = queued(engine)
    for state in (SightingState.WAITING, SightingState.HELD):
        backend.sightings[tag(job_id)] = Sighting(state, reason="Waits for 2 CPUs.")
        reconciler.run()
        assert record(engine, job_id)["hold"] == {"code": f"backend_{state}", "message": "Waits for 2 CPUs."}
    backend.sightings[tag(job_id)] = Sighting(SightingState.UNKNOWN, reason="Its folder can't be looked at.")
    reconciler.run()
    assert "hold" not in record(engine, job_id)


def test_a_backend_that_does_not_answer_settles_nothing(
    reconciler: Reconciler, backend: ToldBackend, engine: Engine
) -> None:
    job_id, _ = running(engine)
    cancel(engine, ALICE, job_id, None)
    backend.down = "no connection"
    backend.sightings[tag(job_id)] = GONE
    reconciler.run()
    assert status(engine, job_id) == ("running", None)


def open_claim(engine: Engine, seconds_ago: float = 0.0) -> ObjectId:
    """Claimed, and then the dispatcher died, or the backend did not answer."""
    job_id = submit(engine)
    claim(engine, job_id)
    at = now() - dt.timedelta(seconds=seconds_ago)
    engine.database.jobs.update_one({"_id": job_id}, {"$set": {"attempt.claimed_at": at}})
    return job_id


def test_an_open_claim_that_the_backend_knows_is_adopted(
    reconciler: Reconciler, backend: ToldBackend, engine: Engine
) -> None:
    job_id = open_claim(engine)
    backend.answers[tag(job_id)] = Found("17")
    reconciler.run()
    assert (record(engine, job_id)["status"], record(engine, job_id)["backend_id"]) == ("queued", "17")


def test_an_open_claim_whose_runner_has_begun_gets_its_id(
    reconciler: Reconciler, backend: ToldBackend, engine: Engine
) -> None:
    job_id = submit(engine)
    begin(engine, job_id, claim(engine, job_id)[1])
    backend.answers[tag(job_id)] = Found("17")
    reconciler.run()
    assert (record(engine, job_id)["status"], record(engine, job_id)["backend_id"]) == ("running", "17")


def test_that_a_backend_knows_nothing_counts_only_after_a_while(reconciler: Reconciler, engine: Engine) -> None:
    young, old = open_claim(engine, 30.5), open_claim(engine, 31.5)
    reconciler.run()
    assert record(engine, young)["claimed"] is True
    assert (record(engine, old)["claimed"], record(engine, old)["status"]) == (False, "created")


def test_an_outage_during_the_submission_never_fails_a_job(reconciler: Reconciler, engine: Engine) -> None:
    job_id = open_claim(engine, 3_600)
    for _ in range(2 * TRIES):
        reconciler.run()
        assert record(engine, job_id)["history"][-1]["note"] == "the attempt never reached the backend"
        claim(engine, job_id)
        at = now() - dt.timedelta(hours=1)
        engine.database.jobs.update_one({"_id": job_id}, {"$set": {"attempt.claimed_at": at}})
    assert status(engine, job_id) == ("created", None)


def test_that_a_backend_can_not_say_counts_for_nothing(
    reconciler: Reconciler, backend: ToldBackend, engine: Engine
) -> None:
    job_id = open_claim(engine, 3_600)
    backend.answers[tag(job_id)] = Unknown("the accounting is down")
    reconciler.run()
    assert record(engine, job_id)["claimed"] is True
    backend.down = "no connection"
    reconciler.run()
    assert record(engine, job_id)["claimed"] is True


def test_an_open_claim_that_was_cancelled_ends(reconciler: Reconciler, engine: Engine) -> None:
    job_id = open_claim(engine, 3_600)
    cancel(engine, ALICE, job_id, None)
    reconciler.run()
    assert status(engine, job_id) == ("terminated", "cancelled_before_start")


def test_a_job_that_began_and_that_the_backend_never_heard_of_is_lost(reconciler: Reconciler, engine: Engine) -> None:
    job_id = submit(engine)
    begin(engine, job_id, claim(engine, job_id)[1])
    at = now() - dt.timedelta(hours=1)
    engine.database.jobs.update_one({"_id": job_id}, {"$set": {"attempt.claimed_at": at}})
    reconciler.run()
    assert status(engine, job_id) == ("error", "runner_lost")


def held(name: str, entry_tag: str | None = None) -> QueueEntry:
    return QueueEntry(name, entry_tag or name, "local", SightingState.RUNNING)


def test_what_the_records_do_not_know_as_current_is_cancelled(
    reconciler: Reconciler, backend: ToldBackend, engine: Engine
) -> None:
    current, (done, credential), replaced = queued(engine), running(engine), queued(engine)
    finish(engine, done, credential)
    assert engine.jobs.apply(replaced, transitions.release(now(), attempt=1, note="lost"))
    hand_out(engine, replaced)
    unknown = tag(ObjectId())
    names = [tag(current), tag(done), tag(replaced), tag(replaced, 2), unknown]
    backend.listed = [held(name) for name in names]
    reconciler.end_orphans()
    assert sorted(backend.cancelled) == sorted([tag(done), tag(replaced), unknown])


def test_what_is_not_ours_is_left_alone(reconciler: Reconciler, backend: ToldBackend) -> None:
    backend.listed = [held("4711", "bash"), QueueEntry("4712", None, None, SightingState.RUNNING)]
    reconciler.end_orphans()
    assert backend.cancelled == []


def test_an_empty_or_silent_backend_has_no_orphans(reconciler: Reconciler, backend: ToldBackend) -> None:
    reconciler.end_orphans()
    backend.down = "no connection"
    reconciler.end_orphans()
    assert backend.calls == ["queue", "queue"]


def lost_to(code: str) -> Sighting:
    return Sighting(SightingState.GONE, reason=code, detail="node7 does not answer")


BEFORE_START = ("never_started", "backend_lost")


@pytest.mark.parametrize("code", BEFORE_START)
def test_that_a_begun_attempt_never_began_is_not_believed(
    reconciler: Reconciler, backend: ToldBackend, engine: Engine, code: str
) -> None:
    job_id, _ = running(engine)
    backend.sightings[tag(job_id)] = lost_to(code)
    reconciler.run()
    assert status(engine, job_id) == ("error", "runner_lost")


@pytest.mark.parametrize("code", [it for it, row in CAUSES.items() if row.engine_may_retry and it not in BEFORE_START])
def test_an_attempt_that_was_taken_away_is_made_again_but_not_for_ever(
    reconciler: Reconciler, backend: ToldBackend, engine: Engine, code: str
) -> None:
    job_id, _ = running(engine)
    backend.sightings[tag(job_id)] = lost_to(code)
    reconciler.run()
    job = record(engine, job_id)
    assert (job["status"], job["claimed"], job["losses"]) == ("created", False, 1)
    assert job["history"][-1]["event"] == "lost"
    assert job["history"][-1]["note"] == f"{CAUSES[code].message} It is tried again."
    begin(engine, job_id, hand_out(engine, job_id), attempt=2)
    backend.sightings[tag(job_id, 2)] = lost_to(code)
    reconciler.run()
    assert status(engine, job_id) == ("error", code)
    assert record(engine, job_id)["cause"]["detail"] == "node7 does not answer"


def test_attempts_lost_before_and_after_their_start_count_together(
    reconciler: Reconciler, backend: ToldBackend, engine: Engine
) -> None:
    job_id = queued(engine)
    backend.sightings[tag(job_id)] = GONE
    reconciler.run()
    begin(engine, job_id, hand_out(engine, job_id), attempt=2)
    backend.sightings[tag(job_id, 2)] = lost_to("node_died")
    reconciler.run()
    assert status(engine, job_id) == ("error", "node_died")


def test_a_job_that_is_to_stop_is_never_tried_again(
    reconciler: Reconciler, backend: ToldBackend, engine: Engine
) -> None:
    job_id, _ = running(engine)
    cancel(engine, ALICE, job_id, None)
    backend.sightings[tag(job_id)] = lost_to("node_died")
    reconciler.run()
    assert status(engine, job_id) == ("terminated", "cancelled")


def test_what_somebody_removed_before_it_began_is_not_tried_again(
    reconciler: Reconciler, backend: ToldBackend, engine: Engine
) -> None:
    job_id = queued(engine)
    backend.sightings[tag(job_id)] = Sighting(SightingState.GONE, reason="removed", detail="by root")
    reconciler.run()
    assert status(engine, job_id) == ("error", "removed")


def stopped_by_its_system(engine: Engine) -> ObjectId:
    job_id, credential = running(engine)
    finish(engine, job_id, credential, "error", cause={"code": "runner_stopped", "message": "Told to stop."})
    return job_id


@pytest.mark.parametrize(
    ("gone", "end"),
    [
        (GONE, ("error", "runner_stopped")),
        (Sighting(SightingState.GONE, exit_code=0), ("error", "runner_stopped")),
        (lost_to("time_limit"), ("error", "time_limit")),
        (lost_to("preempted"), ("created", None)),
    ],
)
def test_why_a_runner_was_told_to_stop_is_what_its_backend_says(
    reconciler: Reconciler, backend: ToldBackend, engine: Engine, gone: Sighting, end: tuple[str, str | None]
) -> None:
    job_id = stopped_by_its_system(engine)
    reconciler.run()
    assert status(engine, job_id) == ("running", None)
    backend.sightings[tag(job_id)] = gone
    reconciler.run()
    assert status(engine, job_id) == end


def test_the_report_of_a_runner_that_ended_well_is_waited_for(
    reconciler: Reconciler, backend: ToldBackend, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    (late, credential), (never, _) = running(engine), running(engine)
    for job_id in (late, never):
        backend.sightings[tag(job_id)] = Sighting(SightingState.GONE, exit_code=0)
    reconciler.run()
    assert status(engine, never) == ("running", None)
    finish(engine, late, credential)
    monkeypatch.setattr(reconcile, "now", lambda: now() + PATIENCE)
    reconciler.run()
    assert status(engine, late) == ("completed", None)
    assert status(engine, never) == ("error", "report_lost")


def set_attempt(engine: Engine, job_id: ObjectId, **fields: Any) -> None:
    engine.database.jobs.update_one({"_id": job_id}, {"$set": {f"attempt.{name}": it for name, it in fields.items()}})


@pytest.mark.parametrize("state", [SightingState.RUNNING, SightingState.UNKNOWN])
def test_a_job_over_its_time_is_ended(
    reconciler: Reconciler, backend: ToldBackend, engine: Engine, state: SightingState
) -> None:
    (over, _), (within, _), (unlimited, _), waiting = running(engine), running(engine), running(engine), queued(engine)
    limits = {over: 10, within: 60, waiting: 10}
    for job_id, seconds in limits.items():
        set_attempt(engine, job_id, time_limit_s=seconds)
    at = now() - LIMIT_MARGIN - dt.timedelta(seconds=11)
    engine.database.jobs.update_many({"running": {"$exists": True}}, {"$set": {"running": at}})
    for job_id in (over, within, unlimited):
        backend.sightings[tag(job_id)] = Sighting(state)
    reconciler.run()
    reconciler.run()
    reconciler.run()
    assert backend.cancelled == [tag(over)] * 2
    assert status(engine, over) == ("running", None)
    backend.sightings[tag(over)] = Sighting(SightingState.GONE, signal=15)
    reconciler.run()
    assert status(engine, over) == ("error", "time_limit")
    assert record(engine, over)["cause"]["message"] == "The job ran longer than it may (10 s)."
    assert [entry["event"] for entry in record(engine, over)["history"]].count("stopping") == 1


def test_a_job_over_its_time_whose_report_is_quicker_has_its_result(reconciler: Reconciler, engine: Engine) -> None:
    job_id, credential = running(engine)
    set_attempt(engine, job_id, time_limit_s=10)
    at = now() - LIMIT_MARGIN - dt.timedelta(seconds=11)
    engine.database.jobs.update_one({"_id": job_id}, {"$set": {"running": at}})
    reconciler.run()
    assert "stop_cause" in record(engine, job_id)["attempt"]
    assert finish(engine, job_id, credential)["status"] == "completed"
    reconciler.run()
    assert status(engine, job_id) == ("completed", None)


HELD = Sighting(SightingState.HELD, reason="Its folder is missing.")


def held_for(engine: Engine, job_id: ObjectId, seconds: float) -> None:
    set_attempt(engine, job_id, held_since=now() - dt.timedelta(seconds=seconds))


def test_a_held_job_is_shown_and_then_given_up(reconciler: Reconciler, backend: ToldBackend, engine: Engine) -> None:
    (begun, _), waiting = running(engine), queued(engine)
    for job_id in (begun, waiting):
        backend.sightings[tag(job_id)] = HELD
    reconciler.run()
    for job_id in (begun, waiting):
        assert record(engine, job_id)["hold"] == {"code": "backend_held", "message": HELD.reason}
        held_for(engine, job_id, HELD_SECONDS - 10)
    reconciler.run()
    assert "stop_cause" not in record(engine, begun)["attempt"]
    for job_id in (begun, waiting):
        held_for(engine, job_id, HELD_SECONDS + 1)
    reconciler.run()
    reconciler.run()
    assert sorted(backend.cancelled) == sorted([tag(begun), tag(waiting)])
    backend.sightings |= {tag(begun): GONE, tag(waiting): GONE}
    reconciler.run()
    assert status(engine, begun) == ("error", "held")
    assert record(engine, begun)["cause"]["message"] == HELD.reason
    assert status(engine, waiting) == ("created", None)
    assert record(engine, waiting)["history"][-1]["note"] == HELD.reason


def test_a_hold_that_somebody_ends_is_forgotten(reconciler: Reconciler, backend: ToldBackend, engine: Engine) -> None:
    job_id = queued(engine)
    backend.sightings[tag(job_id)] = HELD
    reconciler.run()
    held_for(engine, job_id, HELD_SECONDS - 10)
    backend.sightings[tag(job_id)] = Sighting(SightingState.WAITING)
    reconciler.run()
    job = record(engine, job_id)
    assert "hold" not in job
    assert "held_since" not in job["attempt"]


def test_a_begun_job_that_is_held_for_what_it_did_waits_for_nobody(
    reconciler: Reconciler, backend: ToldBackend, engine: Engine
) -> None:
    (begun, _), waiting = running(engine), queued(engine)
    for job_id in (begun, waiting):
        backend.sightings[tag(job_id)] = Sighting(SightingState.HELD, reason="9 GB of 8 used", cause="out_of_memory")
    reconciler.run()
    reconciler.run()
    assert backend.cancelled == [tag(begun)]
    backend.sightings[tag(begun)] = GONE
    reconciler.run()
    assert status(engine, begun) == ("error", "out_of_memory")
    assert record(engine, begun)["cause"]["detail"] == "9 GB of 8 used"


@pytest.fixture
def homeless(engine: Engine) -> tuple[ObjectId, ObjectId]:
    """A job that waits, and one that runs, with a backend that is no longer configured."""
    waiting, at_work = submit(engine), submit(engine)
    hand_out(engine, waiting, "old-cluster")
    begin(engine, at_work, hand_out(engine, at_work, "old-cluster"))
    return waiting, at_work


def test_jobs_of_a_removed_backend_say_so(
    reconciler: Reconciler, engine: Engine, homeless: tuple[ObjectId, ObjectId]
) -> None:
    reconciler.run()
    before = [record(engine, job_id) for job_id in homeless]
    for job in before:
        assert job["hold"]["code"] == "backend_removed"
        assert "old-cluster" in job["hold"]["message"]
    reconciler.run()
    assert [record(engine, job_id) for job_id in homeless] == before


def test_of_a_removed_backend_only_what_never_began_can_be_cancelled(
    reconciler: Reconciler, engine: Engine, homeless: tuple[ObjectId, ObjectId]
) -> None:
    for job_id in homeless:
        cancel(engine, ALICE, job_id, None)
    reconciler.run()
    waiting, at_work = homeless
    assert status(engine, waiting) == ("terminated", "cancelled_before_start")
    assert status(engine, at_work) == ("running", None)


def test_a_released_attempt_that_turns_up_before_the_next_is_an_orphan(
    reconciler: Reconciler, backend: ToldBackend, engine: Engine
) -> None:
    job_id = queued(engine)
    assert engine.jobs.apply(job_id, transitions.release(now(), attempt=1, note="lost"))
    backend.listed = [held(tag(job_id))]
    reconciler.end_orphans()
    assert backend.cancelled == [tag(job_id)]
