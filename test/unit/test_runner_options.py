import re
from pathlib import Path

import pytest

from execution_engine.runner.main import EXIT_USAGE, main
from execution_engine.runner.options import UsageError, parse

GIVEN = {"--url": "http://h:5/services/ee", "--job": "j", "--attempt": "2", "--ticket-file": "t", "--dir": "/d"}


def argv(**changed: str) -> list[str]:
    options = {**GIVEN, **{f"--{name.replace('_', '-')}": value for name, value in changed.items()}}
    return [part for pair in options.items() for part in pair]


def test_the_backend_says_what_to_do() -> None:
    options = parse(argv())
    assert (options.url, options.job_id, options.attempt) == ("http://h:5/services/ee", "j", 2)
    assert (options.ticket_file, options.directory) == (Path("t"), Path("/d"))
    assert (options.run_as, options.grace, options.spool_bytes) == (None, 5.0, 1 << 30)


def test_what_may_be_set() -> None:
    options = parse(argv(run_as="nobody", grace="0.5", spool_mb="10"))
    assert (options.run_as, options.grace, options.spool_bytes) == ("nobody", 0.5, 10 << 20)


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (argv()[2:], "--url is missing"),
        (argv()[:-1], "every option has one value"),
        (argv(attempt="one"), "a number is expected: .*'one'"),
        (argv(spool_mb="much"), "a number is expected: .*'much'"),
        (argv(colour="red"), "unknown: --colour"),
        (argv(url="ftp://h/"), "--url must be a URL like .*, not 'ftp://h/'"),
        (argv(url="http:///ee"), "--url must be a URL"),
        (argv(url="http://[::1/ee"), "--url must be a URL"),
    ],
)
def test_what_is_wrong_is_named(arguments: list[str], why: str) -> None:
    with pytest.raises(UsageError, match=why):
        parse(arguments)


def test_a_wrong_command_line_has_its_own_exit_code(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == EXIT_USAGE
    assert "usage: runner --url URL" in capsys.readouterr().err


@pytest.mark.parametrize(("content", "why"), [(None, "can't be read: .*No such file"), ("\n", "is empty")])
def test_without_ticket_nothing_is_tried(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str | None, why: str
) -> None:
    ticket = tmp_path / "ticket"
    if content is not None:
        ticket.write_text(content)
    assert main(argv(ticket_file=str(ticket))) == EXIT_USAGE
    assert re.search(why, capsys.readouterr().err)
