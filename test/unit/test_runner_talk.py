"""The parts of the runner that talk with the engine, against one that is made of prepared answers."""

import json
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from execution_engine.runner import delivery as delivery_module
from execution_engine.runner.calls import Refused, Unreachable
from execution_engine.runner.console import Console
from execution_engine.runner.delivery import Delivery
from execution_engine.runner.ending import Ending, failed
from execution_engine.runner.heartbeat import Heartbeat
from execution_engine.runner.lines import encode_line
from execution_engine.runner.orders import Orders
from execution_engine.runner.report import report
from execution_engine.runner.spool import Spool
from execution_engine.runner.stopping import ending_by_order

IDS = {"job_id": "65f000000000000000000001", "attempt": 1}


def refused(reason: str, **data: Any) -> Refused:
    return Refused(reason, f"Because of {reason}.", data)


class Scripted:
    """An engine whose answers a function makes; exceptions among them are raised."""

    def __init__(self, answer: Callable[[str, dict[str, Any]], Any]) -> None:
        self.answer = answer
        self.calls: list[tuple[str, dict[str, Any]]] = []

    def call(self, method: str, **params: Any) -> Any:
        self.calls.append((method, params))
        answer = self.answer(method, params)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def call_encoded(self, method: str, params: bytes) -> Any:
        return self.call(method, **json.loads(params))


class LogEngine(Scripted):
    """Keeps a log by the protocol's rules, ``first_line`` lines of it from an earlier attempt."""

    def __init__(self, first_line: int = 0) -> None:
        super().__init__(self.add)
        self.log: list[str] = ["earlier"] * first_line
        self.troubles: list[Exception] = []

    def add(self, _: str, params: dict[str, Any]) -> Any:
        first = params["first_line"]
        if first > len(self.log):
            return refused("log_gap", next_line=len(self.log))
        self.log += [line["line"] for line in params["lines"]][len(self.log) - first :]
        return self.troubles.pop(0) if self.troubles else {"next_line": len(self.log), "cancel_requested": 0}


@pytest.fixture
def orders() -> Orders:
    return Orders()


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    return Spool(tmp_path / "spool", disk_bytes=1 << 30)


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delivery_module, "PACE_SECONDS", 0.0)
    monkeypatch.setattr("execution_engine.runner.patience.Backoff.delay", lambda _: 0.001)


def deliver(engine: Scripted, spool: Spool, orders: Orders, first_line: int = 0, most: int = 10) -> None:
    delivery = Delivery(engine, spool, orders, ids=IDS, first_line=first_line, most=most)  # type: ignore[arg-type]
    delivery.start()
    delivery.finish()


def put(spool: Spool, *lines: str) -> None:
    spool.offer([encode_line(line, "stdout", 1) for line in lines])


def test_lines_arrive_numbered_from_the_first(spool: Spool, orders: Orders) -> None:
    engine = LogEngine(first_line=3)
    put(spool, *(f"line {n}" for n in range(25)))
    deliver(engine, spool, orders, first_line=3)
    assert engine.log[3:] == [f"line {n}" for n in range(25)]
    assert [(params["first_line"], len(params["lines"])) for _, params in engine.calls] == [(3, 10), (13, 10), (23, 5)]
    assert engine.calls[0][1]["lines"][0] == {"line": "line 0", "stream": "stdout", "ts": 1}
    assert {(params["job_id"], params["attempt"]) for _, params in engine.calls} == {(IDS["job_id"], 1)}


def test_a_lost_answer_doubles_nothing(spool: Spool, orders: Orders) -> None:
    engine = LogEngine()
    engine.troubles = [Unreachable("gone")] * 5
    put(spool, *(f"line {n}" for n in range(25)))
    deliver(engine, spool, orders)
    assert engine.log == [f"line {n}" for n in range(25)]
    assert [params["first_line"] for _, params in engine.calls] == [0] * 6 + [10, 20]


