"""How an attempt ended, in the words of ``finish_job``."""

from __future__ import annotations

import os
import signal
import socket

from .output import Output, read_output

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

MAX_MESSAGE = 2_000
MAX_DETAIL = 20_000
FULL_BYTES = 64 << 10


class Ending:
    """``outcome`` (completed, error or terminated), with ``output`` or ``cause`` as finish_job takes them."""

    def __init__(self, outcome: str, *, output: list[Any] | None = None, cause: dict[str, Any] | None = None) -> None:
        self.outcome = outcome
        self.output = output
        self.cause = cause

    def params(self) -> dict[str, Any]:
        """The part of finish_job's parameters that says how it ended."""
        if self.cause is not None:
            return {"outcome": self.outcome, "cause": self.cause}
        return {"outcome": self.outcome, "output": self.output}


def failed(code: str, message: str = "", *, detail: str = "", exit_code: int | None = None) -> Ending:
    """An error; of an overlong ``detail`` the end, where it says what happened, and nothing if it is the message."""
    cause: dict[str, Any] = {"code": code}
    message, detail = _legal(message), _legal(detail)
    if message:
        cause["message"] = message[:MAX_MESSAGE]
    if detail and detail.strip() != message.strip():
        cause["detail"] = detail[-MAX_DETAIL:]
    if exit_code is not None:
        cause["exit_code"] = exit_code
    return Ending("error", cause=cause)


def _legal(text: str) -> str:
    """The text without what the engine refuses: NUL, halves of surrogate pairs."""
    return text.replace("\0", "\u2400").encode("utf-8", "replace").decode()


def ended_app(status: int, output_file: Path, limit: int, last_errors: str) -> Ending:
    """The end of an app that nobody stopped.

    ``status``: exit code, or minus the signal. ``limit``: bytes of result. ``last_errors``: the end of stderr.
    """
    exit_code = status if status >= 0 else 128 - status  # as shells count
    output = read_output(output_file, limit)
    if output.error is not None:
        return _app_said(output.error, exit_code, last_errors)
    cause = _cause_by_status(status, output, output_file.parent) or _cause_by_output(output, limit)
    if cause is not None:
        code, message = cause
        return failed(code, message, detail=last_errors, exit_code=exit_code)
    return Ending("completed", output=output.result)


def too_large_text(size: int, limit: int) -> str:
    """What the user is told about an output of ``size`` bytes."""
    return (
        f"The app's output has {size:,} bytes, and at most {limit:,} are taken: save large results as an object or"
        " a file, and return a reference."
    )


def _app_said(error: dict[str, str], exit_code: int, last_errors: str) -> Ending:
    message = error["message"] or error["name"] or "The app reports an error without a message."
    return failed("app_error", message, detail=error["error"] or last_errors, exit_code=exit_code)


def _cause_by_status(status: int, output: Output, folder: Path) -> tuple[str, str] | None:
    if (status or output.missing) and _disk_full(folder):
        return "disk_full", f"The disk of the job's folder {folder} on {socket.gethostname()} is full."
    return ("app_error", _exit_text(status)) if status else None


def _cause_by_output(output: Output, limit: int) -> tuple[str, str] | None:
    if output.missing:
        return "app_no_output", "The app ended without saying an error, but it left no output.json."
    if output.problem:
        return "app_bad_output", output.problem
    return ("output_too_large", too_large_text(output.size, limit)) if output.size > limit else None


def _exit_text(status: int) -> str:
    if status > 0:
        return f"The app ended with exit code {status}."
    try:
        name = f" ({signal.Signals(-status).name})"
    except ValueError:
        name = ""
    hint = "; often the system's answer when memory runs out" if -status == signal.SIGKILL else ""
    return f"The app was ended by signal {-status}{name}{hint}."


def _disk_full(folder: Path) -> bool:
    space = os.statvfs(folder)
    return space.f_bavail * space.f_frsize < FULL_BYTES
