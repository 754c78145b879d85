"""From run_job until the job runs, and until the first line of the app's output can be read, on an idle engine."""

import json
import time
from pathlib import Path
from typing import Any, NamedTuple

from seed import METHOD
from servers import register_apps, wait_until
from whole_engine import Client, engine

_PAUSE_SECONDS = 0.005
_PATIENCE_SECONDS = 30


class Beginning(NamedTuple):
    """Seconds until the job was recorded as running, and until its first line could be read."""

    running: float
    line: float


def measure(folder: Path, count: int) -> list[Beginning]:
    """How ``count`` jobs began, one after the other; the first, cold one is left out."""
    with engine(folder) as port:
        register_apps(json.loads((folder / "endpoints.json").read_text())["mongo"], folder)
        client = Client(port, json.loads((folder / "tokens.json").read_text())["alice"])
        return [_time_one(client) for _ in range(count + 1)][1:]


def _time_one(client: Client) -> Beginning:
    begun = time.perf_counter()
    job_id = client.call("run_job", {"method": METHOD, "params": []})
    while not client.call("get_logs", {"job_id": job_id})["lines"]:
        if time.perf_counter() - begun > _PATIENCE_SECONDS:
            raise RuntimeError(
                f"no line of a job within {_PATIENCE_SECONDS} s: {client.call('check_job', {'job_id': job_id})}"
            )
        time.sleep(_PAUSE_SECONDS)
    seconds = time.perf_counter() - begun
    times: dict[str, int] = wait_until(lambda: _times_of_ended(client, job_id), "its end")
    return Beginning((times["running"] - times["created"]) / 1000, seconds)


def _times_of_ended(client: Client, job_id: str) -> Any:
    times = client.call("check_job", {"job_id": job_id, "fields": ["created", "running", "finished"]})
    return times if "finished" in times else None
