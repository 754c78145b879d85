import logging
import threading
from typing import Any

import pytest
from pymongo.errors import AutoReconnect
from store_dispatch import Clock, FreePost, ToldBackend
from store_engine import finish, make_engine, person, running, submit

from execution_engine.config import BackendSettings, ClientGroupSettings
from execution_engine.dispatch import dispatcher as dispatcher_module
from execution_engine.dispatch.dispatcher import Dispatcher
from execution_engine.jobs.draining import set_backend_state
from execution_engine.jobs.engine import Engine
from execution_engine.jobs.identity import Admin
from execution_engine.store.leases import LeaseLost


class Post(FreePost):
    """Held, and given back at the end."""

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine.jobs)
        self.held = True
        self.left = 0
        self.on_leave: Any = lambda: None

    def hold(self) -> bool:
        return self.held

    def leave(self) -> None:
        self.left += 1
        self.on_leave()


class Stop(threading.Event):
    """Set after so many waits; remembers how long each was to be."""

    def __init__(self, after: int) -> None:
        super().__init__()
        self.after = after
        self.waits: list[float] = []

    def wait(self, timeout: float | None = None) -> bool:
        self.waits.append(timeout or 0.0)
        if len(self.waits) >= self.after:
            self.set()
        return self.is_set()


@pytest.fixture
def backend() -> ToldBackend:
    return ToldBackend()


@pytest.fixture
def post(engine: Engine) -> Post:
    return Post(engine)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(dispatcher_module.time, "monotonic", clock)
    return clock


class Fold:
    """The table of recent jobs, which mongomock can't make; it is asked now and then."""

    def __init__(self) -> None:
        self.steps = 0
        self.left = 0

    def step(self, _: Any) -> bool:
        self.steps += 1
        self.left = max(0, self.left - 1)
        return self.left > 0


@pytest.fixture
def fold() -> Fold:
    return Fold()


@pytest.fixture
def dispatcher(
    engine: Engine, backend: ToldBackend, post: Any, fold: Fold, monkeypatch: pytest.MonkeyPatch
) -> Dispatcher:
    monkeypatch.setattr(dispatcher_module, "Post", lambda *_: post)
    monkeypatch.setattr(dispatcher_module, "RecentFold", lambda _: fold)
    return Dispatcher(engine, {"local": backend})


def test_a_round_hands_out_reconciles_and_cleans_up(
    dispatcher: Dispatcher, backend: ToldBackend, engine: Engine
) -> None:
    waiting = submit(engine)
    done, credential = running(engine)
    finish(engine, done, credential)
    assert dispatcher.round() is True
    assert backend.order == [f"ee.{waiting}.1"]
    assert backend.calls == ["resources", "poll", "queue", "submit"]
    assert engine.payloads.get_token(done) is None
    assert engine.backends.all()["local"]["state"] == "up"
    assert dispatcher.round() is False


def test_a_drained_backend_is_handed_no_new_jobs_and_keeps_those_that_it_has(
    dispatcher: Dispatcher, backend: ToldBackend, engine: Engine, clock: Clock
) -> None:
    root = person("root", Admin.FULL)
    has = submit(engine)
    dispatcher.round()
    set_backend_state(engine, root, "local", "draining", "new disks")
    clock.seconds += 1
    submit(engine)
    assert dispatcher.round() is False
    assert backend.order == [f"ee.{has}.1"]
    assert (backend.calls[-1], backend.cancelled) == ("poll", [])
    set_backend_state(engine, root, "local", "up", None)
    clock.seconds += 1
    assert dispatcher.round() is True


class Confused(ToldBackend):
    """Fails in ways of its own, and forgets half of what it was asked."""

    def submit(self, jobs: Any) -> Any:
        super().submit(jobs)
        return {}

    def poll(self, _: Any) -> Any:
        raise KeyError("slots")

    def find(self, tags: Any) -> Any:
        super().find(tags)
        return {"ee.elsewhere.1": None}


