import json
import logging
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from execution_engine.core import context
from execution_engine.core.logs import JsonLines, configure_logging


def written(record: logging.LogRecord) -> Any:
    text = JsonLines().format(record)
    assert "\n" not in text
    return json.loads(text)


def made(message: str, *args: Any, exc_info: Any = None, **extra: Any) -> logging.LogRecord:
    logger = logging.getLogger("execution_engine.test")
    return logger.makeRecord(logger.name, logging.WARNING, "file.py", 1, message, args, exc_info, extra=extra)


def test_a_record_is_one_line_of_json_with_what_the_caller_added() -> None:
    record = made("%d jobs\nwait", 3, request_id="abc", path={"odd"})
    record.created = 1_800_000_000.5
    assert written(record) == {
        "time": "2027-01-15T08:00:00.500+00:00",
        "level": "WARNING",
        "logger": "execution_engine.test",
        "message": "3 jobs\nwait",
        "request_id": "abc",
        "path": "{'odd'}",
    }


def test_an_exception_comes_with_its_traceback() -> None:
    try:
        int("what went wrong")
    except ValueError:
        line = written(made("failed", exc_info=sys.exc_info()))
    assert line["traceback"].startswith("Traceback")
    assert line["traceback"].endswith("ValueError: invalid literal for int() with base 10: 'what went wrong'")


@pytest.fixture
def restored() -> Iterator[None]:
    root, ours = logging.getLogger(), logging.getLogger("execution_engine")
    before = root.handlers, root.level, ours.level
    yield
    root.handlers = before[0]
    root.setLevel(before[1])
    ours.setLevel(before[2])


@pytest.mark.usefixtures("restored")
def test_the_engine_is_heard_from_its_level_on_and_other_libraries_from_warnings_on(
    capsys: pytest.CaptureFixture[str],
) -> None:
    configure_logging("info")
    logging.getLogger("execution_engine.x").debug("not this")
    logging.getLogger("execution_engine.x").info("this")
    logging.getLogger("pymongo").info("nor this")
    logging.getLogger("pymongo").warning("and this")
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["message"] for line in lines] == ["this", "and this"]


def test_a_line_of_a_call_says_which_call_by_whom_for_which_job() -> None:
    marked = context.request_id.set("r1")
    context.user.set("alice")
    context.job.set("6b03511fd01231430d147e87")
    try:
        line = written(made("the Workspace is slow"))
    finally:
        context.request_id.reset(marked)
        context.begin_call()
    assert (line["request_id"], line["user"], line["job"]) == ("r1", "alice", "6b03511fd01231430d147e87")
    assert "user" not in written(made("idle again"))
