"""Tells how a job that was waited for has ended."""

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.text import Text

from execution_engine.cli.results import render_output
from execution_engine.cli.screen import console, duration, harmless, local_time, print_json, status_text


def show_outcome(record: Mapping[str, Any], *, as_json: bool) -> None:
    """The end and its cause, then the output: for programs the whole record, for people what matters."""
    if as_json:
        print_json(record)
        return
    _verdict(record, console(stderr=True))
    if "output" in record:
        console().print(render_output(record["output"]))


def _verdict(record: Mapping[str, Any], err: Console) -> None:
    words = Text.assemble(record["job_id"], " ", status_text(record["status"]))
    if "running" in record and "finished" in record:
        words.append(f" in {duration(record['finished'] - record['running'])}")
    elif "finished" in record:
        words.append(f" at {local_time(record['finished'])}")
    err.print(words)
    if cause := record.get("cause"):
        err.print(Text(harmless(f"{cause['message']} {cause['advice']}")), soft_wrap=True)
        if cause.get("detail"):
            err.print(Text(harmless(cause["detail"]), style="dim"), soft_wrap=True)
