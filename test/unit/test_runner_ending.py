import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from execution_engine.rpc.limits import Limits
from execution_engine.rpc.reading import parse
from execution_engine.runner import ending, folder
from execution_engine.runner.calls import encode
from execution_engine.runner.ending import Ending, ended_app
from execution_engine.runner.output import read_output
from execution_engine.runner.progress import read_progress

LIMIT = 1000


def leave(tmp_path: Path, content: object) -> Path:
    path = tmp_path / "output.json"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        path.write_text(json.dumps(content))
    return path


def cause(tmp_path: Path, status: int, content: object) -> dict[str, Any]:
    ended = ended_app(status, leave(tmp_path, content), LIMIT, "last line of stderr")
    assert ended.outcome == "error"
    assert ended.params() == {"outcome": "error", "cause": ended.cause}
    assert ended.cause is not None
    return ended.cause


@pytest.mark.parametrize("result", [[{"n50": 9609}], [], None, [12345678901234567890123456789, "é"]])
def test_a_result_completes_the_job(tmp_path: Path, result: object) -> None:
    ended = ended_app(0, leave(tmp_path, {"version": "1.1", "result": result}), LIMIT, "warnings")
    assert ended.params() == {"outcome": "completed", "output": result}


def test_an_error_of_null_beside_a_result_is_none(tmp_path: Path) -> None:
    assert ended_app(0, leave(tmp_path, {"result": [1], "error": None}), LIMIT, "").outcome == "completed"


@pytest.mark.parametrize("status", [0, 1])
def test_the_apps_own_error(tmp_path: Path, status: int) -> None:
    error = {"code": -32000, "name": "Server error", "message": "k must be 1 to 12", "error": "Traceback ..."}
    assert cause(tmp_path, status, {"version": "1.1", "error": error}) == {
        "code": "app_error",
        "message": "k must be 1 to 12",
        "detail": "Traceback ...",
        "exit_code": status,
    }


@pytest.mark.parametrize(
    ("error", "message"),
    [
        ("just a text", "just a text"),
        ({"name": "ValueError"}, "ValueError"),
        ({"message": {"en": "bad"}}, '{"en": "bad"}'),
        ({}, "The app reports an error without a message."),
    ],
)
def test_an_error_in_another_form(tmp_path: Path, error: object, message: str) -> None:
    found = cause(tmp_path, 1, {"error": error})
    assert (found["message"], found["detail"]) == (message, "last line of stderr")


@pytest.mark.parametrize("content", [None, b"{", {"result": [1]}])
def test_an_exit_code_is_an_error_whatever_is_left(tmp_path: Path, content: object) -> None:
    assert cause(tmp_path, 3, content) == {
        "code": "app_error",
        "message": "The app ended with exit code 3.",
        "detail": "last line of stderr",
        "exit_code": 3,
    }


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (signal.SIGSEGV, "The app was ended by signal 11 (SIGSEGV)."),
        (signal.SIGKILL, "The app was ended by signal 9 (SIGKILL); often the system's answer when memory runs out."),
        (50, "The app was ended by signal 50."),
    ],
)
def test_an_end_by_signal(tmp_path: Path, number: int, text: str) -> None:
    found = cause(tmp_path, -number, None)
    assert (found["code"], found["message"], found["exit_code"]) == ("app_error", text, 128 + number)


def test_no_output(tmp_path: Path) -> None:
    found = cause(tmp_path, 0, None)
    assert found["code"] == "app_no_output"
    assert found["message"] == "The app ended without saying an error, but it left no output.json."


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "is no JSON: Expecting value"),
        (b'{"result": [1', "is no JSON: Expecting ',' delimiter"),
        (b'{"result": [NaN]}', "is no JSON: NaN is no JSON number"),
        (b"\xff\xfe\xff", "is no JSON: "),
        (b'{"result":' + b"[" * 100_000, "is nested too deeply"),
        ([1], "must hold an object with a result or an error"),
        ({"version": "1.1"}, "must hold an object with a result or an error"),
        (b'{"result": [1e400]}', "has the number 1e400, which is beyond what a double can hold"),
        (b'{"result": [-1e999]}', "has the number -1e999, which is beyond what a double can hold"),
        (b'{"result": [-%s]}' % (b"7" * 4301), "has an integer of 4,301 digits; at most 4,300 are taken"),
        (b'{"result":' + b"[" * 189 + b"]" * 189 + b"}", "nests its result too deeply: at most 188 lists and objects"),
        (b'{"result": ["\\ud83d"]}', "has half of a surrogate pair, \\ud83d, which is no character"),
        ({"result": {"n": 1}}, 'The result in output.json must be a list of values, not {"n": 1}.'),
    ],
)
def test_bad_output(tmp_path: Path, content: object, problem: str) -> None:
    path = leave(tmp_path, content)
    found = ended_app(0, path, 1 << 20, "").cause
    assert found is not None
    assert found["code"] == "app_bad_output"
    assert problem in found["message"]


