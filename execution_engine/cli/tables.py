"""Job records as tables."""

from collections.abc import Iterable, Mapping
from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text

from execution_engine.cli.screen import duration, harmless, local_time, status_text
from execution_engine.cli.views import describe_state


def jobs_table(records: Iterable[Mapping[str, Any]]) -> Table:
    """One line a job: what it is, how it is, when it began and how long it took."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("Job", "Status", "Created", "Took"):
        table.add_column(name, no_wrap=True)
    for name in ("Method", "Workspace", "What"):
        table.add_column(name, overflow="fold")
    for record in records:
        table.add_row(
            record["job_id"],
            status_text(record["status"]),
            local_time(record.get("created")),
            _took(record),
            harmless(record.get("method", "")) or ("batch" if record.get("batch") else ""),
            str(record.get("wsid", "")),
            harmless(what_of(record)),
        )
    return table


def what_of(record: Mapping[str, Any]) -> str:
    """The one thing worth saying besides the status: why it failed, what it waits for, how far it is."""
    if cause := record.get("cause"):
        return str(cause["message"])
    said = describe_state(record).removeprefix(record["status"]).lstrip(":, ")
    percent = record.get("progress", {}).get("percent")
    if percent is not None and "finished" not in record:
        return f"{percent:.0f} % {said}".rstrip()
    return "" if "finished" in record and not record.get("children") else said


def job_details(record: Mapping[str, Any]) -> Table:
    """Everything about a job but its parameters and output, one fact a line."""
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in _facts(record):
        if value:
            table.add_row(name, value if isinstance(value, Text) else Text(harmless(value)))
    return table


def history_table(entries: Iterable[Mapping[str, Any]]) -> Table:
    """What happened to a job, step by step."""
    table = Table("When", "What", "By", "Note", box=box.SIMPLE_HEAD, pad_edge=False)
    for entry in entries:
        what = (
            entry["event"] if entry.get("status") in (None, entry["event"]) else f"{entry['event']}: {entry['status']}"
        )
        table.add_row(local_time(entry["at"]), what, by_whom(entry), harmless(entry.get("note", "")))
    return table


def by_whom(entry: Mapping[str, Any]) -> str:
    """Who did something, and as what where that is not the owner."""
    actor, role = harmless(entry.get("actor", "")), entry.get("role", "owner")
    return actor if role == "owner" else f"{actor}, as {harmless(role).replace('_', ' ')}"


def _facts(record: Mapping[str, Any]) -> Iterable[tuple[str, str | Text]]:
    cancel = record.get("cancel_requested", {})
    cause = record.get("cause", {})
    yield "Job", record["job_id"]
    yield "Method", record.get("method", "") or "a batch"
    yield "Version", record.get("service_ver", "")
    yield "Status", status_text(record["status"])
    yield "", what_of(record) if not cause else ""
    yield "Queue", describe_place(record["queue"]) if "queue" in record else ""
    yield "Asked to stop", f"by {cancel['by']}, {local_time(cancel['at'])} {cancel.get('reason', '')}" if cancel else ""
    yield "Cause", f"{cause['message']} ({cause['code']})" if cause else ""
    yield "Advice", cause.get("advice", "")
    yield "Exit code", str(cause["exit_code"]) if "exit_code" in cause else ""
    yield "Detail", cause.get("detail", "")
    yield "User", record.get("user", "")
    yield "Workspace", str(record.get("wsid", ""))
    yield "Shared with", ", ".join(record.get("shared_with", []))
    yield "Hidden", "from your own lists" if record.get("hidden") else ""
    yield "Client group", record.get("client_group", "")
    yield "Runs on", " ".join(record[key] for key in ("backend", "backend_id", "host") if key in record)
    yield "Attempt", str(record.get("attempt", ""))
    for name in ("created", "queued", "running", "finished"):
        yield name.capitalize(), local_time(record.get(name))
    yield "Took", _took(record)
    yield "Last contact", local_time(record.get("last_contact")) if "finished" not in record else ""
    yield "Batch", record.get("batch_id", "")
    yield "Retry of", record.get("retry_of", "")
    yield "Retries", ", ".join(record.get("retries", []))
    yield "Reports", ", ".join(record.get("reports", []))


def describe_place(place: Mapping[str, Any]) -> str:
    """Where a job stands in its queue, and when it may start."""
    ahead = [f"{place['inside_ahead']:,} of them inside the backend"] if place["inside_ahead"] else []
    ahead += [f"{place['own_ahead']:,} of your own" if place["own_ahead"] else ""]
    others = place["users_ahead"]
    ahead += [f"jobs of {others:,} other {'user' if others == 1 else 'users'}" if others else ""]
    said = ", ".join(filter(None, ahead))
    position = f"position {place['position']:,}" + (f" (ahead: {said})" if said else "")
    return f"{position}; {describe_forecast(place)}"


def describe_forecast(place: Mapping[str, Any]) -> str:
    """When a job may start, or why nobody can tell."""
    told = place.get("forecast")
    if told is None:
        return str(place["no_forecast"]).rstrip(".")
    early, late = local_time(told["earliest"]), local_time(told["latest"])
    day, _, clock = late.partition(" ")
    late = clock if early.startswith(day) else late
    return f"starts about {local_time(told['median'])} (four of five between {early} and {late})"


def _took(record: Mapping[str, Any]) -> str:
    if "running" not in record or "finished" not in record:
        return ""
    return duration(record["finished"] - record["running"])
