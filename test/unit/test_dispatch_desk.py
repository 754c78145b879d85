import datetime as dt
from typing import Any

import pytest
from store_dispatch import Clock, ToldBackend

from execution_engine.core.clock import now
from execution_engine.dispatch import desk as desk_module
from execution_engine.dispatch.desk import Desk
from execution_engine.jobs.engine import Engine


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def backend() -> ToldBackend:
    return ToldBackend()


@pytest.fixture
def desk(engine: Engine, backend: ToldBackend, clock: Clock) -> Desk:
    return Desk(backend, engine.backends, clock)


def ask(desk: Desk) -> Any:
    return desk.ask(lambda backend: backend.poll(["17"]))


def reported(engine: Engine) -> Any:
    return engine.backends.all().get("local")


def test_a_backend_that_answers_is_asked(desk: Desk) -> None:
    assert ask(desk).keys() == {"17"}
    assert desk.open


def test_a_backend_that_is_down_is_left_alone_for_a_pause_that_grows(
    desk: Desk, backend: ToldBackend, clock: Clock
) -> None:
    backend.down = "the disk is full"
    pauses = []
    for _ in range(7):
        assert ask(desk) is None
        asked = len(backend.calls)
        pause = 0
        while not desk.open:
            assert ask(desk) is None
            clock.seconds += 1
            pause += 1
        assert len(backend.calls) == asked
        pauses.append(pause)
    assert pauses == [1, 2, 4, 8, 16, 30, 30]


def test_after_an_answer_the_pauses_begin_anew(desk: Desk, backend: ToldBackend, clock: Clock) -> None:
    for down in ("x", "x", None, "x"):
        backend.down = down
        ask(desk)
        clock.seconds += 4
    clock.seconds -= 3.5
    assert not desk.open
    clock.seconds += 0.5
    assert desk.open


def test_it_is_said_that_a_backend_is_down_and_why(
    desk: Desk, backend: ToldBackend, clock: Clock, engine: Engine
) -> None:
    backend.down = "the disk is full"
    ask(desk)
    assert (reported(engine)["state"], reported(engine)["reason"]) == ("down", "the disk is full")
    backend.down = "nobody is at home"
    clock.seconds += 1
    ask(desk)
    assert reported(engine)["reason"] == "nobody is at home"
    backend.down = None
    clock.seconds += 2
    ask(desk)
    assert reported(engine)["state"] == "up"
    assert "reason" not in reported(engine)


def test_its_resources_are_reported_now_and_then(
    desk: Desk, backend: ToldBackend, clock: Clock, engine: Engine
) -> None:
    for _ in range(3):
        desk.report()
    assert backend.calls == ["resources"]
    assert reported(engine)["resources"]["slots_total"] == 8
    clock.seconds += 10
    desk.report()
    assert backend.calls == ["resources"] * 2


def test_while_it_is_down_its_last_resources_stay(
    desk: Desk, backend: ToldBackend, clock: Clock, engine: Engine
) -> None:
    desk.report()
    backend.down = "x"
    clock.seconds += 10
    desk.report()
    assert reported(engine)["state"] == "down"
    assert reported(engine)["resources"]["slots_total"] == 8


def test_a_backend_that_was_never_up_has_no_resources(desk: Desk, backend: ToldBackend, engine: Engine) -> None:
    backend.down = "x"
    desk.report()
    assert reported(engine)["resources"] == {}


@pytest.mark.parametrize(("slots", "ahead"), [(8, 8), (4, 4), (1, 4), (None, 4)])
def test_as_many_wait_inside_as_it_has_slots(engine: Engine, slots: int | None, ahead: int) -> None:
    desk = Desk(ToldBackend(slots=slots), engine.backends)
    assert desk.ahead(None) == 4, "until it has said how many"
    desk.report()
    assert desk.ahead(None) == ahead
    assert desk.ahead(2) == 2, "the site's own number counts"


def test_a_defect_is_an_outage_of_this_backend_alone(
    desk: Desk, clock: Clock, engine: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(_: Any) -> None:
        raise KeyError("slots")

    assert desk.ask(broken) is None
    assert not desk.open
    assert reported(engine)["state"] == "down"
    assert "KeyError" in reported(engine)["reason"]
    assert caplog.records[0].exc_info, "the log has the traceback"
    clock.seconds += 1
    ask(desk)
    assert reported(engine)["state"] == "up"


def test_a_drained_backend_is_asked_but_handed_no_jobs(desk: Desk) -> None:
    desk.drained = True
    assert not desk.takes_jobs
    assert ask(desk).keys() == {"17"}
    desk.drained = False
    assert desk.takes_jobs


def test_since_when_it_is_down_outlives_the_dispatcher(
    desk: Desk, backend: ToldBackend, clock: Clock, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    time = now()
    monkeypatch.setattr(desk_module, "now", lambda: time)
    desk.report()
    backend.down = "the disk is full"
    time += dt.timedelta(minutes=5)
    ask(desk)
    since = reported(engine)["since"]
    assert since == time
    time += dt.timedelta(minutes=5)
    backend.down = "nobody is at home"
    ask(Desk(backend, engine.backends, clock))
    assert (reported(engine)["at"], reported(engine)["since"]) == (time, since)
    backend.down = None
    ask(Desk(backend, engine.backends, clock))
    clock.seconds += 60
    Desk(backend, engine.backends, clock).report()
    assert reported(engine)["since"] == time
