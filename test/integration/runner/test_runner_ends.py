import json
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from runner_engine import CREDENTIAL, RunnerEngine

Start = Callable[..., Any]
OK = """echo '{"version":"1.1","result":[{"answer":42}]}' > output.json"""


def test_a_job_from_ticket_to_result(engine: RunnerEngine, app: Start, start_runner: Start) -> None:
    engine.first_line = 12
    app(f"echo started; echo careful >&2; {OK}")
    runner = start_runner()
    assert runner.exit_code() == 0
    assert engine.finishes == [
        {"job_id": engine.job_id, "attempt": 1, "outcome": "completed", "output": [{"answer": 42}]}
    ]
    assert sorted((line["stream"], line["line"]) for line in engine.log) == [
        ("stderr", "careful"),
        ("stdout", "started"),
    ]
    assert [name for name, _ in engine.calls][:2] == ["start_job", "get_job_params"]
    assert engine.calls[0][1]["host"] == socket.gethostname()
    assert next(params for name, params in engine.calls if name == "add_job_logs")["first_line"] == 12
    assert json.loads((runner.dir / "runner.json").read_text()) == {"runner": engine.runner, "credential": CREDENTIAL}


def test_what_the_app_is_given(engine: RunnerEngine, app: Start, start_runner: Start) -> None:
    app(f"env | sort; cat input.json; echo; stat -c %a:%n token; cat token; {OK}", token="the-token", wsid=9)
    runner = start_runner(EE_SECRET="of the backend")
    assert runner.exit_code() == 0
    lines = engine.lines()
    assert "KB_AUTH_TOKEN=the-token" in lines
    assert "EE_WSID=9" in lines
    assert f"EE_ATTEMPT_TAG=ee.{engine.job_id}.1" in lines
    assert f"HOME={runner.work}" in lines
    assert "600:token" in lines
    assert not any("of the backend" in line or CREDENTIAL in line for line in lines)
    request = json.loads(next(line for line in lines if line.startswith("{")))
    assert request["params"] == [{"n": 1}]
    assert request["context"] == {"service_ver": "0f0f0f", "user": "alice", "wsid": 9}
    assert not (runner.work / "token").exists()


@pytest.mark.parametrize(
    ("script", "code", "message"),
    [
        ("echo broken >&2; exit 7", "app_error", "The app ended with exit code 7."),
        ("kill -11 $$", "app_error", "The app was ended by signal 11 (SIGSEGV)."),
        ("true", "app_no_output", "The app ended without saying an error, but it left no output.json."),
        ("echo nonsense > output.json", "app_bad_output", "The app's output.json is no JSON: Expecting value: line 1"),
        (
            """echo '{"result":[1e400]}' > output.json""",
            "app_bad_output",
            "The app's output.json has the number 1e400, which is beyond what a double can hold.",
        ),
        (
            """python3 -c 'print("{\\"result\\":" + "[" * 250 + "]" * 250 + "}")' > output.json""",
            "app_bad_output",
            "The app's output.json nests its result too deeply: at most 188",
        ),
        ("""echo '{"error":{"message":"no such genome"}}' > output.json; exit 1""", "app_error", "no such genome"),
        (
            """printf '{"result":["%0200000d"]}' 1 > output.json""",
            "output_too_large",
            "The app's output has 200,004 bytes, and at most 100,000 are taken",
        ),
    ],
)
def test_the_ways_in_which_an_app_fails(
    engine: RunnerEngine, app: Start, start_runner: Start, script: str, code: str, message: str
) -> None:
    app(script)
    assert start_runner().exit_code() == 0
    assert engine.finishes[0]["outcome"] == "error"
    assert engine.cause()["code"] == code
    assert engine.cause()["message"].startswith(message)
    if "broken" in script:
        assert engine.cause()["detail"] == "broken"
        assert engine.cause()["exit_code"] == 7


