"""Slurm's job states as sightings."""

import signal

from execution_engine.backends.base import Sighting, SightingState
from execution_engine.backends.slurm import reasons, script
from execution_engine.backends.slurm.session import JobRow

_HELD = frozenset({"REQUEUE_HOLD", "SPECIAL_EXIT"})
_WAITING = {
    "CONFIGURING": "Its nodes are being made ready.",
    "REQUEUED": "Slurm has put it back into its queue.",
    "REQUEUE_FED": "Slurm has put it back into its queue.",
}
# They occupy their nodes, or something of them does.
_RUNNING = {
    "RUNNING": None,
    "COMPLETING": "Its last processes are being ended.",
    "STAGE_OUT": "What it left is being saved.",
    "SUSPENDED": "Slurm has suspended it.",
    "STOPPED": "Slurm has stopped it for a while.",
    "SIGNALING": None,
    "RESIZING": None,
}
# State: cause, and the words; without words the runner's end has them.
_GONE: dict[str, tuple[str | None, str]] = {
    "COMPLETED": (None, ""),
    "FAILED": (None, ""),
    "CANCELLED": ("removed", "It was cancelled in Slurm."),
    "TIMEOUT": ("time_limit", "Slurm ended it at its time limit."),
    "DEADLINE": ("time_limit", "Slurm ended it at its deadline."),
    "OUT_OF_MEMORY": ("out_of_memory", "Slurm ended it for using more memory than it had asked for."),
    "NODE_FAIL": ("node_died", "Slurm ended it because a node failed: {nodes}."),
    "BOOT_FAIL": ("never_started", "Slurm ended it because a node did not boot: {nodes}."),
    "PREEMPTED": ("preempted", "Slurm ended it in favour of a more urgent job."),
    "REVOKED": ("never_started", "Slurm runs it on another cluster."),
}
_ALIVE = frozenset({"PENDING", *_WAITING, *_RUNNING, *_HELD})


def is_alive(row: JobRow) -> bool:
    """Whether Slurm has not done with the job."""
    return row.state in _ALIVE


def sighting(row: JobRow, *, cancelled: bool = False) -> Sighting:
    """How the job is; ``cancelled``: whether the engine has cancelled it, for Slurm does not say who did."""
    if row.state in _GONE:
        return _cancelled(row) if cancelled and row.state == "CANCELLED" else _gone(row)
    if row.state in _RUNNING:
        return Sighting(SightingState.RUNNING, _RUNNING[row.state], row.nodes or None)
    if row.state in _HELD or (row.state == "PENDING" and reasons.held(row.reason)):
        return Sighting(SightingState.HELD, reasons.in_words(row.reason))
    if row.state == "PENDING" or row.state in _WAITING:
        return Sighting(SightingState.WAITING, _WAITING.get(row.state) or reasons.in_words(row.reason))
    return Sighting(SightingState.UNKNOWN, f"Slurm says {row.state}, which the engine does not know.")


def _gone(row: JobRow) -> Sighting:
    cause, words = _GONE[row.state]
    host = row.nodes or None
    if row.state == "CANCELLED" and row.nodes and row.exit_code == 0:
        # Not by a person: then the script ends with another code. A controller that was killed may start a job that
        # runs already; then the node ends both.
        return Sighting(SightingState.GONE, "node_died", host, detail="Its node ended it without being asked to.")
    if row.state == "FAILED" and (not row.nodes or row.reason in reasons.LAUNCH_FAILURES):
        return Sighting(SightingState.GONE, "never_started", host, detail=f"{reasons.in_words(row.reason)}")
    if row.restarts:
        detail = "Slurm had put it back after its first run, which is over, and the second one was not let in."
        return Sighting(SightingState.GONE, "node_died", host, detail=detail)
    if row.state == "OUT_OF_MEMORY":  # its exit status is a mark of Slurm's, not the runner's
        return Sighting(SightingState.GONE, cause, host, detail=words)
    if why := script.FAILURES.get(row.exit_code or 0):
        return Sighting(SightingState.GONE, "never_started", host, detail=f"On {row.nodes}: {why}")
    detail = words.format(nodes=row.nodes) or _end_in_words(row)
    return Sighting(SightingState.GONE, cause, host, row.exit_code, row.signal, detail)


def _cancelled(row: JobRow) -> Sighting:
    if not row.nodes:
        return Sighting(SightingState.GONE, "cancelled_before_start", detail="It was cancelled before it began.")
    return Sighting(SightingState.GONE, "cancelled", row.nodes, row.exit_code, row.signal, _end_in_words(row))


def _end_in_words(row: JobRow) -> str:
    if row.signal is None:
        return f"The runner ended with exit code {row.exit_code}."
    try:
        name = signal.Signals(row.signal).name
    except ValueError:
        name = f"signal {row.signal}"
    return f"The runner was ended by {name}."
