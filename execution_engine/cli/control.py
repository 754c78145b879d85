"""`execution-engine cancel` and `retry`."""

import sys
from typing import Any

import click

from execution_engine.cli.connection import Connection, connection_options
from execution_engine.cli.exit_codes import Exit
from execution_engine.cli.screen import harmless, note, print_json


@click.command(short_help="Ask jobs to stop.")
@click.argument("job_ids", metavar="JOB...", nargs=-1, required=True)
@click.option("--reason", help="Why; people who look at the job see it.")
@click.option("--json", "as_json", is_flag=True, help="For programs: JSON on one line.")
@connection_options
def cancel(connection: Connection, job_ids: tuple[str, ...], *, reason: str | None, as_json: bool) -> None:
    """Ask jobs, or all jobs of a batch, to stop.

    A job that runs is terminated as soon as its end is confirmed; one that has ended stays as it is.
    """
    request: dict[str, Any] = {"job_ids": list(dict.fromkeys(job_ids))} | ({"reason": reason} if reason else {})
    answer = connection.engine().call("cancel_jobs", request)
    if as_json:
        print_json(answer)
    else:
        for job_id, result in answer["jobs"].items():
            print(job_id, _effect(result))
        for job_id, error in answer["errors"].items():
            note(f"{job_id}: {error['message']}")
    sys.exit(Exit.REFUSED if answer["errors"] else Exit.OK)


@click.command(short_help="Run jobs again.")
@click.argument("job_ids", metavar="JOB...", nargs=-1, required=True)
@click.option("--json", "as_json", is_flag=True, help="For programs: JSON on one line.")
@connection_options
def retry(connection: Connection, job_ids: tuple[str, ...], *, as_json: bool) -> None:
    """Run jobs that have ended again, as new jobs of mine; print old and new id."""
    results = connection.engine().call("retry_jobs", {"job_ids": list(dict.fromkeys(job_ids))})
    refused = [result for result in results if "error" in result]
    if as_json:
        print_json(results)
    else:
        for result in results:
            if "retry_id" in result:
                print(result["job_id"], "->", result["retry_id"])
        for result in refused:
            note(f"{result['job_id']}: {result['error']['message']}")
    sys.exit(Exit.REFUSED if refused else Exit.OK)


def _effect(result: dict[str, Any]) -> str:
    if result["status"] in ("completed", "error", "terminated"):
        return f"is {result['status']}" if result["cancelled"] else f"had ended: {result['status']}"
    return harmless(f"is asked to stop ({result['status']})")
