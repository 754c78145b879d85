import datetime as dt
from typing import Any

import pytest
from bson import ObjectId
from store_dispatch import Clock, FreePost, ToldBackend
from store_engine import begin, claim, finish, hand_out, person, record, running, submit

from execution_engine.backends.base import Found, QueueEntry, Sighting, SightingState, Unknown
from execution_engine.core import transitions
from execution_engine.core.clock import now
from execution_engine.dispatch.desk import Desk
from execution_engine.dispatch.reconcile import Reconciler
from execution_engine.jobs.control import cancel
from execution_engine.jobs.engine import Engine

ALICE = person("alice")
SUBMIT_SECONDS = 30.0
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
    return Reconciler(post, {"local": Desk(backend, engine.backends, clock)}, SUBMIT_SECONDS, TRIES)


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
            Sighting(SightingState.GONE, reason="machine_rebooted"),
            "machine_rebooted",
            "The machine that ran the job was restarted.",
        ),
        (
            Sighting(SightingState.GONE, reason="a code of the future", exit_code=0),
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