def test_lines_that_the_engine_lost_are_sent_again(spool: Spool, orders: Orders) -> None:
    engine = LogEngine()

    def crash(method: str, params: dict[str, Any]) -> Any:
        if len(engine.calls) == 3:
            del engine.log[5:]
        return engine.add(method, params)

    engine.answer = crash
    put(spool, *(f"line {n}" for n in range(40)))
    deliver(engine, spool, orders)
    assert engine.log == [f"line {n}" for n in range(40)]


def test_lines_that_are_lost_for_good_are_said_so(tmp_path: Path, orders: Orders) -> None:
    spool = Spool(tmp_path, disk_bytes=1 << 20, kept_bytes=0)
    engine = LogEngine()
    engine.log = ["kept"]
    put(spool, "next")
    deliver(engine, spool, orders, first_line=4)
    assert engine.log == ["kept", "3 lines were lost here, between the runner and the engine's database.", "next"]


def test_a_line_that_the_engine_never_takes_is_left_out_and_said_so(spool: Spool, orders: Orders) -> None:
    engine = LogEngine()

    def picky(method: str, params: dict[str, Any]) -> Any:
        if any("poison" in line["line"] for line in params["lines"]):
            return refused("invalid_params")
        return engine.add(method, params)

    engine.answer = picky
    put(spool, *(f"line {n}" for n in range(6)), "poison", "after")
    deliver(engine, spool, orders)
    left_out = "A line was left out here, which the engine refuses: Because of invalid_params."
    assert engine.log == [*(f"line {n}" for n in range(6)), left_out, "after"]


def test_an_engine_that_takes_less_than_it_is_sent(spool: Spool, orders: Orders) -> None:
    taken: list[str] = []

    def slow(_: str, params: dict[str, Any]) -> Any:
        assert params["first_line"] == len(taken)
        taken.extend(line["line"] for line in params["lines"][:3])
        return {"next_line": len(taken)}

    put(spool, *(f"line {n}" for n in range(10)))
    deliver(Scripted(slow), spool, orders)
    assert taken == [f"line {n}" for n in range(10)]


def test_the_delivery_ends_when_the_engine_wants_nothing_more(spool: Spool, orders: Orders) -> None:
    put(spool, "line")
    deliver(Scripted(lambda *_: refused("credential_invalid")), spool, orders)
    assert orders.reason(0) == "disowned"


def test_a_cancel_comes_back_with_the_log(spool: Spool, orders: Orders) -> None:
    put(spool, "line")
    deliver(Scripted(lambda *_: {"next_line": 1, "cancel_requested": 1}), spool, orders)
    assert orders.reason(0) == "cancelled"


def test_a_defect_in_the_delivery_is_no_silence(spool: Spool, orders: Orders) -> None:
    put(spool, "line")
    deliver(Scripted(lambda *_: ZeroDivisionError("defect")), spool, orders)
    assert orders.reason(0) == "failed"


