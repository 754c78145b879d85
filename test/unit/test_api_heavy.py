import contextlib
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from store_engine import person

from execution_engine.api.heavy import HEAVY, HeavyCalls, Weight, limit_heavy_calls
from execution_engine.api.methods import native_registry
from execution_engine.app import contract
from execution_engine.core.errors import Busy
from execution_engine.jobs.engine import Engine
from execution_engine.jobs.identity import Admin, User

LISTS = HEAVY["list_jobs"]


class Slow:
    """Calls that last until they are let go."""

    def __init__(self, limit: int = 2) -> None:
        self.calls = HeavyCalls(limit)
        self.go = threading.Event()
        self.begun = threading.Semaphore(0)

    def handler(self, _user: User, _params: Any) -> str:
        self.begun.release()
        assert self.go.wait(60)
        return "done"

    @contextlib.contextmanager
    def under_way(self, user: User, weight: Weight, params: Any, count: int) -> Iterator[None]:
        limited = self.calls.limited(weight, self.handler)
        threads = [threading.Thread(target=limited, args=(user, params)) for _ in range(count)]
        for thread in threads:
            thread.start()
            assert self.begun.acquire(timeout=60)
        try:
            yield
        finally:
            self.go.set()
            for thread in threads:
                thread.join()


def answer(_user: User, _params: Any) -> str:
    return "answer"


@pytest.mark.parametrize("admin", list(Admin))
def test_a_user_with_enough_heavy_calls_under_way_is_told_to_wait(admin: Admin) -> None:
    slow = Slow(2)
    with slow.under_way(person("alice", admin), LISTS, {}, 2), pytest.raises(Busy) as caught:
        slow.calls.limited(LISTS, answer)(person("alice", admin), {})
    assert caught.value.data == {"retry_after_ms": 1_000}
    assert caught.value.message == "You have 2 calls of this kind (lists) under way; wait for one to end."
    assert slow.calls.limited(LISTS, answer)(person("alice", admin), {}) == "answer"


def test_other_users_and_other_kinds_go_on() -> None:
    slow = Slow(1)
    with slow.under_way(person("alice"), LISTS, {}, 1):
        assert slow.calls.limited(LISTS, answer)(person("bob"), {}) == "answer"
        assert slow.calls.limited(HEAVY["get_logs"], answer)(person("alice"), {"limit": 10_000}) == "answer"


@pytest.mark.parametrize(
    ("name", "ordinary", "heavy"),
    [
        ("check_jobs", {"job_ids": ["x"] * 100}, {"job_ids": ["x"] * 101}),
        ("cancel_jobs", {"job_ids": ["x"] * 100}, {"job_ids": ["x"] * 101}),
        ("retry_jobs", {"job_ids": ["x"] * 100}, {"job_ids": ["x"] * 101}),
        ("run_jobs", {"jobs": [{}] * 100}, {"jobs": [{}] * 101}),
        ("get_logs", {"skip": 10**6}, {"limit": 1_001}),
        ("get_logs", {"limit": 1_000}, {"tail": 1_001}),
    ],
)
def test_polling_does_not_count(name: str, ordinary: Any, heavy: Any) -> None:
    assert not HEAVY[name].is_heavy(ordinary)
    assert HEAVY[name].is_heavy(heavy)


def test_a_call_that_fails_has_ended() -> None:
    def fail(_user: User, _params: Any) -> str:
        raise KeyError

    calls = HeavyCalls(1)
    for _ in range(3):
        with pytest.raises(KeyError):
            calls.limited(LISTS, fail)(person("alice"), {})


def test_the_setting_holds_for_the_methods_of_the_engine(engine: Engine) -> None:
    registry = native_registry(engine, contract())
    limit_heavy_calls(registry, 0)
    for name in HEAVY:
        params = {"job_ids": ["x"] * 1000, "jobs": [{}] * 1000, "limit": 10_000}
        with pytest.raises(Busy):
            registry.methods[name].handler(person("alice"), params)
