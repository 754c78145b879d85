"""`execution-engine serve`: one of the engine's programs, for a container or a service manager."""

import os

import click

from execution_engine import programs

PROGRAMS = {"web": programs.web, "dispatcher": programs.dispatcher}


@click.command(short_help="Run one part of an engine: web or dispatcher.")
@click.argument("program", type=click.Choice(list(PROGRAMS)))
def serve(program: str) -> None:
    """Run the web server or the dispatcher in the foreground, in place of this process.

    KB_DEPLOYMENT_CONFIG names the deploy.cfg. Database, Auth2, Workspace and Catalog are those that it names; for an
    engine that brings them along see up.
    """
    # What the program would bury among the lines of its log is better said here. Imported here for the sake of the
    # other commands, which start twice as fast without.
    from execution_engine.config import load  # noqa: PLC0415
    from execution_engine.store.tokens import load_cipher  # noqa: PLC0415

    load_cipher(load().token_key_file)
    command = PROGRAMS[program]()
    os.execv(command[0], command)  # noqa: S606 - our own command
