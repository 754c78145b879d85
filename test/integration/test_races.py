import random
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import pytest
from bson import ObjectId
from pymongo.database import Database
from store_engine import METHOD, KBase, begin, claim, finish, hand_out, make_engine, person, record, running, submit

from execution_engine.core import transitions
from execution_engine.core.causes import describe
from execution_engine.core.clock import now
from execution_engine.core.errors import AlreadyFinished, EngineError, TicketUsed
from execution_engine.core.ids import attempt_tag, hash_secret
from execution_engine.core.states import Status
from execution_engine.jobs.attempts import add_lines
from execution_engine.jobs.control import cancel
from execution_engine.jobs.engine import Engine
from execution_engine.jobs.submission import run_jobs
from execution_engine.store.log_chunks import Line

ROUNDS = 50
AT_ONCE = 16
ALICE = person("alice")
NOW = 1_800_000_000_000
T = TypeVar("T")


@pytest.fixture
def engine(real_database: Database[Any]) -> Engine:
    return make_engine(real_database, KBase())


@pytest.fixture
def at_once() -> Iterator[Callable[[Sequence[Callable[[], T]]], list[T | EngineError]]]:
    """Carries out calls at the same moment; what each answers, or the error that it raises."""
    with ThreadPoolExecutor(AT_ONCE) as threads:

        def at_once(calls: Sequence[Callable[[], T]]) -> list[T | EngineError]:
            start = threading.Barrier(len(calls))

            def carry_out(call: Callable[[], T]) -> T | EngineError:
                start.wait(20)
                try:
                    return call()
                except EngineError as error:
                    return error

            return list(threads.map(carry_out, calls))

        yield at_once


def repeat(play: Callable[[int], None], rounds: int = ROUNDS) -> None:
    """One race after the other."""
    for number in range(rounds):
        play(number)


AtOnce = Callable[[Sequence[Callable[[], Any]]], list[Any]]


def ends(engine: Engine, job_id: ObjectId) -> list[str]:
    """The final states that the job's history names."""
    final = {"completed", "error", "terminated"}
    return [entry["status"] for entry in record(engine, job_id)["history"] if entry.get("status") in final]


def test_of_many_runners_one_gets_through(engine: Engine, at_once: AtOnce) -> None:
    def play(_: int) -> None:
        job_id = submit(engine)
        ticket = hand_out(engine, job_id)
        runners = [f"runner-{n:020}" for n in range(AT_ONCE)]
        answers = at_once([lambda r=runner: begin(engine, job_id, ticket, r) for runner in runners])
        let_through = [n for n, answer in enumerate(answers) if isinstance(answer, dict)]
        assert Counter(type(answer) for answer in answers) == {dict: 1, TicketUsed: AT_ONCE - 1}
        job = record(engine, job_id)
        assert job["attempt"]["runner"] == runners[let_through[0]]
        assert job["attempt"]["credential"] == hash_secret(answers[let_through[0]]["credential"])
        assert [entry["event"] for entry in job["history"]].count("started") == 1

    repeat(play)


def test_a_runner_that_repeats_itself_gets_the_same_answer(engine: Engine, at_once: AtOnce) -> None:
    def play(_: int) -> None:
        job_id, _ = running(engine)
        assert engine.jobs.apply(job_id, transitions.lose(now(), attempt=1, note="its machine died", losses=1))
        ticket = hand_out(engine, job_id)
        answers = at_once([lambda: begin(engine, job_id, ticket, attempt=2)] * AT_ONCE)
        assert all(answer == answers[0] for answer in answers)
        assert answers[0]["first_line"] == 1
        assert engine.logs.total(job_id) == 1

    repeat(play)


def test_success_and_failure_at_once_settle_once(engine: Engine, at_once: AtOnce) -> None:
    def play(_: int) -> None:
        job_id, credential = running(engine)
        reports = [
            lambda: finish(engine, job_id, credential, "completed"),
            lambda: finish(engine, job_id, credential, "error"),
        ]
        answers = at_once(reports * 4)
        status = record(engine, job_id)["status"]
        assert ends(engine, job_id) == [status]
        for n, answer in enumerate(answers):
            if status == ("completed", "error")[n % 2]:
                assert answer == {"status": status, "accepted": 1}, "a repetition is told the same"
            else:
                assert isinstance(answer, AlreadyFinished)
        assert ("output" in record(engine, job_id)) == (status == "completed")
        assert ("cause" in record(engine, job_id)) == (status == "error")

    repeat(play)


def test_cancel_against_finish_settles_once(engine: Engine, at_once: AtOnce) -> None:
    def play(_: int) -> None:
        job_id, credential = running(engine)

        def confirmed() -> Any:
            cause = describe("cancelled")
            wanted = {"cancel_requested": {"$ne": None}}
            end = transitions.settle(now(), attempt=1, to=Status.TERMINATED, cause=cause, where=wanted)
            return engine.jobs.apply(job_id, end)

        cancelled, finished, confirmation = at_once(
            [
                lambda: cancel(engine, ALICE, job_id, None),
                lambda: finish(engine, job_id, credential),
                confirmed,
            ]
        )
        job = record(engine, job_id)
        assert ends(engine, job_id) == [job["status"]]
        assert cancelled["cancelled"] == ("cancel_requested" in job)
        if confirmation:
            assert job["status"] == "terminated"
            assert isinstance(finished, AlreadyFinished)
        else:
            assert job["status"] == "completed"
            assert finished["accepted"] == 1

    repeat(play)


