"""What people see: standard output for answers, standard error for remarks; and JSON for programs."""

import datetime as dt
import json
import sys
from typing import Any

from rich.console import Console
from rich.text import Text

PIPE_WIDTH = 200  # wide enough that tables keep whole ids where no terminal says how wide it is
STATUS_STYLES = {
    "created": "yellow",
    "estimating": "yellow",
    "queued": "yellow",
    "running": "cyan",
    "completed": "green",
    "error": "red",
    "terminated": "magenta",
}


def console(*, stderr: bool = False) -> Console:
    """A console on the present standard output or error; styles only if that is a terminal."""
    stream = sys.stderr if stderr else sys.stdout
    return Console(stderr=stderr, highlight=False, markup=False, width=None if stream.isatty() else PIPE_WIDTH)


def note(text: str) -> None:
    """A remark for people; programs that read standard output don't see it."""
    console(stderr=True).print(Text(harmless(text), style="dim"), soft_wrap=True)


def complain(text: str) -> None:
    """An error, on standard error."""
    console(stderr=True).print(Text.assemble(("Error: ", "bold red"), harmless(text)), soft_wrap=True)


def print_json(value: Any) -> None:
    """One value on one line."""
    print(json.dumps(value, ensure_ascii=False), flush=True)


def harmless(text: str) -> str:
    """``text`` without characters that command a terminal: jobs write it, and their authors are not the reader."""
    return "".join(char if char.isprintable() or char in "\t\n" else "\N{REPLACEMENT CHARACTER}" for char in text)


def status_text(status: str) -> Text:
    """A status in its colour."""
    return Text(status, style=STATUS_STYLES.get(status, ""))


def local_time(milliseconds: int | None) -> str:
    """A time of the wire in this machine's zone; empty if there is none."""
    if milliseconds is None:
        return ""
    return dt.datetime.fromtimestamp(milliseconds / 1000, dt.UTC).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def duration(milliseconds: int) -> str:
    """A length of time, with two units at most."""
    seconds = milliseconds / 1000
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, hours, days = int(seconds // 60), int(seconds // 3600), int(seconds // 86400)
    if minutes < 60:
        return f"{minutes} min {int(seconds % 60)} s"
    if hours < 48:
        return f"{hours} h {minutes % 60} min"
    return f"{days} d {hours % 24} h"
