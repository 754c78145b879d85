"""`execution-engine up --demo`: a first job, as a user would run it."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from rich.panel import Panel
from rich.text import Text

from execution_engine.cli.client import CallFailed, Engine, Unreachable
from execution_engine.cli.follow import Follower
from execution_engine.cli.outcome import show_outcome
from execution_engine.cli.screen import complain, console, harmless, note
from execution_engine.cli.views import ScreenView
from execution_engine.core.errors import EngineError, WorkspaceUnavailable
from execution_engine.kbase.http import HttpService
from execution_engine.kbase.jsonrpc import JsonRpc, ServiceFault

USER = "alice"
WORKSPACE_NAME = "alice:demo"
METHOD = "sequence_tools.assembly_stats"
PARAMS = {"sequence": "NC_005816"}


class DemoStopped(Exception):
    """The stack is being stopped while the demonstration runs."""


def run_demo(endpoints: Mapping[str, str], tokens: Path, pause: Callable[[float], None]) -> None:
    """Runs one job of alice's in a workspace of hers and shows log, result and report.

    ``pause`` waits so many seconds; it may raise DemoStopped, which goes through to the caller.
    """
    try:
        _run(endpoints, json.loads(tokens.read_text())[USER], pause)
    except (Unreachable, CallFailed, ServiceFault, EngineError) as error:
        complain(f"The demonstration did not get through: {error}")


def _run(endpoints: Mapping[str, str], token: str, pause: Callable[[float], None]) -> None:
    wsid = demo_workspace(endpoints["workspace"], token)
    engine = Engine(endpoints["execution_engine"], token)
    earlier = engine.call("list_jobs", {"scope": "workspace", "wsid": wsid, "fields": ["status"], "limit": 1000})
    if earlier["jobs"]:
        count = f"{len(earlier['jobs'])}{'+' if 'next_cursor' in earlier else ''}"
        note(f"{count} earlier jobs and their logs are still there.")
    arguments = " ".join(f"{key}={value}" for key, value in PARAMS.items())
    note(f"{USER} submits {METHOD} {arguments} in the workspace {WORKSPACE_NAME} ({wsid}):")
    job_id = engine.call("run_job", {"method": METHOD, "params": [PARAMS], "wsid": wsid})
    record = Follower(engine, job_id, ScreenView(), pause=pause).follow()
    show_outcome(record, as_json=False)
    for report in engine.call("get_report", {"job_id": job_id})["reports"]:
        _show_report(report)


def demo_workspace(url: str, token: str) -> int:
    """The number of alice's workspace; it is made at the first call.

    Raises:
        ServiceFault, EngineError: the Workspace refuses or is out of reach.
    """
    workspace = JsonRpc(HttpService("Workspace", url, WorkspaceUnavailable), "Workspace")
    try:
        info = workspace.call("create_workspace", [{"workspace": WORKSPACE_NAME}], token, repeat=False)
    except ServiceFault as fault:
        if "already" not in fault.message:
            raise
        info = workspace.call("get_workspace_info", [{"workspace": WORKSPACE_NAME}], token)
    return int(info[0])


def _show_report(report: Mapping[str, Any]) -> None:
    text = Text(harmless(report["text"].strip() if "error" not in report else report["error"]["message"]))
    console().print(Panel(text, title=f"Report {harmless(report['name'])} ({report['ref']})", expand=False))
