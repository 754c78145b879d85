"""Which kinds are tested, what each of them adds to the faults, and what it can't have."""

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from test.resilience.outage.clusters import condor, slurm
from test.resilience.outage.kinds import Kind, awe, local

KINDS: dict[str, Callable[[ExitStack, Path], Kind | str]] = {
    "local": local,
    "awe": awe,
    "slurm": slurm,
    "condor": condor,
}
"""Each starts a system, which ends with the stack, in the folder if it likes; or says why it can't here."""

OWN_FAULTS = (
    "local: machine restarted",
    "awe: server away",
    "slurm: slurmctld killed",
    "slurm: slurmrestd killed",
    "slurm: slurmd killed",
    "slurm: node dies",
    "condor: schedd killed",
    "condor: startd killed",
    "condor: node dies",
)
"""What of a system itself can fail, each with its kind."""

IMPOSSIBLE = (
    ("local", "dispatcher to system …", "it is a part of the dispatcher: there is no network between"),
    ("awe", "a machine dies", "the simulator's workers are threads of the test"),
    ("condor", "dispatcher to system …", "to the collector alone; the schedd is reached where it says that it is"),
)
"""Faults that a kind does not have, or not wholly, and why."""
