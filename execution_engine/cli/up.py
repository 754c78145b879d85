"""`execution-engine up`: the whole engine on this machine, until Ctrl-C."""

import os
import sys
from pathlib import Path

import click


@click.command(short_help="Run an engine on this machine.")
@click.option(
    "--data",
    type=click.Path(path_type=Path, file_okay=True),
    envvar="EE_DATA",
    show_envvar=True,
    default=Path("data"),
    show_default=True,
    help="Folder for everything: database, tokens, job folders, logs.",
)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    envvar="EE_PORT",
    show_envvar=True,
    help="Port of the web server; 0: any free one.  [default: 5000, or deploy.cfg's]",
)
@click.option("--host", help="Address to listen on.  [default: 127.0.0.1, or deploy.cfg's]")
@click.option("--allow-remote", is_flag=True, help="Let other machines in: an address that is not loopback needs this.")
@click.option("--mongod", envvar="EE_MONGOD", show_envvar=True, metavar="PROGRAM", help="The MongoDB program to start.")
@click.option("--demo", is_flag=True, help="Run a first job and show its log, result and report.")
def up(data: Path, *, port: int | None, host: str | None, allow_remote: bool, mongod: str | None, demo: bool) -> None:
    """Run an engine on this machine: database, Auth2, Workspace, Catalog, web server and dispatcher.

    Ctrl-C stops everything, running jobs too. SIGTERM leaves running jobs alone: they go on, and report when the engine
    is up again. A second Ctrl-C makes it quick. KB_DEPLOYMENT_CONFIG may name a deploy.cfg; its keys win over the
    defaults. The exit code is 0 after a stop that was asked for.
    """
    # Here, not above: what the stack imports would double the time that every other command takes to start.
    from execution_engine.cli.running import run  # noqa: PLC0415
    from execution_engine.embedded.plan import Wishes  # noqa: PLC0415

    wishes = Wishes(host=host, port=port, config_file=os.environ.get("KB_DEPLOYMENT_CONFIG") or None, mongod=mongod)
    sys.exit(run(data, wishes, allow_remote=allow_remote, demo=demo))
