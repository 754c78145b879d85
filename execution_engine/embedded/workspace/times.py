"""Times as the Workspace writes and reads them; inside they are milliseconds since the epoch."""

import re
from datetime import datetime

from execution_engine.core.clock import from_ms, to_ms
from execution_engine.embedded.workspace.errors import WorkspaceError

_SHAPE = "0000-00-00T00:00:00"
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,3})?(Z|[+-]\d\d:?\d\d)?", re.ASCII)


def format_time(milliseconds: int) -> str:
    """To the second, in UTC: 2026-11-22T17:54:05+0000."""
    return from_ms(milliseconds).strftime("%Y-%m-%dT%H:%M:%S+0000")


def parse_time(text: str) -> int:
    """Milliseconds of a time with zone: 2026-11-22T17:54:05Z, with or without a fraction, or with +01:00 or +0100.

    Raises:
        WorkspaceError: it is not such a time.
    """
    found = _TIME.fullmatch(text)
    if not found:
        raise WorkspaceError(f"Unparseable date: Text '{text}' could not be parsed at index {_first_difference(text)}")
    if found[2] is None:
        raise WorkspaceError(f"Date '{text}' does not have time zone information")
    try:
        return to_ms(datetime.fromisoformat(text))
    except ValueError as error:
        raise WorkspaceError(f"Unparseable date: Text '{text}' could not be parsed: {error}") from None


def _first_difference(text: str) -> int:
    """The first place where ``text`` is no date and time; their end, if the rest is wrong."""
    for place, shape in enumerate(_SHAPE):
        is_right = text[place : place + 1].isdigit() if shape == "0" else text[place : place + 1] == shape
        if not is_right:
            return place
    return len(_SHAPE)


def choose_time(text: str | None, milliseconds: int | None, name: str) -> int | None:
    """The time that is given in one of the two ways, or None.

    Raises:
        WorkspaceError: it is given in both, or is no time.
    """
    if text is None:
        return milliseconds
    if milliseconds is not None:
        raise WorkspaceError(f"Cannot specify both timestamp and epoch for {name}")
    return parse_time(text)
