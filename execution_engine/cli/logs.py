"""`execution-engine logs`: a job's console log, whole, its end, or as it grows."""

import sys
from typing import Any

import click

from execution_engine.cli.connection import Connection, connection_options
from execution_engine.cli.follow import PAGE_LINES
from execution_engine.cli.submit import stay
from execution_engine.cli.views import JsonView, ScreenView


@click.command(short_help="Show a job's log.")
@click.argument("job_id", metavar="JOB")
@click.option("--follow", "-f", is_flag=True, help="Go on until the job has ended.")
@click.option("--tail", type=click.IntRange(1, 10_000), metavar="N", help="Only the last N lines there are now.")
@click.option("--timeout", type=click.FloatRange(min=0), metavar="SECONDS", help="With --follow: no longer than this.")
@click.option("--json", "as_json", is_flag=True, help="For programs: one JSON object a line.")
@connection_options
def logs(
    connection: Connection, job_id: str, *, follow: bool, tail: int | None, timeout: float | None, as_json: bool
) -> None:
    """Show the lines that a job wrote.

    With --follow the exit code tells how the job ended.
    """
    engine = connection.engine()
    view = JsonView() if as_json else ScreenView()
    held = 0
    if tail is not None:
        held = _show(view, engine.call("get_logs", {"job_id": job_id, "tail": tail})["lines"])
    if follow:
        sys.exit(stay(engine, job_id, follow=True, timeout=timeout, as_json=as_json, skip=held))
    while tail is None:
        log = engine.call("get_logs", {"job_id": job_id, "skip": held, "limit": PAGE_LINES})
        if not log["lines"]:
            return
        held = _show(view, log["lines"])


def _show(view: ScreenView | JsonView, lines: list[dict[str, Any]]) -> int:
    """The number of the next line after these; 0 if there are none."""
    for line in lines:
        view.line(line)
    return lines[-1]["n"] + 1 if lines else 0
