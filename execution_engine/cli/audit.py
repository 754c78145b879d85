"""`execution-engine audit`: what people did."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

import click
from rich import box
from rich.table import Table

from execution_engine.cli.connection import Connection, connection_options
from execution_engine.cli.jobs import moment
from execution_engine.cli.screen import console, harmless, local_time, note, print_json
from execution_engine.cli.tables import by_whom


@click.command(short_help="For administrators: who did what.")
@click.option("--job", "job_id", metavar="JOB", help="Only what concerns this job or batch.")
@click.option("--actor", metavar="NAME", help="Only what this person did.")
@click.option("--act", metavar="ACT", help="Only this: submit, retry, cancel, share, hide, read_log, …")
@click.option("--since", "from", type=moment, metavar="TIME", help="At or after: 2h, 3d, 2026-05-01.")
@click.option("--until", "to", type=moment, metavar="TIME", help="Before.")
@click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True, help="Entries a page.")
@click.option("--all-pages", is_flag=True, help="All of them, not only the first page.")
@click.option("--json", "as_json", is_flag=True, help="For programs: JSON on one line.")
@connection_options
def audit(connection: Connection, *, all_pages: bool, as_json: bool, **filters: Any) -> None:
    """List what people did, newest first: who, by which right, in which request, what it changed."""
    engine = connection.engine()
    request = {name: value for name, value in filters.items() if value is not None}
    page = engine.call("list_audit", request)
    found = page["entries"]
    while all_pages and "next_cursor" in page:
        page = engine.call("list_audit", request | {"cursor": page["next_cursor"]})
        found += page["entries"]
    if as_json:
        print_json({**page, "entries": found})
        return
    console().print(_table(found))
    if "next_cursor" in page:
        note(f"The first {len(found)}; --all-pages shows all.")


def _table(entries: Iterable[Mapping[str, Any]]) -> Table:
    table = Table("When", "Who", "Did", "To", "Change", "Because", "Request", box=box.SIMPLE_HEAD)
    for entry in entries:
        table.add_row(
            local_time(entry["at"]),
            by_whom(entry),
            harmless(entry["act"]),
            harmless(entry.get("job_id") or entry.get("subject", "")),
            harmless(_change(entry)),
            harmless(entry.get("reason", "")),
            harmless(entry["request_id"]),
        )
    return table


def _change(entry: Mapping[str, Any]) -> str:
    parts = [json.dumps(entry[name], ensure_ascii=False) for name in ("before", "after") if name in entry]
    return " → ".join(parts)