def test_cancel_against_handing_out_leaves_no_job_between(engine: Engine, at_once: AtOnce) -> None:
    seen = Counter()

    def play(_: int) -> None:
        job_id = submit(engine)
        taken = transitions.claim(
            now(), attempt=1, tag=attempt_tag(job_id, 1), ticket_hash="t", claim_id="c", backend="local"
        )
        claimed, cancelled = at_once(
            [lambda: engine.jobs.apply(job_id, taken), lambda: cancel(engine, ALICE, job_id, None)]
        )
        job = record(engine, job_id)
        assert cancelled["cancelled"] == 1
        assert "cancel_requested" in job
        if claimed:
            assert (job["status"], job["claimed"]) == ("created", True)
        else:
            assert (job["status"], job["claimed"]) == ("terminated", False)
        seen[bool(claimed)] += 1

    repeat(play)
    assert seen.total() == ROUNDS


def test_of_many_who_cancel_one_did(engine: Engine, at_once: AtOnce) -> None:
    def play(n: int) -> None:
        job_id = submit(engine) if n % 2 else running(engine)[0]
        answers = at_once([lambda r=r: cancel(engine, ALICE, job_id, f"reason {r}") for r in range(AT_ONCE)])
        assert sum(answer["cancelled"] for answer in answers) == 1
        (did,) = [answer for answer in answers if answer["cancelled"]]
        assert record(engine, job_id)["cancel_requested"] == did["cancel_requested"]

    repeat(play, ROUNDS // 2)


def test_the_same_submission_at_once_is_one_job(engine: Engine, at_once: AtOnce) -> None:
    def play(n: int) -> None:
        ids = at_once([lambda key=f"key {n}": submit(engine, idempotency_key=key)] * AT_ONCE)
        assert len(set(ids)) == 1
        assert engine.jobs.get(ids[0])

    repeat(play, ROUNDS // 2)
    assert engine.database.jobs.count_documents({}) == ROUNDS // 2


def test_the_same_batch_at_once_is_one_batch(engine: Engine, at_once: AtOnce) -> None:
    def play(n: int) -> None:
        params = {"jobs": [{"method": METHOD}] * 3, "idempotency_key": f"key {n}"}
        answers = at_once([lambda p=params: run_jobs(engine, ALICE, p)] * 4)
        assert all(answer == answers[0] for answer in answers)

    repeat(play, ROUNDS // 5)
    assert engine.database.batches.count_documents({}) == ROUNDS // 5
    assert engine.database.jobs.count_documents({}) == 3 * (ROUNDS // 5)


def lines(texts: Sequence[str]) -> list[Line]:
    return [Line(text, "stdout", NOW) for text in texts]


def whole_log(engine: Engine, job_id: ObjectId) -> list[str]:
    return [line.text for line in engine.logs.read(job_id, 0, 100_000).lines]


def test_lines_with_numbers_that_are_sent_again_and_again_are_held_once(engine: Engine, at_once: AtOnce) -> None:
    texts = [f"line {n}" for n in range(120)]

    def play(seed: int) -> None:
        job_id, credential = running(engine)

        def deliver(chance: random.Random) -> None:
            """As a runner whose answers get lost: goes on from wherever it believes to be."""
            position = 0
            while position < len(texts):
                batch = lines(texts[position : position + chance.randint(1, 40)])
                next_line, _ = add_lines(engine, credential, job_id, 1, position, batch)
                position = max(0, next_line - chance.choice([0, 0, 0, 5, 20]))
                if next_line >= len(texts):
                    return

        at_once([lambda s=s: deliver(random.Random(s)) for s in (2 * seed, 2 * seed + 1)])
        assert whole_log(engine, job_id) == texts

    repeat(play)


def test_two_who_append_without_numbers_lose_nothing(engine: Engine, at_once: AtOnce) -> None:
    def play(_: int) -> None:
        job_id, credential = running(engine)

        def append(name: str) -> None:
            for n in range(5):
                add_lines(engine, credential, job_id, 1, None, lines([f"{name} {n}.{i}" for i in range(3)]))

        at_once([lambda: append("ann"), lambda: append("bob")])
        log = whole_log(engine, job_id)
        for name in ("ann", "bob"):
            assert [line for line in log if line.startswith(name)] == [
                f"{name} {n}.{i}" for n in range(5) for i in range(3)
            ]
        assert len(log) == 30

    repeat(play)


def test_late_lines_of_an_old_attempt_never_displace_a_new_ones(engine: Engine, at_once: AtOnce) -> None:
    def play(_: int) -> None:
        job_id, old = running(engine)
        add_lines(engine, old, job_id, 1, 0, lines(["old 0"]))

        def old_runner() -> None:
            for n in range(1, 40):
                add_lines(engine, old, job_id, 1, n, lines([f"old {n}"]))

        def new_runner() -> str:
            # The old attempt was confirmed gone, though a last call of its runner is still on its way.
            assert engine.jobs.apply(job_id, transitions.lose(now(), attempt=1, note="its machine died", losses=1))
            _, ticket = claim(engine, job_id)
            started = begin(engine, job_id, ticket, "runner-000000000002", attempt=2)
            for n in range(5):
                add_lines(engine, started["credential"], job_id, 2, started["first_line"] + n, lines([f"new {n}"]))
            return str(started["first_line"])

        refused, first_line = at_once([old_runner, new_runner])
        assert refused is None or isinstance(refused, EngineError)
        log = whole_log(engine, job_id)
        begins = int(first_line)
        assert log[begins - 1].startswith("--- attempt 2 begins")
        assert log[: begins - 1] == [f"old {n}" for n in range(begins - 1)]
        assert log[begins:] == [f"new {n}" for n in range(5)]

    repeat(play)
