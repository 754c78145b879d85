"""What the command line's exit codes mean: one table, for `--help`, the documentation and the code."""

from collections.abc import Mapping
from enum import IntEnum
from typing import Any


class Exit(IntEnum):
    """Exit codes that a script can rely on."""

    OK = 0
    JOB_ERROR = 1
    USAGE = 2
    UNREACHABLE = 3
    REFUSED = 4
    JOB_TERMINATED = 5
    TIMED_OUT = 6
    ENGINE_FAILED = 7
    INTERRUPTED = 130


MEANINGS = {
    Exit.OK: "done; the job that was waited for has completed",
    Exit.JOB_ERROR: "the job that was waited for ended in error; up: could not start",
    Exit.USAGE: "the command or an option is wrong, or there is no token",
    Exit.UNREACHABLE: "the engine, or a service that it needs, can't be reached",
    Exit.REFUSED: "the engine refuses: token, permission, unknown job or app, bad parameters",
    Exit.JOB_TERMINATED: "the job that was waited for was terminated",
    Exit.TIMED_OUT: "the time given by --timeout has passed; the job goes on",
    Exit.ENGINE_FAILED: "the engine failed in a way that it did not foresee",
    Exit.INTERRUPTED: "interrupted (Ctrl-C); a job that was followed goes on",
}

_BY_STATUS = {"error": Exit.JOB_ERROR, "terminated": Exit.JOB_TERMINATED}


def exit_of_job(record: Mapping[str, Any]) -> Exit:
    """The exit code that tells how a job ended."""
    return _BY_STATUS.get(record["status"], Exit.OK)


def help_text() -> str:
    """The table as the end of `--help`."""
    # The backspace keeps click from joining the lines.
    return "\b\nExit codes:\n" + "\n".join(f"  {code:>3}  {meaning}" for code, meaning in MEANINGS.items())