def test_an_app_that_can_not_be_executed(engine: RunnerEngine, app: Start, start_runner: Start, tmp_path: Path) -> None:
    app("")
    engine.work["app"]["command"] = ["./app.sh"]
    assert start_runner().exit_code() == 0
    assert engine.cause() == {
        "code": "app_not_executable",
        "message": f"The app's program {tmp_path}/app/app.sh can't be executed on the worker {socket.gethostname()}:"
        f" permission denied; make it executable (chmod +x {tmp_path}/app/app.sh).",
    }


def test_an_app_that_is_a_container(engine: RunnerEngine, start_runner: Start) -> None:
    engine.work["app"] = {"kind": "container", "command": [], "directory": "", "image": "kbase/app:1"}
    assert start_runner().exit_code() == 0
    assert engine.cause()["code"] == "container_unsupported"


def test_a_job_that_was_cancelled_before_it_began(engine: RunnerEngine, app: Start, start_runner: Start) -> None:
    app("echo never")
    engine.cancel_requested = 1
    runner = start_runner()
    assert runner.exit_code() == 0
    assert engine.finishes[0]["outcome"] == "terminated"
    assert engine.cause() == {"code": "cancelled"}
    assert engine.log == []
    assert not runner.work.exists()


def test_a_job_whose_time_was_over_before_it_began(engine: RunnerEngine, app: Start, start_runner: Start) -> None:
    app("echo never", time_left_ms=0)
    assert start_runner().exit_code() == 0
    assert engine.cause()["code"] == "time_limit"
    assert engine.log == []


@pytest.mark.parametrize("reason", ["ticket_used", "credential_invalid", "job_not_found", "wrong_state"])
def test_a_runner_that_may_not_start_goes_quietly(
    engine: RunnerEngine, app: Start, start_runner: Start, reason: str
) -> None:
    app("echo never")
    engine.refuse["start_job"] = reason
    runner = start_runner()
    assert runner.exit_code() == 3
    assert [name for name, _ in engine.calls] == ["start_job"]
    assert f"not started: Refused here. [{reason}]" in runner.errors()
    assert not runner.work.exists()


def test_a_second_runner_in_the_same_folder_goes_quietly(engine: RunnerEngine, app: Start, start_runner: Start) -> None:
    app(OK)
    assert start_runner().exit_code() == 0
    calls = len(engine.calls)
    second = start_runner()
    assert second.exit_code() == 3
    assert "another runner works or worked in" in second.errors()
    assert len(engine.calls) == calls


def test_a_second_runner_elsewhere_gets_no_second_start(engine: RunnerEngine, app: Start, start_runner: Start) -> None:
    app(OK)
    assert start_runner().exit_code() == 0
    assert start_runner(folder="other").exit_code() == 3
    assert len(engine.finishes) == 1


def test_parameters_that_the_engine_does_not_give(engine: RunnerEngine, start_runner: Start) -> None:
    engine.refuse["get_job_params"] = "invalid_params"
    assert start_runner().exit_code() == 0
    assert engine.cause() == {
        "code": "start_failed",
        "message": "The engine refuses to describe the job to its runner: Refused here.",
    }


def test_a_description_of_another_time(engine: RunnerEngine, start_runner: Start) -> None:
    engine.work = {"job_id": engine.job_id}
    assert start_runner().exit_code() == 0
    assert engine.cause()["code"] == "start_failed"


def test_a_defect_still_ends_the_job(engine: RunnerEngine, app: Start, start_runner: Start) -> None:
    app("echo never", limits={})
    runner = start_runner()
    assert runner.exit_code() == 0
    assert engine.cause()["code"] == "runner_lost"
    assert "failed: KeyError: 'line_chars'" in engine.cause()["message"]
    assert "Traceback" in runner.errors()


def test_a_job_folder_that_can_not_be_made(
    engine: RunnerEngine, app: Start, start_runner: Start, tmp_path: Path
) -> None:
    app("echo never")
    (tmp_path / "job").mkdir()
    (tmp_path / "job" / "work").write_text("in the way")
    assert start_runner().exit_code() == 0
    assert engine.cause()["code"] == "setup_failed"
    assert str(tmp_path / "job") in engine.cause()["message"]
