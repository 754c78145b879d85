"""The command line of the runner."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

USAGE = (
    "usage: runner --url URL --job ID --attempt N --ticket-file FILE --dir FOLDER"
    " [--run-as ACCOUNT] [--grace SECONDS] [--spool-mb MIB]"
)


class UsageError(Exception):
    """The command line can't be understood; the text says why."""


class Options:
    """What the backend told the runner.

    ``grace``: seconds between the request to end (TERM) and the end by force (KILL). ``spool_bytes``: how much log
    may wait on disk while the engine can't be reached. ``run_as``: the account of the app, None for the runner's own;
    another one needs Python 3.9 or later on the worker.
    """

    def __init__(
        self,
        *,
        url: str,
        job_id: str,
        attempt: int,
        ticket_file: Path,
        directory: Path,
        run_as: str | None = None,
        grace: float = 5.0,
        spool_bytes: int = 1 << 30,
    ) -> None:
        self.url = url
        self.job_id = job_id
        self.attempt = attempt
        self.ticket_file = ticket_file
        self.directory = directory
        self.run_as = run_as
        self.grace = grace
        self.spool_bytes = spool_bytes


def parse(argv: list[str]) -> Options:
    """Options from the arguments after the program's name.

    Raises:
        UsageError: an option is missing, unknown or has an unusable value.
    """
    given = _pairs(argv)
    try:
        options = Options(
            url=given.pop("--url"),
            job_id=given.pop("--job"),
            attempt=int(given.pop("--attempt")),
            ticket_file=Path(given.pop("--ticket-file")),
            directory=Path(given.pop("--dir")).absolute(),
            run_as=given.pop("--run-as", None),
            grace=float(given.pop("--grace", "5")),
            spool_bytes=int(given.pop("--spool-mb", "1024")) << 20,
        )
    except KeyError as missing:
        raise UsageError(f"{missing.args[0]} is missing") from None
    except ValueError as wrong:
        raise UsageError(f"a number is expected: {wrong}") from None
    if given:
        raise UsageError(f"unknown: {', '.join(given)}")
    _check_url(options.url)
    return options


def _check_url(url: str) -> None:
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise UsageError(f"--url must be a URL like https://host:port/services/ee, not {url!r}")


def _pairs(argv: list[str]) -> dict[str, str]:
    if len(argv) % 2:
        raise UsageError("every option has one value")
    return {argv[i]: argv[i + 1] for i in range(0, len(argv), 2)}
