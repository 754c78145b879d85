"""`execution-engine limits`, `set-limit` and `remove-limit`: how much people may run."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import click
from rich import box
from rich.table import Table

from execution_engine.cli.connection import Connection, connection_options
from execution_engine.cli.screen import console, harmless, local_time, print_json

_JSON = click.option("--json", "as_json", is_flag=True, help="For programs: JSON on one line.")
_KIND = click.argument("kind", type=click.Choice(["running", "queued", "run_time"]))
_TARGET = (
    click.option("--for-user", metavar="NAME", help="Of this user."),
    click.option("--each-user", is_flag=True, help="Of each user without a limit by name."),
    click.option("--group", "client_group", metavar="GROUP", help="In this client group."),
    click.option("--method", metavar="METHOD", help="Of this method, module.function."),
    click.option("--by-owner", is_flag=True, help="The one that the app's owners have set."),
    click.option("--reason", metavar="TEXT", help="Why, for the audit."),
)


def _target(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in reversed(_TARGET):
        command = option(command)
    return command


@click.command(short_help="How much I may run, and how much of it I do.")
@click.option("--for-user", metavar="NAME", help="For administrators: what applies to this user.")
@_JSON
@connection_options
def limits(connection: Connection, *, for_user: str | None, as_json: bool) -> None:
    """List the limits that apply to me; for administrators all of them, with who has set them."""
    answer = connection.engine().call("get_limits", {"user": for_user} if for_user else {})
    if as_json:
        print_json(answer)
    else:
        console().print(_table(answer["limits"]))


@click.command(short_help="For administrators and owners of apps: limit something.")
@_KIND
@click.argument("value", type=click.IntRange(0))
@_target
@_JSON
@connection_options
def set_limit(connection: Connection, *, kind: str, value: int, as_json: bool, **target: Any) -> None:
    """Set how many jobs may run at once (running) or wait (queued), or for how many seconds a job runs (run_time).

    running is for a user, each user, a client group, or one of the former in the latter; queued for a user or each
    user; run_time for a method, a method and a user, or a client group.
    """
    _say(connection, "set_limit", {"kind": kind, "value": value, **_given(target)}, as_json=as_json)


@click.command(short_help="Take that back.")
@_KIND
@_target
@_JSON
@connection_options
def remove_limit(connection: Connection, *, kind: str, as_json: bool, **target: Any) -> None:
    """Take back the limit for exactly this."""
    _say(connection, "remove_limit", {"kind": kind, **_given(target)}, as_json=as_json)


def _given(target: Mapping[str, Any]) -> dict[str, Any]:
    # --user, on every command, is whose token to take.
    named = {"user" if name == "for_user" else name: value for name, value in target.items()}
    return {name: int(value) if value is True else value for name, value in named.items() if value not in (None, False)}


def _say(connection: Connection, method: str, request: dict[str, Any], *, as_json: bool) -> None:
    limit = connection.engine().call(method, request)
    if as_json:
        print_json(limit)
        return
    done = "is set" if method == "set_limit" else "is removed"
    print(harmless(f"The limit {limit['kind']} of {_whose(limit)}, {_amount(limit)}, {done}."))


def _whose(limit: Mapping[str, Any]) -> str:
    user = limit.get("user") or ("each user" if limit.get("each_user") else "")
    group = f"client group {limit['client_group']}" if "client_group" in limit else ""
    by = "by its owners" if limit.get("by_owner") else ""
    return ", ".join(part for part in (limit.get("method", ""), user, group, by) if part)


def _amount(limit: Mapping[str, Any]) -> str:
    return f"{limit['value']:,} {'seconds' if limit['kind'] == 'run_time' else 'jobs'}"


def _table(found: Iterable[Mapping[str, Any]]) -> Table:
    table = Table("Kind", "Of", "Limit", "In use", "Set by", "When", "Because", box=box.SIMPLE_HEAD)
    for limit in found:
        in_use = f"{limit['in_use']:,}" if "in_use" in limit else ""
        said = (limit["kind"], _whose(limit), _amount(limit), in_use, limit.get("set_by", ""))
        table.add_row(*map(harmless, (*said, local_time(limit.get("set_at")), limit.get("reason", ""))))
    return table
