"""What a real Slurm 22.05.8 answered: two nodes, twelve jobs in all states, errors of every kind."""

import json
from pathlib import Path
from typing import Any

from execution_engine.backends.slurm.rest_v0_0_38 import V0038
from execution_engine.backends.slurm.session import JobRow

_RECORD: dict[str, Any] = json.loads((Path(__file__).parents[1] / "exchanges" / "slurm_22.05.json").read_text())
REST: dict[str, Any] = _RECORD["rest"]
COMMANDS: dict[str, Any] = _RECORD["commands"]
IDS: dict[str, str] = _RECORD["ids"]
"""The backend's ids of the jobs, by what became of them."""


def body(name: str) -> Any:
    """The body of a REST answer."""
    return REST[name]["body"]


def rows(answer: str = "jobs") -> dict[str, JobRow]:
    """The jobs by what became of them."""
    by_number = {row.id: row for row in V0038().jobs(body(answer), "root")}
    return {what: by_number[int(it.partition(":")[0])] for what, it in IDS.items()}
