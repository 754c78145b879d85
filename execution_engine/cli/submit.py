"""`execution-engine submit`: starts a job, and stays with it if asked to."""

import sys
import time
import uuid
from typing import Any

import click

from execution_engine.cli.client import Engine
from execution_engine.cli.connection import Connection, connection_options
from execution_engine.cli.exit_codes import Exit, exit_of_job
from execution_engine.cli.follow import Follower, TimedOut
from execution_engine.cli.outcome import show_outcome
from execution_engine.cli.screen import note, print_json
from execution_engine.cli.values import parse_arguments, parse_params
from execution_engine.cli.views import JsonView, QuietView, ScreenView

# The backspace keeps click from joining the lines.
EXAMPLES = """\b
Examples:
  execution-engine submit sequence_tools.assembly_stats sequence=NC_005816 --follow
  execution-engine submit sequence_tools.count_kmers fasta=@genome.fna k=21 --workspace 5
"""


@click.command(short_help="Start a job.", epilog=EXAMPLES)
@click.argument("method")
@click.argument("arguments", nargs=-1, metavar="[KEY=VALUE]...")
@click.option(
    "--workspace", type=click.IntRange(min=1), metavar="N", help="Number of the workspace that shares the job."
)
@click.option("--follow", "-f", is_flag=True, help="Show the log until the job has ended, then its result.")
@click.option("--wait", "-w", is_flag=True, help="Wait until the job has ended, then show its result.")
@click.option("--timeout", type=click.FloatRange(min=0), metavar="SECONDS", help="Stay no longer; the job goes on.")
@click.option("--client-group", help="Run it in this group of machines.")
@click.option("--service-ver", help="Version of the module: release, beta, dev, or a git commit.")
@click.option("--app-id", help="The Narrative app that it belongs to, module/app.")
@click.option("--cpus", type=click.IntRange(min=1), help="Cores that the job needs.")
@click.option("--memory-mb", type=click.IntRange(min=1), help="Memory that the job needs, in MiB.")
@click.option("--disk-gb", type=click.IntRange(min=1), help="Disk space that the job needs, in GiB.")
@click.option("--idempotency-key", metavar="KEY", help="The same key with the same job gives the first one's id again.")
@click.option(
    "--params-json", metavar="JSON", help="All parameters of the method as a JSON list, instead of KEY=VALUE."
)
@click.option("--json", "as_json", is_flag=True, help="For programs: JSON, one value a line.")
@connection_options
def submit(
    connection: Connection,
    method: str,
    arguments: tuple[str, ...],
    *,
    follow: bool,
    wait: bool,
    timeout: float | None,
    params_json: str | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Start a job of METHOD (module.function) and print its id.

    KEY=VALUE words make the method's parameters, one structure. A VALUE that is JSON (a number, true, a list …)
    is taken as such, any other as text; KEY=@FILE takes a file's text, KEY:=JSON insists on JSON.
    """
    if params_json is not None and arguments:
        raise click.UsageError("Give the parameters as KEY=VALUE words or with --params-json, not both.")
    params = [parse_arguments(arguments)] if params_json is None else parse_params(params_json)
    engine = connection.engine()
    job_id = engine.call("run_job", _request(method, params, options))
    if not (follow or wait):
        print_json({"job_id": job_id}) if as_json else print(job_id)
        return
    note(f"job {job_id}")
    sys.exit(stay(engine, job_id, follow=follow, timeout=timeout, as_json=as_json))


def stay(engine: Engine, job_id: str, *, follow: bool, timeout: float | None, as_json: bool, skip: int = 0) -> Exit:
    """Waits for a job's end, with its log from line ``skip`` on if ``follow``; shows the outcome."""
    view = (JsonView() if as_json else ScreenView()) if follow else (QuietView() if as_json else ScreenView())
    deadline = None if timeout is None else time.monotonic() + timeout
    follower = Follower(engine, job_id, view, deadline=deadline)
    try:
        record = follower.follow(skip) if follow else follower.wait()
    except TimedOut:
        note(f"The job {job_id} has not ended within {timeout:g} s; it goes on.")
        return Exit.TIMED_OUT
    except KeyboardInterrupt:
        note(f"The job goes on. To see more of it: execution-engine logs -f {job_id}")
        return Exit.INTERRUPTED
    show_outcome(record, as_json=as_json)
    return exit_of_job(record)


def _request(method: str, params: list[Any], options: dict[str, Any]) -> dict[str, Any]:
    """What ``run_job`` takes. A key is always sent: it makes the request safe to repeat on its way."""
    requirements = {name: options.pop(name) for name in ("cpus", "memory_mb", "disk_gb")}
    requirements = {name: value for name, value in requirements.items() if value is not None}
    request = {
        "method": method,
        "params": params,
        "wsid": options["workspace"],
        "client_group": options["client_group"],
        "service_ver": options["service_ver"],
        "app_id": options["app_id"],
        "requirements": requirements or None,
        "idempotency_key": options["idempotency_key"] or uuid.uuid4().hex,
    }
    return {name: value for name, value in request.items() if value is not None}
