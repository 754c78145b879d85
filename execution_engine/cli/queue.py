"""`execution-engine queue`: what waits in a client group, and where my own jobs stand."""

from collections.abc import Iterable, Mapping
from typing import Any

import click
from rich import box
from rich.table import Table
from rich.text import Text

from execution_engine.cli.connection import Connection, connection_options
from execution_engine.cli.screen import console, harmless, local_time, note, print_json
from execution_engine.cli.tables import describe_forecast, describe_place


@click.command(short_help="Where am I in the queue?")
@click.argument("client_group", metavar="[GROUP]", required=False)
@click.option("--json", "as_json", is_flag=True, help="For programs: JSON on one line.")
@connection_options
def queue(connection: Connection, client_group: str | None, *, as_json: bool) -> None:
    """Show how many jobs wait in a client group, where mine stand and when they may start.

    Administrators also see how many jobs everybody has.
    """
    request = {"client_group": client_group} if client_group else {}
    answer = connection.engine().call("get_queue", request)
    if as_json:
        print_json(answer)
        return
    out = console()
    out.print(Text(harmless(_summary(answer))))
    if closed := answer.get("closed"):
        note(closed["message"])
    if answer["mine"]:
        out.print(_mine(answer["mine"]))
    out.print(Text(f"A job of yours that is submitted now: {describe_place(answer['next'])}."))
    if people := answer.get("people"):
        out.print(_people(people))


def _summary(answer: Mapping[str, Any]) -> str:
    text = (
        f"{answer['client_group']}: {answer['waiting']:,} waiting for their turn, "
        f"{answer['inside']:,} waiting inside backends, {answer['running']:,} running"
    )
    return f"{text}; the oldest waits since {local_time(answer['oldest'])}" if "oldest" in answer else text


def _mine(jobs: Iterable[Mapping[str, Any]]) -> Table:
    table = Table("Job", "Position", "Users ahead", "Own ahead", "May start", box=box.SIMPLE_HEAD, pad_edge=False)
    for job in jobs:
        place = job["place"]
        counts = (place["position"], place["users_ahead"], place["own_ahead"])
        table.add_row(job["job_id"], *(f"{n:,}" for n in counts), harmless(describe_forecast(place)))
    return table


def _people(people: Iterable[Mapping[str, Any]]) -> Table:
    names = ("waiting", "held", "inside", "running")
    table = Table("User", *(name.capitalize() for name in names), box=box.SIMPLE_HEAD, pad_edge=False)
    for numbers in people:
        table.add_row(harmless(numbers["user"]), *(f"{numbers[name]:,}" for name in names))
    return table
