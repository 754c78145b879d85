"""`execution-engine share`, `unshare`, `hide` and `unhide`."""

import sys

import click

from execution_engine.cli.connection import Connection, connection_options
from execution_engine.cli.exit_codes import Exit
from execution_engine.cli.screen import harmless, note, print_json

_USERS = click.argument("users", metavar="USER...", nargs=-1, required=True)
_JOBS = click.argument("job_ids", metavar="JOB...", nargs=-1, required=True)
_JSON = click.option("--json", "as_json", is_flag=True, help="For programs: JSON on one line.")


@click.command(short_help="Let people read a job.")
@click.argument("job_id", metavar="JOB")
@_USERS
@_JSON
@connection_options
def share(connection: Connection, job_id: str, users: tuple[str, ...], *, as_json: bool) -> None:
    """Let people read a job of mine that belongs to no workspace: its record, log, input and output.

    With a batch's id: all of its jobs. A job in a workspace is shared by the workspace's own permissions.
    """
    _change(connection, "share_job", job_id, users, as_json=as_json)


@click.command(short_help="Take that back.")
@click.argument("job_id", metavar="JOB")
@_USERS
@_JSON
@connection_options
def unshare(connection: Connection, job_id: str, users: tuple[str, ...], *, as_json: bool) -> None:
    """No longer let people read a job of mine."""
    _change(connection, "unshare_job", job_id, users, as_json=as_json)


def _change(connection: Connection, method: str, job_id: str, users: tuple[str, ...], *, as_json: bool) -> None:
    answer = connection.engine().call(method, {"job_id": job_id, "users": list(dict.fromkeys(users))})
    if as_json:
        print_json(answer)
    elif answer["shared_with"]:
        print(job_id, "is shared with", harmless(", ".join(answer["shared_with"])))
    else:
        print(job_id, "is shared with nobody")


@click.command(short_help="Leave ended jobs out of my lists.")
@_JOBS
@_JSON
@connection_options
def hide(connection: Connection, job_ids: tuple[str, ...], *, as_json: bool) -> None:
    """Leave ended jobs, or all jobs of an ended batch, out of my own lists.

    Nothing is deleted, and nobody else notices.
    """
    _hide(connection, "hide_job", job_ids, "is hidden", as_json=as_json)


@click.command(short_help="Take that back.")
@_JOBS
@_JSON
@connection_options
def unhide(connection: Connection, job_ids: tuple[str, ...], *, as_json: bool) -> None:
    """Have hidden jobs in my own lists again."""
    _hide(connection, "unhide_job", job_ids, "is in your lists", as_json=as_json)


def _hide(connection: Connection, method: str, job_ids: tuple[str, ...], done: str, *, as_json: bool) -> None:
    answer = connection.engine().call(method, {"job_ids": list(dict.fromkeys(job_ids))})
    if as_json:
        print_json(answer)
    else:
        for job_id in answer["job_ids"]:
            print(job_id, done)
        for job_id, error in answer["errors"].items():
            note(f"{job_id}: {error['message']}")
    sys.exit(Exit.REFUSED if answer["errors"] else Exit.OK)
