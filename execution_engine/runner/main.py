"""The runner's command line: executes one attempt and says by its exit code how far it came."""

from __future__ import annotations

import os

from .attempt import Attempt, NotStarted
from .calls import Refused
from .notes import note
from .options import USAGE, UsageError, parse
from .orders import Orders

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path

EXIT_REPORTED = 0  # the attempt ended, well or not, and the engine knows
EXIT_USAGE = 2  # wrong command line, or no ticket in the file
EXIT_NOT_STARTED = 3  # the engine did not let this runner start, or another runner works here: nothing was executed
EXIT_STOPPED = 4  # told to stop before the engine had answered: nothing was executed
EXIT_DISOWNED = 5  # the engine wants nothing more of this attempt; the app was stopped


def main(argv: list[str]) -> int:
    """Execute the attempt that ``argv`` describes; the exit code."""
    try:
        options = parse(argv)
        ticket = read_ticket(options.ticket_file)
    except UsageError as error:
        note(f"{error}\n{USAGE}")
        return EXIT_USAGE
    os.umask(0o022)  # what the app makes is readable, whatever the backend's habits
    orders = Orders()
    orders.listen_to_signals()
    try:
        reported = Attempt(options, orders).run(ticket)
    except (Refused, NotStarted) as why:
        note(f"not started: {why}")
        return EXIT_STOPPED if orders.stopped and isinstance(why, NotStarted) else EXIT_NOT_STARTED
    if not reported:
        note(f"the engine wants nothing more of this attempt: {orders.refusal}")
    return EXIT_REPORTED if reported else EXIT_DISOWNED


def read_ticket(path: Path) -> str:
    """The start ticket in the file ``path``.

    Raises:
        UsageError: the file can't be read, or is empty.
    """
    try:
        ticket = path.read_text().strip()
    except (OSError, ValueError) as error:
        raise UsageError(f"the ticket file can't be read: {error}") from error
    if not ticket:
        raise UsageError(f"the ticket file {path} is empty")
    return ticket
