import contextlib
import gc
import sys
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeAlias

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from execution_engine.core.errors import AuthUnavailable, TokenInvalid
from execution_engine.kbase.cache import SingleFlightCache

Cache: TypeAlias = SingleFlightCache[Any, Any]


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> Any:
        return self.now


class Source:
    """What stands behind a cache: counts how often each key is asked for, and fails when told to."""

    def __init__(self) -> None:
        self.calls: list[Any] = []
        self.error: Exception | None = None

    def load(self, key: Any) -> Any:
        def ask() -> Any:
            self.calls.append(key)
            if self.error is not None:
                raise self.error
            return f"{key}-{len(self.calls)}"

        return ask


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def source() -> Source:
    return Source()


@pytest.fixture
def cache(clock: Clock) -> Cache:
    return SingleFlightCache(ttl=30, max_size=3, negative=(TokenInvalid,), negative_ttl=3, clock=clock)


def test_a_value_is_asked_for_once_within_its_time(cache: Cache, clock: Clock, source: Source) -> None:
    assert cache.get("a", source.load("a")) == "a-1"
    clock.now += 29.9
    assert cache.get("a", source.load("a")) == "a-1"
    clock.now += 0.1
    assert cache.get("a", source.load("a")) == "a-2"


def test_the_age_of_an_answer_counts_from_the_question(cache: Cache, clock: Clock) -> None:
    def slow() -> str:
        clock.now += 20
        return "old"

    assert cache.get("a", slow) == "old"
    clock.now += 10
    assert cache.get("a", lambda: "new") == "new"


def test_the_time_may_depend_on_the_value(clock: Clock) -> None:
    cache: Cache = SingleFlightCache(ttl=lambda seconds: seconds, max_size=3, clock=clock)
    assert cache.get("short", lambda: 1) == 1
    assert cache.get("none", lambda: 0) == 0
    clock.now += 0.9
    assert cache.get("short", lambda: 2) == 1
    assert cache.get("none", lambda: 3) == 3


def test_a_refusal_is_believed_for_a_shorter_time(cache: Cache, clock: Clock, source: Source) -> None:
    source.error = TokenInvalid()
    for _ in range(4):
        with pytest.raises(TokenInvalid):
            cache.get("a", source.load("a"))
        clock.now += 1.4
    assert source.calls == ["a", "a"]


def test_a_refusal_does_not_outlive_a_grant(cache: Cache, clock: Clock, source: Source) -> None:
    source.error = TokenInvalid()
    with pytest.raises(TokenInvalid):
        cache.get("a", source.load("a"))
    clock.now += 3
    source.error = None
    assert cache.get("a", source.load("a")) == "a-2"
    assert cache.get("a", source.load("a")) == "a-2"


def test_an_outage_is_never_remembered(cache: Cache, source: Source) -> None:
    source.error = AuthUnavailable()
    for _ in range(2):
        with pytest.raises(AuthUnavailable):
            cache.get("a", source.load("a"))
    source.error = None
    assert cache.get("a", source.load("a")) == "a-3"


def test_a_remembered_refusal_holds_no_request_in_memory(cache: Cache, source: Source) -> None:
    class Request:
        pass

    def handle() -> None:
        request = Request()
        holder.append(weakref.ref(request))
        with pytest.raises(TokenInvalid):
            cache.get("a", source.load("a"))

    holder: list[weakref.ref[Any]] = []
    source.error = TokenInvalid("no")
    handle()
    source.error = None
    handle()
    gc.collect()
    assert [it() for it in holder] == [None, None]


def test_the_oldest_goes_when_there_is_no_room(cache: Cache, source: Source) -> None:
    for key in "abcd":
        cache.get(key, source.load(key))
    for key in "bcda":
        cache.get(key, source.load(key))
    assert source.calls == list("abcda")


def test_many_bad_keys_push_out_no_good_one(cache: Cache, source: Source) -> None:
    cache.get("good", source.load("good"))
    source.error = TokenInvalid()
    for n in range(100):
        with pytest.raises(TokenInvalid):
            cache.get(n, source.load(n))
    assert cache.get("good", source.load("good")) == "good-1"


def test_many_keys_are_asked_for_in_one_call(cache: Cache) -> None:
    asked = []

    def load(keys: list[Any]) -> Any:
        asked.append(keys)
        return {key: key.upper() for key in keys}

    assert cache.get("b", lambda: "B") == "B"
    assert cache.get_many(["a", "b", "c", "a"], load) == {"a": "A", "b": "B", "c": "C"}
    assert cache.get_many(["c", "b"], load) == {"c": "C", "b": "B"}
    assert cache.get_many([], load) == {}
    assert asked == [["a", "c"]]


def test_one_known_refusal_is_the_refusal_of_all_and_blocks_nobody(cache: Cache, source: Source) -> None:
    source.error = TokenInvalid("bad b")
    with pytest.raises(TokenInvalid):
        cache.get("b", source.load("b"))
    with pytest.raises(TokenInvalid, match="bad b"):
        cache.get_many(["a", "b"], lambda keys: dict.fromkeys(keys, "x"))
    assert cache.get("a", lambda: "A") == "A"


def test_a_key_that_the_source_forgets_to_answer_is_an_error_and_blocks_nobody(cache: Cache) -> None:
    with pytest.raises(KeyError):
        cache.get_many(["a", "b"], lambda _: {"a": 1})
    assert cache.get_many(["a", "b"], lambda keys: dict.fromkeys(keys, 2)) == {"a": 2, "b": 2}


