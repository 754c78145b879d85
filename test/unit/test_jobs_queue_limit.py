from typing import Any

import pytest
from store_engine import METHOD, finish, hand_out, person, running, submit

from execution_engine.core.errors import QueueLimitReached
from execution_engine.jobs.control import retry
from execution_engine.jobs.engine import Engine
from execution_engine.jobs.limits import Kind, Target
from execution_engine.jobs.submission import run_jobs
from execution_engine.store.submissions import QueueFull


@pytest.fixture(autouse=True)
def _limits(engine: Engine) -> None:
    for target, value in ((Target(Kind.QUEUED, each_user=True), 3), (Target(Kind.QUEUED, user="bob"), 1)):
        engine.limits.put(target.name, None, target.fields() | {"value": value}, {})


def batch(engine: Engine, size: int, **params: Any) -> Any:
    return run_jobs(engine, person("alice"), {"jobs": [{"method": METHOD}] * size, **params})


def test_nobody_has_more_jobs_waiting_than_the_limit(engine: Engine) -> None:
    for _ in range(3):
        submit(engine)
    with pytest.raises(QueueLimitReached) as caught:
        submit(engine)
    assert caught.value.message == (
        "You have 3 waiting jobs; with 1 more they would exceed the limit of 3 for each user. "
        "Wait until some of them run, cancel some, or ask an administrator for a higher limit."
    )
    assert caught.value.data == {"limit": 3, "waiting": 3, "submitted": 1}
    submit(engine, "bob")
    with pytest.raises(QueueLimitReached, match="limit of 1 for you"):
        submit(engine, "bob")


def test_what_is_refused_leaves_nothing_behind(engine: Engine) -> None:
    with pytest.raises(QueueLimitReached):
        batch(engine, 4)
    assert engine.database.job_io.count_documents({}) == 0


def test_jobs_that_run_or_have_ended_do_not_count_and_those_in_a_backend_do(engine: Engine) -> None:
    running(engine)
    done, credential = running(engine)
    finish(engine, done, credential)
    hand_out(engine, submit(engine))
    submit(engine)
    submit(engine)
    with pytest.raises(QueueLimitReached):
        submit(engine)


def test_a_batch_counts_whole(engine: Engine) -> None:
    submit(engine)
    with pytest.raises(QueueLimitReached, match="You have 1 waiting jobs; with 3 more"):
        batch(engine, 3)
    batch(engine, 2)
    with pytest.raises(QueueLimitReached):
        submit(engine)


def test_a_retry_counts(engine: Engine) -> None:
    done, credential = running(engine, "bob")
    finish(engine, done, credential)
    submit(engine, "bob")
    with pytest.raises(QueueLimitReached):
        retry(engine, person("bob"), done)


def test_a_repeated_request_is_answered_though_the_queue_is_full(engine: Engine) -> None:
    first = submit(engine, "bob", idempotency_key="k")
    assert submit(engine, "bob", idempotency_key="k") == first
    with pytest.raises(QueueLimitReached):
        submit(engine, "bob", idempotency_key="other")


def test_a_request_that_comes_twice_at_once_is_answered_as_well(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = submit(engine, "bob", idempotency_key="k")
    monkeypatch.setattr(engine.jobs, "submitted_before", lambda *_: None)

    def full(*_: Any) -> None:
        raise QueueFull(1)

    monkeypatch.setattr(engine.jobs.submissions, "write", full)
    assert submit(engine, "bob", idempotency_key="k") == first


def test_more_than_the_limit_may_wait_after_it_was_lowered(engine: Engine) -> None:
    for _ in range(3):
        submit(engine, "cem")
    target = Target(Kind.QUEUED, user="cem")
    engine.limits.put(target.name, None, target.fields() | {"value": 1}, {})
    del engine.__dict__["limit_reader"]  # as after half a second
    with pytest.raises(QueueLimitReached, match="You have more than 1 waiting jobs"):
        submit(engine, "cem")
