"""Executes one function of the module on the job in the working directory."""

from __future__ import annotations

import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .assembly import assembly_stats
from .kmers import count_kmers
from .long_task import long_task
from .orfs import find_orfs
from .reports import save_report
from .sdk import AppError, Job, leave_error, leave_result, say

if TYPE_CHECKING:
    from collections.abc import Callable

FUNCTIONS: dict[str, Callable[[Job], tuple[dict[str, Any], str]]] = {
    "assembly_stats": assembly_stats,
    "find_orfs": find_orfs,
    "count_kmers": count_kmers,
    "long_task": long_task,
}


def main(argv: list[str]) -> int:
    """``argv``: the function's name. 0, or 1 with the reason in ``output.json``."""
    folder = Path.cwd()
    try:
        leave_result(folder, _run(argv[0], Job(folder)))
    except AppError as error:
        sys.stderr.write(f"{error}\n")
        leave_error(folder, str(error))
        return 1
    except Exception as error:  # noqa: BLE001 - whatever it is, the user is told
        traceback.print_exc()
        leave_error(folder, f"The app failed unexpectedly: {type(error).__name__}: {error}", traceback.format_exc())
        return 1
    return 0


def _run(name: str, job: Job) -> dict[str, Any]:
    result, summary = FUNCTIONS[name](job)
    say(summary.rstrip())
    if job.wsid is None:
        return result
    job.progress(99, f"Saving the report in workspace {job.wsid}")
    return {**result, **save_report(job, summary)}