def test_a_backend_that_talks_nonsense_holds_up_no_other(
    mock_database: Any, kbase: Any, post: Any, monkeypatch: pytest.MonkeyPatch, clock: Clock
) -> None:
    groups = {name: ClientGroupSettings(name, (name,)) for name in ("local", "odd")}
    backends = {name: BackendSettings(name, "told", {}) for name in groups}
    engine = make_engine(mock_database, kbase, client_groups=groups, backends=backends)
    monkeypatch.setattr(dispatcher_module, "Post", lambda *_: post)
    monkeypatch.setattr(dispatcher_module, "RecentFold", lambda _: Fold())
    good = ToldBackend()
    dispatcher = Dispatcher(engine, {"odd": Confused("odd"), "local": good})
    submit(engine, client_group="odd")
    for n in range(3):
        job_id = submit(engine)
        clock.seconds += 31
        assert dispatcher.round()
        assert good.order[n] == f"ee.{job_id}.1"
    assert "KeyError" in engine.backends.all()["odd"]["reason"]


def test_each_task_has_its_own_pace(dispatcher: Dispatcher, backend: ToldBackend, fold: Fold, clock: Clock) -> None:
    asked = []
    for seconds in (0.0, 0.5, 0.5, 9.0, 0.0):
        clock.seconds += seconds
        backend.calls.clear()
        dispatcher.round()
        asked.append([call for call in backend.calls if call != "resources"])
    assert asked == [["poll", "queue"], [], ["poll"], ["poll", "queue"], []]
    assert fold.steps == 2


def test_a_table_that_is_behind_catches_up_by_a_step_a_round(dispatcher: Dispatcher, fold: Fold, clock: Clock) -> None:
    fold.left = 3
    for _ in range(5):
        dispatcher.round()
        clock.seconds += 0.1
    assert fold.steps == 3
    clock.seconds += 2.0
    dispatcher.round()
    assert fold.steps == 4


def test_orphaned_payloads_are_swept_now_and_then(
    dispatcher: Dispatcher, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    swept = []
    monkeypatch.setattr(dispatcher_module, "sweep_orphans", lambda *_: swept.append(clock.seconds))
    for seconds in (0.0, 300.0, 300.0):
        clock.seconds += seconds
        dispatcher.round()
    assert swept == [1_000.0, 1_600.0]


def test_old_acts_are_forgotten_bit_by_bit(
    dispatcher: Dispatcher, engine: Engine, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    monkeypatch.setattr(dispatcher_module, "forget_old_acts", lambda *given: asked.append((clock.seconds, given)))
    for seconds in (0.0, 5.0, 5.0):
        clock.seconds += seconds
        dispatcher.round()
    assert asked == [(at, (engine.audit, engine.settings.audit_keep_days)) for at in (1_000.0, 1_010.0)]


def test_it_goes_on_at_once_while_there_is_much_to_do_and_leaves_at_the_end(
    dispatcher: Dispatcher, backend: ToldBackend, engine: Engine, post: Post
) -> None:
    submit(engine)
    stop = Stop(after=1)
    dispatcher.run(stop)
    assert stop.waits == [0.1], "no wait after the round that had something to do"
    assert backend.calls.count("submit") == 1
    assert post.left == 1


def test_a_stand_by_calls_nobody(dispatcher: Dispatcher, backend: ToldBackend, post: Post) -> None:
    post.held = False
    dispatcher.run(Stop(after=3))
    assert backend.calls == []


@pytest.mark.parametrize(
    ("fault", "text"),
    [
        (LeaseLost(), "another dispatcher has taken over; standing by"),
        (AutoReconnect("connection refused"), "the database does not answer: connection refused"),
        (KeyError("slots"), "a round of the dispatcher failed"),
    ],
)
def test_a_round_that_fails_is_followed_by_another(
    dispatcher: Dispatcher,
    post: Post,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    fault: Exception,
    text: str,
) -> None:
    rounds = []

    def fails_once() -> bool:
        rounds.append(1)
        if len(rounds) == 1:
            raise fault
        return False

    monkeypatch.setattr(dispatcher, "round", fails_once)
    with caplog.at_level(logging.WARNING, "execution_engine.dispatch"):
        dispatcher.run(Stop(after=2))
    assert len(rounds) >= 2
    assert text in caplog.text
    assert post.left == 1


def test_a_lease_that_can_not_be_given_back_runs_out_by_itself(
    dispatcher: Dispatcher, post: Post, caplog: pytest.LogCaptureFixture
) -> None:
    def fails() -> None:
        raise AutoReconnect("connection refused")

    post.on_leave = fails
    with caplog.at_level(logging.WARNING, "execution_engine.dispatch"):
        dispatcher.run(Stop(after=1))
    assert "it runs out by itself" in caplog.text
