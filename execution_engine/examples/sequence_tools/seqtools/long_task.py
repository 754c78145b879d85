"""A task that takes its time."""

from __future__ import annotations

import time
from typing import Any

from .params import check_names, number, whole_number
from .sdk import Job, say

TICK_SECONDS = 0.05
WEEK = 7 * 86_400.0


def long_task(job: Job) -> tuple[dict[str, Any], str]:
    """Prints ``lines_per_second`` lines a second for ``seconds`` seconds, and reports its progress once a second."""
    check_names(job.params, ("seconds", "lines_per_second"))
    seconds = number(job.params, "seconds", default=60, highest=WEEK)
    rate = whole_number(job.params, "lines_per_second", default=100, lowest=0, highest=100_000)
    total = int(seconds * rate)
    printed, reported = 0, -1
    began = time.monotonic()
    while True:
        passed = min(seconds, time.monotonic() - began)
        due = min(total, int(passed * rate) + 1)
        if printed < due:
            say("\n".join(f"line {line:,} of {total:,}" for line in range(printed + 1, due + 1)))
            printed = due
        if int(passed) > reported:
            reported = int(passed)
            job.progress(100 * passed / seconds, f"{reported} of {seconds:g} seconds")
        if passed >= seconds:
            break
        time.sleep(min(TICK_SECONDS, seconds - passed))
    return {"seconds": seconds, "lines": printed}, f"Printed {printed:,} lines in {seconds:g} seconds.\n"
