from collections.abc import Callable, Mapping
from typing import Any

import pytest

from execution_engine.cli import follow
from execution_engine.cli.client import CallFailed, Unreachable
from execution_engine.cli.follow import Follower, TimedOut
from execution_engine.cli.views import QuietView, ScreenView, describe_state

BUSY = CallFailed(-32012, "busy", "More work than it can do at once.", {})
GONE = CallFailed(-32100, "job_not_found", "There is no such job.", {})


class ScriptedEngine:
    """A job that writes lines and ends as its script says; some calls fail.

    Each step of the script is how many lines there are by then; after the last one the job has ended.
    """

    def __init__(self, *script: int, failures: Mapping[int, Exception] | None = None) -> None:
        self.script = list(script)
        self.failures = dict(failures or {})
        self.calls: list[str] = []

    def call(self, method: str, params: Mapping[str, Any]) -> dict[str, Any]:
        self.calls.append(method)
        if failure := self.failures.get(len(self.calls)):
            raise failure
        if method == "check_job":
            return {"job_id": "x", "status": "running"} | (
                {} if self.script else {"status": "completed", "finished": 1}
            )
        total = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        lines = [{"n": n, "line": f"line {n}", "stream": "stdout"} for n in range(params["skip"], total)]
        page = lines[: params["limit"]]
        ended = len(self.script) == 1 and self.script[0] == total
        if ended and len(page) == len(lines):
            self.script.clear()
        next_line = page[-1]["n"] + 1 if page else params["skip"]
        return {"lines": page, "next_line": next_line, "total_lines": total, "ended": int(ended)}


class Recorder(QuietView):
    def __init__(self) -> None:
        super().__init__()
        self.numbers: list[int] = []
        self.troubles: list[str] = []

    def line(self, line: Mapping[str, Any]) -> None:
        self.numbers.append(line["n"])

    def trouble(self, text: str) -> None:
        if text:
            self.troubles.append(text)


def follower(engine: ScriptedEngine, view: Recorder, **options: Any) -> Follower:
    pause: Callable[[float], None] = options.pop("pause", lambda _: None)
    return Follower(engine, "x", view, pause=pause, **options)  # type: ignore[arg-type]


def test_every_line_is_shown_once_and_in_order() -> None:
    view = Recorder()
    record = follower(ScriptedEngine(0, 3, 3, 2500, 4000), view).follow()
    assert view.numbers == list(range(4000))
    assert record["status"] == "completed"


def test_lines_that_are_held_already_are_not_shown_again() -> None:
    view = Recorder()
    follower(ScriptedEngine(5, 9), view).follow(skip=4)
    assert view.numbers == [4, 5, 6, 7, 8]


def test_a_restart_of_the_engine_loses_and_doubles_nothing() -> None:
    view = Recorder()
    failures = {2: Unreachable("nothing answers there"), 3: BUSY, 5: Unreachable("nothing answers there"), 6: BUSY}
    engine = ScriptedEngine(10, 20, 30, 40, failures=failures)
    assert follower(engine, view).follow()["status"] == "completed"
    assert view.numbers == list(range(40))
    assert len(view.troubles) == 4


def test_patience_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(follow, "PATIENCE_SECONDS", 0.0)
    failures = dict.fromkeys(range(1, 100), Unreachable("nothing answers there"))
    with pytest.raises(Unreachable):
        follower(ScriptedEngine(1, failures=failures), Recorder()).follow()


def test_a_refusal_is_not_asked_for_again() -> None:
    engine = ScriptedEngine(1, failures={1: GONE})
    with pytest.raises(CallFailed, match="no such job"):
        follower(engine, Recorder()).follow()
    assert len(engine.calls) == 1


def test_a_deadline_ends_the_wait() -> None:
    with pytest.raises(TimedOut):
        follower(ScriptedEngine(1, 1, 1), Recorder(), deadline=0.0).follow()


def test_waiting_without_the_log() -> None:
    engine = ScriptedEngine(1)
    pauses: list[float] = []

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 3:
            engine.script.clear()

    assert follower(engine, Recorder(), pause=pause).wait()["status"] == "completed"
    assert set(engine.calls) == {"check_job"}
    assert pauses == sorted(pauses)


@pytest.mark.parametrize(
    ("record", "words"),
    [
        ({"status": "queued"}, "queued"),
        (
            {"status": "created", "hold": {"code": "slots", "message": "All slots are taken."}},
            "created: All slots are taken.",
        ),
        ({"status": "running", "progress": {"percent": 40, "message": "reading"}}, "running: reading"),
        ({"status": "running", "cancel_requested": {"by": "alice"}}, "running, asked to stop"),
        ({"status": "running", "children": {"running": 2, "error": 1, "queued": 0}}, "running: 1 error, 2 running"),
    ],
)
def test_a_state_in_a_few_words(record: dict[str, Any], words: str) -> None:
    assert describe_state(record) == words


def test_into_a_terminal_goes_nothing_that_commands_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    line = {"n": 0, "line": "\x1b]0;gotcha\x07fine [bold]", "stream": "stdout"}
    with ScreenView() as view:
        view.line(line)
    assert capsys.readouterr().out == "\x1b]0;gotcha\x07fine [bold]\n", "a file gets it as it is"
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    with ScreenView() as view:
        view.state({"status": "running", "progress": {"percent": 40.0, "message": "counting"}})
        view.line(line)
    shown = capsys.readouterr().out
    assert "\x1b]0" not in shown
    assert "gotcha\N{REPLACEMENT CHARACTER}fine [bold]" in shown


def test_trouble_is_told_once_and_its_end_too(capsys: pytest.CaptureFixture[str]) -> None:
    view = QuietView()
    for text in ("", "Nothing answers there.", "Nothing answers there.", "", ""):
        view.trouble(text)
    assert capsys.readouterr().err == "Nothing answers there. Trying again.\nThe engine answers again.\n"
