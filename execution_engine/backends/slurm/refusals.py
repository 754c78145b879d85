"""Why Slurm takes no job: its errors at submission, and what they mean for the job."""

from execution_engine.backends.base import Refused
from execution_engine.backends.slurm.session import JobRequest, Rejection

TIME_LIMIT = 2051
SIZES = frozenset({2005, 2006, 2014, 2044, 2069})
"""Errors that say that no node is big enough."""

# Slurm's numbers, its texts (the commands tell only those), and ours; {} is filled with what the job asked for.
_FOR_GOOD = {
    2000: ("Invalid partition name specified", "there is no such partition as {name}"),
    2001: ("No partition specified or system default partition", "no partition is named, and there is no default one"),
    2002: ("Access/permission denied", "the engine's account may not do that"),
    2003: ("User's group not permitted to use this partition", "the engine's account may not use {partition}"),
    2005: ("More processors requested than permitted", "no node of {partition} can give {cpus} CPUs"),
    2014: (
        "Requested node configuration is not available",
        "no node of {partition} has {cpus} CPUs and {memory_mb} MiB of memory{disk}",
    ),
    2044: ("Memory required by task is not available", "no node of {partition} has {memory_mb} MiB of memory"),
    2045: ("Invalid account or account/partition combination specified", "the account {account} can't be used"),
    2051: (
        "Requested time limit is invalid (missing or exceeds some limit)",
        "{minutes} minutes are longer than {partition} allows",
    ),
    2066: ("Invalid qos specification", "the QOS {qos} can't be used"),
    2072: ("Invalid generic resource (gres) specification", "it knows no such generic resource"),
    8000: ("Time limit specification required, but not provided", "jobs must have a time limit here"),
}
_NUMBERS = {text: number for number, (text, _) in _FOR_GOOD.items()}


def number_of(rejection: Rejection) -> int | None:
    """Slurm's number of the error, found by its text if it was not told; None if it is not in the table."""
    number = rejection.number if rejection.number is not None else _NUMBERS.get(str(rejection))
    return number if number in _FOR_GOOD else None


def refused(rejection: Rejection, request: JobRequest, largest: str = "") -> Refused:
    """The answer for the job. What is not in the table may pass: a full queue, a busy controller, a closed partition.

    ``largest``: the sentence about what there is, for an error that is one of :data:`SIZES`.
    """
    number = number_of(rejection)
    if number is None:
        return Refused(f"Slurm does not take the job now: {rejection}.", transient=True)
    words = _FOR_GOOD[number][1].format(
        partition=f"the partition {request.partition}" if request.partition else "the default partition",
        name=request.partition,
        cpus=request.cpus,
        memory_mb=request.memory_mb,
        disk=f" and {request.disk_mb} MiB of disk" if request.disk_mb else "",
        account=request.account or "of the engine",
        minutes=request.minutes,
        qos=request.qos or "of the engine",
    )
    return Refused(f"Slurm refuses the job: {words}.{largest}", transient=False)