def read_console(command: str, spool: Spool) -> Console:
    console = Console(spool, 100, lambda error: pytest.fail(str(error)))
    with subprocess.Popen(["sh", "-c", command], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as app:
        console.attach(app)
        console.start()
        app.wait()
        console.finish(2)
    return console


def said(spool: Spool) -> list[tuple[str, str]]:
    return [(line["stream"], line["line"]) for line in map(json.loads, spool.peek(100_000, 1 << 30))]


def test_both_streams_of_a_program(spool: Spool) -> None:
    console = read_console("echo out; echo err >&2; printf 'no newline'", spool)
    assert sorted(said(spool)) == [("stderr", "err"), ("stdout", "no newline"), ("stdout", "out")]
    assert console.last_errors() == "err"


def test_only_the_end_of_stderr_is_kept_for_the_cause(spool: Spool) -> None:
    console = read_console("seq 1 100 >&2", spool)
    assert console.last_errors().splitlines() == [str(n) for n in range(61, 101)]
    assert len(said(spool)) == 100


def test_a_pipe_that_is_still_held_does_not_hold_the_end(spool: Spool) -> None:
    console = Console(spool, 100, lambda error: pytest.fail(str(error)))
    with subprocess.Popen(["sh", "-c", "echo first; printf begun; sleep 60"], stdout=subprocess.PIPE) as app:
        console.attach(app)
        console.start()
        assert spool.wait_for_lines(1, 30)
        console.finish(0.3)
        app.kill()
    assert said(spool) == [("stdout", "first"), ("stdout", "begun")]


def test_a_full_spool_holds_the_program_back_and_loses_nothing(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool", disk_bytes=20_000, memory_bytes=10_000)
    console = Console(spool, 100, lambda error: pytest.fail(str(error)))
    lines: list[str] = []
    with subprocess.Popen(["seq", "1", "100000"], stdout=subprocess.PIPE) as app:
        console.attach(app)
        console.start()
        deadline = time.monotonic() + 30
        while not console._held_back:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        assert app.poll() is None
        while app.poll() is None or len(spool):
            batch = spool.peek(1000, 1 << 20)
            lines += [json.loads(line)["line"] for line in batch]
            spool.delivered(len(batch))
        console.finish(5)
    lines += [line for _, line in said(spool)]
    (notice,) = [line for line in lines if not line.isdigit()]
    assert notice.startswith("The log can't be stored on this machine at the moment (the bound of 0 MiB")
    assert [line for line in lines if line != notice] == [str(n) for n in range(1, 100_001)]


def beat(engine: Scripted, orders: Orders, progress_file: Path, until: Callable[[], bool]) -> None:
    heartbeat = Heartbeat(engine, orders, IDS, progress_file, 100)  # type: ignore[arg-type]
    heartbeat.start()
    deadline = time.monotonic() + 30
    while not until():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    heartbeat.finish()
    heartbeat.join()


def test_a_sign_of_life_carries_progress_and_brings_orders(tmp_path: Path, orders: Orders) -> None:
    progress = tmp_path / "progress.json"
    progress.write_text('{"percent": 40, "message": "half"}')
    engine = Scripted(lambda *_: {"heartbeat_ms": 200, "cancel_requested": 0})
    beat(engine, orders, progress, lambda: len(engine.calls) >= 2)
    assert engine.calls[0] == ("heartbeat", {**IDS, "progress": {"percent": 40.0, "message": "half"}})
    assert orders.reason(0) is None


def test_signs_of_life_go_on_through_outages_and_refusals(tmp_path: Path, orders: Orders) -> None:
    answers = [Unreachable("away"), refused("invalid_params"), {"heartbeat_ms": 100, "cancel_requested": 1}]
    engine = Scripted(lambda *_: answers.pop(0) if answers else {"heartbeat_ms": 100})
    beat(engine, orders, tmp_path / "none", lambda: orders.cancelled)
    assert engine.calls[0] == ("heartbeat", IDS)


@pytest.mark.parametrize("reason", ["credential_invalid", "already_finished", "wrong_state", "job_not_found"])
def test_an_attempt_that_is_no_longer_wanted_hears_so(tmp_path: Path, orders: Orders, reason: str) -> None:
    engine = Scripted(lambda *_: refused(reason))
    beat(engine, orders, tmp_path / "none", lambda: orders.refusal is not None)
    assert orders.reason(0) == "disowned"


def finish(ending: Ending, *answers: Any) -> tuple[bool, list[dict[str, Any]]]:
    waiting = list(answers)
    engine = Scripted(lambda *_: waiting.pop(0))
    wanted = report(engine, IDS, ending, lambda _: None)  # type: ignore[arg-type]
    assert not waiting
    return wanted, [params for _, params in engine.calls]


DONE = {"status": "completed", "accepted": 1}


def test_the_end_is_reported_until_it_is_acknowledged() -> None:
    wanted, sent = finish(Ending("completed", output=[1]), *[Unreachable("away")] * 20, DONE)
    assert wanted
    assert sent == [{**IDS, "outcome": "completed", "output": [1]}] * 21


@pytest.mark.parametrize("reason", ["credential_invalid", "already_finished"])
def test_an_end_that_nobody_wants_is_not_repeated(reason: str) -> None:
    assert finish(Ending("completed", output=[1]), refused(reason)) == (
        False,
        [{**IDS, "outcome": "completed", "output": [1]}],
    )


@pytest.mark.parametrize(
    ("reason", "code", "message"),
    [
        ("output_too_large", "output_too_large", "Because of output_too_large."),
        ("body_too_large", "output_too_large", "Because of body_too_large."),
        ("invalid_params", "app_bad_output", "The engine refuses the app's output: Because of invalid_params."),
        ("parse_error", "app_bad_output", "The engine refuses the app's output: Because of parse_error."),
        ("invalid_request", "app_bad_output", "The engine refuses the app's output: Because of invalid_request."),
    ],
)
def test_an_output_that_the_engine_refuses_becomes_an_error(reason: str, code: str, message: str) -> None:
    _, sent = finish(Ending("completed", output=[1]), refused(reason), DONE)
    assert sent[1] == {**IDS, "outcome": "error", "cause": {"code": code, "message": message, "exit_code": 0}}


def test_a_cause_that_the_engine_refuses_is_shortened() -> None:
    _, sent = finish(failed("app_error", "m", detail="d", exit_code=1), refused("invalid_params"), DONE)
    assert sent[1] == {**IDS, "outcome": "error", "cause": {"code": "app_error"}}


def end(orders: Orders, answer: Any = None) -> Ending | None:
    reason = orders.reason(1000)
    assert reason is not None
    return ending_by_order(reason, orders, lambda: Scripted(lambda *_: answer).call("heartbeat"), "last words")


def code(ending: Ending | None) -> tuple[str, str]:
    assert ending is not None
    assert ending.cause is not None
    return ending.outcome, ending.cause["code"]


def test_a_cancel_ends_the_job_as_terminated(orders: Orders) -> None:
    orders.obey({"cancel_requested": 1})
    assert code(end(orders)) == ("terminated", "cancelled")


def test_the_time_limit(orders: Orders) -> None:
    orders.deadline = 1000
    ended = end(orders)
    assert code(ended) == ("error", "time_limit")
    assert ended is not None
    assert ended.cause == {"code": "time_limit", "detail": "last words"}


def test_a_signal_is_a_cancel_if_the_engine_says_so(orders: Orders) -> None:
    orders.stop()
    assert code(end(orders, {"cancel_requested": 1})) == ("terminated", "cancelled")


def test_a_signal_without_a_cancel(orders: Orders) -> None:
    orders.stop()
    assert code(end(orders, {"cancel_requested": 0})) == ("error", "runner_stopped")


def test_a_signal_for_an_attempt_that_is_over(orders: Orders) -> None:
    orders.stop()
    assert end(orders, refused("already_finished")) is None


def test_a_defect_of_the_runner_is_reported_as_such(orders: Orders) -> None:
    orders.fail(ZeroDivisionError("defect"))
    ended = end(orders)
    assert code(ended) == ("error", "runner_lost")
    assert ended is not None
    assert ended.cause is not None
    assert ended.cause["message"].endswith("failed: ZeroDivisionError: defect")


def test_an_order_ends_a_wait(orders: Orders) -> None:
    began = threading.Event()

    def order() -> None:
        began.wait()
        orders.obey({"cancel_requested": 1})

    thread = threading.Thread(target=order)
    thread.start()
    began.set()
    orders.wait(60)
    assert orders.cancelled
    thread.join()
    orders.close()


def test_signals_are_orders(orders: Orders) -> None:
    before = {
        number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD, signal.SIGHUP)
    }
    try:
        orders.listen_to_signals()
        signal.raise_signal(signal.SIGHUP)
        assert orders.reason(0) is None
        signal.raise_signal(signal.SIGTERM)
        orders.wait(60)
        assert orders.reason(0) == "stopped"
    finally:
        signal.set_wakeup_fd(-1)
        for number, handler in before.items():
            signal.signal(number, handler)