def test_a_time_that_can_not_be_computed_is_an_error_and_blocks_nobody(clock: Clock) -> None:
    cache: Cache = SingleFlightCache(ttl=lambda value: value + 1, max_size=3, clock=clock)
    with pytest.raises(TypeError):
        cache.get("a", lambda: "no number")
    assert cache.get("a", lambda: 1) == 1


class Gate:
    """A load that waits until all that shall wait for it do."""

    def __init__(self, outcome: Any) -> None:
        self.entered = threading.Event()
        self.open = threading.Event()
        self.outcome = outcome
        self.calls = 0

    def __call__(self) -> Any:
        self.calls += 1
        self.entered.set()
        assert self.open.wait(10)
        if isinstance(self.outcome, BaseException):
            raise self.outcome
        return self.outcome


def waits_for_a_flight(thread_id: int) -> bool:
    frame = sys._current_frames().get(thread_id)
    while frame is not None:
        if frame.f_code.co_name == "result":
            return True
        frame = frame.f_back
    return False


def crowd(cache: Cache, gate: "Gate", size: int = 8) -> list[Any]:
    """One thread that leads and others that certainly wait for it; their outcomes."""
    ids = []

    def follow() -> Any:
        ids.append(threading.get_ident())
        return cache.get("a", gate)

    with ThreadPoolExecutor(size) as pool:
        leader = pool.submit(cache.get, "a", gate)
        assert gate.entered.wait(10)
        followers = [pool.submit(follow) for _ in range(size - 1)]
        pause = threading.Event()
        for _ in range(1000):
            if len(ids) == size - 1 and all(waits_for_a_flight(it) for it in ids):
                break
            pause.wait(0.01)
        else:
            pytest.fail("the followers do not wait")
        gate.open.set()
        return [it.exception(10) or it.result() for it in (leader, *followers)]


def test_threads_that_miss_together_ask_once(cache: Cache) -> None:
    gate = Gate("value")
    assert crowd(cache, gate) == ["value"] * 8
    assert gate.calls == 1


def test_threads_that_miss_together_share_an_outage(cache: Cache) -> None:
    gate = Gate(AuthUnavailable("down"))
    assert {it.message for it in crowd(cache, gate)} == {"down"}
    assert gate.calls == 1
    assert cache.get("a", lambda: "up again") == "up again"


def test_a_stopped_leader_is_replaced(cache: Cache) -> None:
    class Stopping(Gate):
        def __call__(self) -> Any:
            if self.calls == 0:
                return super().__call__()
            self.calls += 1
            return "value"

    gate = Stopping(SystemExit())
    leader, *followers = crowd(cache, gate)
    assert isinstance(leader, SystemExit)
    assert followers == ["value"] * 7
    assert gate.calls == 2


def test_overlapping_sets_wait_for_each_other_without_asking_twice(clock: Clock) -> None:
    cache: Cache = SingleFlightCache(ttl=30, max_size=1000, clock=clock)
    asked = []

    def load(keys: list[Any]) -> Any:
        asked.extend(keys)
        return {key: -key for key in keys}

    def ask(start: int) -> Any:
        keys = [(start + n) % 50 for n in range(30)]
        return cache.get_many(keys, load) == {key: -key for key in keys}

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(ask, range(50)))
    assert sorted(asked) == list(range(50))


@given(st.lists(st.integers(0, 9)), st.integers(1, 4))
def test_it_never_holds_more_than_it_may(keys: list[int], size: int) -> None:
    cache: Cache = SingleFlightCache(ttl=30, max_size=size)
    for key in keys:
        assert cache.get(key, lambda key=key: key) == key
        assert len(cache._values) <= size


class Promise(RuleBasedStateMachine):
    """Whatever happens, what the cache says was true at most its time to live ago."""

    keys = st.integers(0, 4)

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.cache: Cache = SingleFlightCache(
            ttl=30, max_size=3, negative=(TokenInvalid,), negative_ttl=3, clock=self.clock
        )  # fmt: skip
        self.truth = {key: [(0.0, "allowed")] for key in range(5)}
        self.down = False

    def source(self, key: Any) -> str:
        if self.down:
            raise AuthUnavailable
        if self.truth[key][-1][1] == "refused":
            raise TokenInvalid
        return "allowed"

    def was_true(self, key: Any, answer: str, seconds: float) -> bool:
        """Whether ``answer`` was true at some time of the last ``seconds``."""
        ends = [begin for begin, _ in self.truth[key][1:]] + [float("inf")]
        return any(
            said == answer and end > self.clock.now - seconds
            for (_, said), end in zip(self.truth[key], ends, strict=True)
        )

    @rule(seconds=st.floats(0.1, 40))
    def wait(self, seconds: float) -> None:
        self.clock.now += seconds

    @rule(key=keys)
    def change(self, key: Any) -> None:
        now = self.truth[key][-1][1]
        self.truth[key].append((self.clock.now, "refused" if now == "allowed" else "allowed"))

    @rule()
    def fail_or_recover(self) -> None:
        self.down = not self.down

    @rule(key=keys)
    def ask(self, key: Any) -> Any:
        try:
            answer = self.cache.get(key, lambda: self.source(key))
        except TokenInvalid:
            assert self.was_true(key, "refused", 3)
        except AuthUnavailable:
            assert self.down
        else:
            assert self.was_true(key, answer, 30)

    @precondition(lambda self: not self.down)
    @rule(key=keys)
    def never_unavailable_while_up(self, key: Any) -> None:
        with contextlib.suppress(TokenInvalid):
            self.cache.get(key, lambda: self.source(key))

    @invariant()
    def nothing_flies(self) -> None:
        assert not self.cache._flights


TestPromise = Promise.TestCase
