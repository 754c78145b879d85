"""`execution-engine jobs` and `show`: what there is, and everything about one of it."""

import datetime as dt
import re
from typing import Any

import click
from rich.text import Text

from execution_engine.cli.connection import Connection, connection_options
from execution_engine.cli.results import render_output
from execution_engine.cli.screen import console, note, print_json
from execution_engine.cli.tables import history_table, job_details, jobs_table
from execution_engine.core.states import Status

_AGO = re.compile(r"(\d+)([smhd])")
_UNIT_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def moment(text: str) -> int:
    """A time in milliseconds since 1970: so long ago (90m, 2h, 3d), or a date with or without a time of day.

    Raises:
        click.BadParameter: it is neither.
    """
    if ago := _AGO.fullmatch(text):
        found = dt.datetime.now(dt.UTC) - dt.timedelta(seconds=int(ago[1]) * _UNIT_SECONDS[ago[2]])
    else:
        try:
            found = dt.datetime.fromisoformat(text)
        except ValueError:
            expected = "for example 2h, 3d, 2026-05-01 or 2026-05-01T09:30"
            raise click.BadParameter(f"{text!r} is no time; expected {expected}.") from None
    return int(found.timestamp() * 1000)


@click.command(short_help="List jobs.")
@click.option("--scope", type=click.Choice(["mine", "shared", "workspace", "all"]), help="Default: mine.")
@click.option(
    "--shared", "scope", flag_value="shared", help="Those of others that I may read, by workspace or by name."
)
@click.option("--all-users", "scope", flag_value="all", help="Those of everybody; for administrators.")
@click.option(
    "--workspace", "wsids", type=click.IntRange(min=1), metavar="N", multiple=True, help="Those of a workspace."
)
@click.option("--of", "owner", metavar="USER", help="Only this user's.")
@click.option("--status", multiple=True, type=click.Choice([str(status) for status in Status]), help="May be repeated.")
@click.option("--method", help="Only jobs of this method (module.function).")
@click.option("--app-id", help="Only jobs of this Narrative app (module/app).")
@click.option("--app", help="Only jobs of Narrative apps whose name begins so (module/).")
@click.option("--client-group", help="Only jobs of this client group.")
@click.option("--backend", help="Only jobs on this backend.")
@click.option("--words", help="Only failed jobs whose error has all of these words.")
@click.option("--id", "job_id", metavar="PREFIX", help="Only jobs whose id begins so (8 digits or more).")
@click.option("--since", "created_from", type=moment, metavar="TIME", help="Created at or after: 2h, 3d, 2026-05-01.")
@click.option("--until", "created_to", type=moment, metavar="TIME", help="Created before.")
@click.option("--ended-since", "finished_from", type=moment, metavar="TIME", help="Ended at or after.")
@click.option("--ended-until", "finished_to", type=moment, metavar="TIME", help="Ended before.")
@click.option("--sort", type=click.Choice(["created", "finished"]), default="created", show_default=True)
@click.option("--order", type=click.Choice(["asc", "desc"]), default="desc", show_default=True)
@click.option("--limit", type=click.IntRange(1, 1000), default=20, show_default=True, help="Jobs a page.")
@click.option("--hidden", is_flag=True, help="Also those that I have hidden.")
@click.option("--all-pages", is_flag=True, help="All of them, not only the first page.")
@click.option("--json", "as_json", is_flag=True, help="For programs: JSON on one line.")
@connection_options
def jobs(
    connection: Connection,
    *,
    status: tuple[str, ...],
    wsids: tuple[int, ...],
    owner: str | None,
    hidden: bool,
    all_pages: bool,
    as_json: bool,
    **filters: Any,
) -> None:
    """List jobs, newest first: my own, those shared with me, those of workspaces, or all.

    A search for rare jobs among very many may stop before its end; it then says so, and --all-pages goes on.
    """
    engine = connection.engine()
    request = {name: value for name, value in filters.items() if value is not None}
    request |= {"status": list(status)} if status else {}
    request |= {"user": owner} if owner else {}
    request |= {"wsids": list(wsids)} if wsids else {}
    request |= {"hidden": 1} if hidden else {}
    page = engine.call("list_jobs", request)
    found = page["jobs"]
    while all_pages and "next_cursor" in page:
        page = engine.call("list_jobs", request | {"cursor": page["next_cursor"]})
        found += page["jobs"]
    if as_json:
        print_json({**page, "jobs": found})
        return
    if found:
        console().print(jobs_table(found))
    if page.get("incomplete"):
        note(f"The search stopped after reading many jobs, with {len(found)} found; --all-pages searches all.")
    elif "next_cursor" in page:
        note(f"The first {len(found)}; --all-pages shows all.")
    elif not found:
        note("No jobs.")


@click.command(short_help="Show everything about a job.")
@click.argument("job_id", metavar="JOB")
@click.option("--json", "as_json", is_flag=True, help="For programs: the record as JSON on one line.")
@connection_options
def show(connection: Connection, job_id: str, *, as_json: bool) -> None:
    """Show a job's record, history, parameters and output."""
    record = connection.engine().call("check_job", {"job_id": job_id})
    if as_json:
        print_json(record)
        return
    out = console()
    out.print(job_details(record))
    if history := record.get("history"):
        out.print(history_table(history))
    for name in ("params", "output"):
        if name in record:
            out.print(Text(name.capitalize(), style="bold"))
            out.print(render_output(record[name]))
