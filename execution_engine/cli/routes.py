"""`execution-engine routes`, `set-route` and `remove-route`: where jobs go."""

from collections.abc import Callable
from typing import Any

import click
from rich import box
from rich.table import Table

from execution_engine.cli.connection import Connection, connection_options
from execution_engine.cli.screen import console, harmless, local_time, print_json

_JSON = click.option("--json", "as_json", is_flag=True, help="For programs: JSON on one line.")
_ABOUT = (
    click.option("--method", metavar="METHOD", help="Jobs of this method, module.function."),
    click.option("--for-user", metavar="NAME", help="Jobs of this user."),
    click.option("--group", "client_group", metavar="GROUP", help="Jobs of this client group."),
    click.option("--reason", metavar="TEXT", help="Why, for the audit."),
)


def _about(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in reversed(_ABOUT):
        command = option(command)
    return command


@click.command(short_help="For administrators: where jobs go.")
@_JSON
@connection_options
def routes(connection: Connection, *, as_json: bool) -> None:
    """List the routes that administrators have set, the most specific first, and the configured backends."""
    answer = connection.engine().call("get_routes")
    if as_json:
        print_json(answer)
        return
    table = Table("Method", "User", "Group", "Backends", "Set by", "When", "Because", box=box.SIMPLE_HEAD)
    for route in answer["routes"]:
        backends = ", ".join(
            f"{name} (not configured)" if name in route.get("missing", ()) else name for name in route["backends"]
        )
        said = (route.get("method", "*"), route.get("user", "*"), route.get("client_group", "*"), backends)
        by = (route["set_by"], local_time(route["set_at"]), route.get("reason", ""))
        table.add_row(*map(harmless, (*said, *by)))
    for name, backends in answer["client_groups"].items():
        table.add_row("*", "*", harmless(name), harmless(", ".join(backends)), "the configuration", "", "")
    console().print(table)


@click.command(short_help="For administrators: send jobs elsewhere.")
@click.argument("backends", metavar="BACKEND...", nargs=-1, required=True)
@_about
@_JSON
@connection_options
def set_route(connection: Connection, *, backends: tuple[str, ...], as_json: bool, **about: str | None) -> None:
    """Send the jobs of a method, a user, a client group, or of several of these together, to backends, best first."""
    request: dict[str, Any] = {"backends": list(backends)}
    _say(connection, "set_route", request | _given(about), "is set", as_json=as_json)


@click.command(short_help="Take that back.")
@_about
@_JSON
@connection_options
def remove_route(connection: Connection, *, as_json: bool, **about: str | None) -> None:
    """Take back the route about exactly this."""
    _say(connection, "remove_route", _given(about), "is removed", as_json=as_json)


def _given(about: dict[str, str | None]) -> dict[str, str]:
    # --user, on every command, is whose token to take.
    return {"user" if name == "for_user" else name: value for name, value in about.items() if value is not None}


def _say(connection: Connection, method: str, request: dict[str, Any], done: str, *, as_json: bool) -> None:
    route = connection.engine().call(method, request)
    if as_json:
        print_json(route)
        return
    about = ", ".join(f"{name} {route[name]}" for name in ("method", "user", "client_group") if name in route)
    print(harmless(f"The route of {about.replace('_', ' ')} to {', '.join(route['backends'])} {done}."))
