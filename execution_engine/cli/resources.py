"""`execution-engine resources`, `usage`, `drain` and `resume`: what there is to run jobs on, and who uses it."""

from collections.abc import Mapping
from typing import Any

import click
from rich import box
from rich.table import Table

from execution_engine.cli.connection import Connection, connection_options
from execution_engine.cli.screen import console, harmless, local_time, note, print_json
from execution_engine.cli.status import state_text

_JSON = click.option("--json", "as_json", is_flag=True, help="For programs: JSON on one line.")


@click.command(short_help="What there is to run jobs on.")
@_JSON
@connection_options
def resources(connection: Connection, *, as_json: bool) -> None:
    """Show what serves each client group, how much of it is free and how many jobs wait.

    Administrators also see each backend. Where several groups share a backend, each shows all of it.
    """
    answer = connection.engine().call("get_resources")
    if as_json:
        print_json(answer)
        return
    table = Table("Group", "State", "Free", "Waiting", "Inside", "Running", "Oldest", box=box.SIMPLE_HEAD)
    for group in answer["groups"]:
        jobs = (f"{group[name]:,}" for name in ("waiting", "inside", "running"))
        free, oldest = _free(group["capacity"]), local_time(group.get("oldest"))
        table.add_row(harmless(group["client_group"]), state_text(group["state"]), free, *jobs, oldest)
    console().print(table)
    for closed in (group["closed"] for group in answer["groups"] if "closed" in group):
        note(closed["message"])
    if "backends" in answer:
        console().print(_backends(answer["backends"]))


def _backends(backends: list[Mapping[str, Any]]) -> Table:
    table = Table("Backend", "State", "Free", "Inside", "Running", "Since", "Why", box=box.SIMPLE_HEAD)
    for backend in backends:
        name, state = harmless(f"{backend['backend']} ({backend['kind']})"), state_text(backend["state"])
        numbers = (f"{backend['inside']:,}", f"{backend['running']:,}", local_time(backend.get("since")))
        table.add_row(name, state, _free(backend["capacity"]), *numbers, harmless(backend["message"]))
        for part in backend["parts"]:
            said = harmless(part.get("blocked", ""))
            numbers = (f"{part['inside']:,}", f"{part['running']:,}", "")
            table.add_row(
                harmless(f"  for {part['client_group']}"), "", _free(part.get("capacity", {})), *numbers, said
            )
    return table


def _free(capacity: Mapping[str, int]) -> str:
    """What is free of what there is, in the words of the system."""
    words = {"slots": "slots", "cpus": "cores", "memory_mb": "MiB"}
    known = [name for name in words if f"{name}_free" in capacity]
    said = [f"{capacity[f'{name}_free']:,} of {capacity[f'{name}_total']:,} {words[name]}" for name in known]
    if "nodes_usable" in capacity and "nodes_total" in capacity:
        said.append(f"{capacity['nodes_usable']:,} of {capacity['nodes_total']:,} nodes up")
    return ", ".join(said)


@click.command(short_help="Who has how many jobs.")
@_JSON
@connection_options
def usage(connection: Connection, *, as_json: bool) -> None:
    """Show how many jobs I have in each client group, waiting and at work; administrators see everybody."""
    answer = connection.engine().call("get_usage")
    if as_json:
        print_json(answer)
        return
    names = ("waiting", "held", "inside", "running")
    table = Table("Group", "User", *(name.capitalize() for name in names), box=box.SIMPLE_HEAD)
    for numbers in answer.get("people", answer["mine"]):
        who = harmless(numbers["client_group"]), harmless(numbers["user"])
        table.add_row(*who, *(f"{numbers[name]:,}" for name in names))
    console().print(table)


@click.command(short_help="For administrators: a backend takes no new jobs.")
@click.argument("backend", metavar="BACKEND")
@click.option("--reason", required=True, help="Why; people whose jobs wait for it see it.")
@_JSON
@connection_options
def drain(connection: Connection, backend: str, *, reason: str, as_json: bool) -> None:
    """Let a backend take no new jobs; those that it has go on. It holds until `resume`, over restarts."""
    _set_state(connection, {"backend": backend, "state": "draining", "reason": reason}, as_json=as_json)


@click.command(short_help="Take that back.")
@click.argument("backend", metavar="BACKEND")
@click.option("--reason", help="Why, for the audit.")
@_JSON
@connection_options
def resume(connection: Connection, backend: str, *, reason: str | None, as_json: bool) -> None:
    """Let a backend take jobs again."""
    said = {"reason": reason} if reason else {}
    _set_state(connection, {"backend": backend, "state": "up"} | said, as_json=as_json)


def _set_state(connection: Connection, request: Mapping[str, str], *, as_json: bool) -> None:
    wish = connection.engine().call("set_backend_state", request)
    if as_json:
        print_json(wish)
    elif wish["state"] == "up":
        print(harmless(wish["backend"]), "takes jobs")
    else:
        text = f"takes no new jobs since {local_time(wish['since'])}, by {wish['by']}: {wish['reason']}"
        print(harmless(f"{wish['backend']} {text}"))
