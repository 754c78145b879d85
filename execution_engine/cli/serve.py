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
    command = PROGRAMS[program]()
    os.execv(command[0], command)  # noqa: S606 - our own command