def test_what_the_engine_just_takes_is_no_problem(tmp_path: Path) -> None:
    nested: Any = "\0"
    for _ in range(94):
        nested = [{"a": nested}]
    result = [*nested, -(10**4300 - 1), 1e308]
    path = leave(tmp_path, {"result": result})
    ended = ended_app(0, path, 1 << 20, "")
    assert ended.params() == {"outcome": "completed", "output": result}
    call = {"jsonrpc": "2.0", "id": 1, "method": "ExecutionEngine.finish_job", "params": ended.params()}
    assert parse(encode(call), Limits().depth) == call


def test_an_apps_error_is_told_however_deeply_it_is_nested(tmp_path: Path) -> None:
    content = b'{"error": {"message": "no genome", "error": ' + b"[" * 250 + b"]" * 250 + b"}}"
    assert cause(tmp_path, 1, content)["message"] == "no genome"


@pytest.mark.parametrize("kind", ["link", "pipe", "folder"])
def test_only_a_plain_file_is_read(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "output.json"
    secret = tmp_path / "runner.json"
    secret.write_text('{"result": ["secret"]}')
    {"link": lambda: path.symlink_to(secret), "pipe": lambda: os.mkfifo(path), "folder": path.mkdir}[kind]()
    output = read_output(path, LIMIT)
    assert output.result is None
    assert "can't be read" in output.problem


def test_an_output_is_measured_as_compact_json(tmp_path: Path) -> None:
    result = [{"text": "é" * 487}]
    path = tmp_path / "output.json"
    path.write_text(json.dumps({"result": result}, indent=4, ensure_ascii=False) + " " * 1000)
    assert read_output(path, LIMIT).size == 487 * 2 + len('[{"text":""}]')
    assert ended_app(0, path, 987, "").outcome == "completed"
    too_large = ended_app(0, path, 986, "").cause
    assert too_large is not None
    assert too_large["code"] == "output_too_large"
    assert too_large["message"] == (
        "The app's output has 987 bytes, and at most 986 are taken: save large results as an object or a file, and"
        " return a reference."
    )


def test_a_huge_output_is_not_even_read(tmp_path: Path) -> None:
    path = tmp_path / "output.json"
    path.touch()
    os.truncate(path, 1 << 40)
    found = ended_app(0, path, LIMIT, "").cause
    assert found is not None
    assert found["code"] == "output_too_large"
    assert "1,099,511,627,776 bytes" in found["message"]


def test_a_failure_on_a_full_disk_names_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ending.os, "statvfs", lambda _: os.statvfs_result((4096, 4096, 100, 9, 9, 5, 5, 5, 0, 255)))
    assert cause(tmp_path, 1, None)["code"] == "disk_full"
    assert cause(tmp_path, 0, None)["code"] == "disk_full"
    assert cause(tmp_path, 1, {"error": {"message": "mine"}})["code"] == "app_error"
    assert ended_app(0, leave(tmp_path, {"result": []}), LIMIT, "").outcome == "completed"


def test_long_texts_are_cut_where_they_say_least() -> None:
    found = ending.failed("app_error", "m" * 5000, detail="a" * 30_000 + "the reason").cause
    assert found is not None
    assert len(found["message"]) == 2000
    assert len(found["detail"]) == 20_000
    assert found["detail"].endswith("the reason")


def test_a_detail_that_only_repeats_the_message_is_left_out(tmp_path: Path) -> None:
    content = {"error": {"message": "last line of stderr"}}
    assert cause(tmp_path, 1, content) == {"code": "app_error", "message": "last line of stderr", "exit_code": 1}


def test_characters_that_the_engine_refuses_do_not_cost_the_message(tmp_path: Path) -> None:
    found = cause(tmp_path, 1, {"error": {"message": "no\0genome \ud83d", "error": "\udc00"}})
    assert (found["message"], found["detail"]) == ("no\u2400genome ?", "?")


def test_a_termination_has_a_cause_and_no_output() -> None:
    ended = Ending("terminated", cause={"code": "cancelled"})
    assert ended.params() == {"outcome": "terminated", "cause": {"code": "cancelled"}}


@pytest.mark.parametrize(
    ("content", "progress"),
    [
        ('{"percent": 40, "message": "reading"}', {"percent": 40.0, "message": "reading"}),
        ('{"percent": 140.5}', {"percent": 100.0}),
        ('{"percent": -1, "message": ""}', {"percent": 0.0}),
        ('{"percent": "half", "message": 3}', {}),
        ('{"percent": true}', {}),
        ('{"percent": NaN}', {}),
        ('{"message": "\\ud800 \\u0000"}', {"message": "? ␀"}),
        ('{"message": "' + "x" * 600 + '"}', {"message": "x" * 500}),
        ("[40]", {}),
        ('{"perc', {}),
        ("[" * 50_000, {}),
    ],
)
def test_progress(tmp_path: Path, content: str, progress: dict[str, Any]) -> None:
    path = tmp_path / "progress.json"
    assert read_progress(path) == {}
    path.write_text(content)
    assert read_progress(path) == progress


def test_an_app_file_is_read_up_to_a_bound(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"0123456789")
    assert folder.read_app_file(tmp_path / "f", 4) == b"0123"
