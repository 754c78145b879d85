"""`execution-engine status`: is the engine well?"""

import click
from rich.table import Table
from rich.text import Text

from execution_engine.cli.connection import Connection, connection_options
from execution_engine.cli.screen import console, harmless, local_time, print_json

STYLES = {"ok": "green", "up": "green", "degraded": "yellow", "draining": "yellow", "down": "red"}


@click.command(short_help="Is the engine well?")
@click.option("--json", "as_json", is_flag=True, help="For programs: JSON on one line.")
@connection_options
def status(connection: Connection, *, as_json: bool) -> None:
    """Tell how the engine and what it depends on are. Needs no token.

    The exit code is 0 whenever the engine answers.
    """
    engine = connection.engine(needs_token=False)
    answer = engine.call("status")
    if as_json:
        print_json(answer)
        return
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_row(Text(engine.url, style="bold"), state_text(answer["state"]), f"version {answer['version']}")
    for name, dependency in sorted(answer["dependencies"].items()):
        state, since = dependency["state"], local_time(dependency.get("since"))
        table.add_row(
            harmless(name), state_text(state), Text(harmless(dependency["message"])), since and f"since {since}"
        )
    console().print(table)


def state_text(state: str) -> Text:
    """A state in its colour."""
    return Text(harmless(state), style=STYLES.get(state, ""))
