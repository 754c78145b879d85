"""How long the lists of jobs shared by workspaces take, beside the list of one's own, at a million jobs.

    .venv/bin/python test/benchmarks/shared_lists.py [--jobs 1000000] [--rounds 40] [--data FOLDER]

Five kinds of sets of workspaces: *dense*: the busiest; *sparse*: the quietest; *old*: busy only long ago; *own*: nearly
all jobs are the reader's; *empty*: hardly any has a job. For each: the first page and a page from a cursor a year back,
without a filter and with a status. What is measured is list_jobs itself, in one process, with the list of workspaces in
its cache; a page is 50 records. With --data the database is kept, and filled only the first time.
"""

import argparse
import datetime as dt
import math
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from itertools import accumulate
from pathlib import Path

from bson import ObjectId
from seed import put
from servers import wait_until

from execution_engine.config import Settings
from execution_engine.core.clock import now, to_ms
from execution_engine.embedded.mongod import Mongod, find_mongod
from execution_engine.jobs.engine import Engine, build_engine
from execution_engine.jobs.identity import Admin, User
from execution_engine.jobs.listing import list_jobs
from execution_engine.store.database import Document, connect
from execution_engine.store.recent_fold import RecentFold
from execution_engine.store.schema import prepare
from execution_engine.store.tokens import TokenCipher

USERS, WORKSPACES = 5_000, 20_000
YEARS = dt.timedelta(days=730)
SIZES = (10, 1_000, 10_000)
KINDS = ("dense", "sparse", "old", "own", "empty")
_SPECIAL = 1_000  # workspaces of the kinds old and own, each
_SPECIAL_JOBS = 60
_STATUSES = ["completed"] * 80 + ["error"] * 13 + ["terminated"] * 6 + ["running"]
_KEY = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="
_READER = "u7"


def main() -> int:
    """Fills, measures, prints."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--jobs", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=40, help="pages measured for each cell")
    parser.add_argument("--data", type=Path, help="folder to keep the database in")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="ee-lists-") as scratch:
        print(measure(options.data or Path(scratch), options.jobs, options.rounds))
    return 0


def measure(folder: Path, jobs: int, rounds: int) -> str:
    """The table, in Markdown. ``folder``: of the database; ``rounds``: pages measured for each cell."""
    folder.mkdir(parents=True, exist_ok=True)
    mongod = Mongod.in_folder(folder, find_mongod())
    process = subprocess.Popen(mongod.command(), stdout=subprocess.DEVNULL)
    try:
        wait_until(mongod.ready, "mongod")
        engine = build_engine(Settings(), connect(mongod.url, "lists"), TokenCipher([_KEY]))
        if engine.database.jobs.estimated_document_count() < jobs:
            _fill(engine, jobs)
        _prepare(engine)
        return "\n".join(_rows(engine, rounds))
    finally:
        process.terminate()
        process.wait()


def _fill(engine: Engine, count: int) -> None:
    """Jobs as a busy site has them: few users and workspaces have most, 70 % are by a workspace's owner."""
    begun = time.monotonic()
    engine.database.jobs.drop()
    engine.database.ws_recent.drop()
    put(engine.database.jobs, _jobs(random.Random(1), count))
    _say(f"{count:,} jobs in {time.monotonic() - begun:.0f} s")


def _prepare(engine: Engine) -> None:
    """Indexes, and the table of recent jobs."""
    begun = time.monotonic()
    prepare(engine.database)
    _say(f"their indexes in {time.monotonic() - begun:.0f} s")
    begun, steps, fold = time.monotonic(), 1, RecentFold(engine.database)
    while fold.step(now()):
        steps += 1
    _say(f"the table of recent jobs in {time.monotonic() - begun:.1f} s, {steps} steps")


def _jobs(rng: random.Random, count: int) -> Iterator[Document]:
    begin, end = now() - YEARS, now()
    users = list(accumulate(1 / n for n in range(1, USERS + 1)))
    workspaces = list(accumulate(1 / n**0.9 for n in range(1, WORKSPACES + 1)))
    ordinary = max(1, count - 2 * _SPECIAL * _SPECIAL_JOBS)
    for n in range(ordinary):
        [user] = rng.choices(range(USERS), cum_weights=users)
        [wsid] = rng.choices(range(WORKSPACES), cum_weights=workspaces)
        owner = wsid % USERS
        yield _job(rng, begin + n * (YEARS / ordinary), f"u{owner if rng.random() < 0.7 else user}", wsid + 1)
    for n in range(_SPECIAL * _SPECIAL_JOBS):
        old = end - dt.timedelta(days=540) - n * dt.timedelta(minutes=1)
        yield _job(rng, old, f"u{rng.randrange(USERS)}", WORKSPACES + 1 + n % _SPECIAL)
        own = begin + n * (YEARS / (_SPECIAL * _SPECIAL_JOBS))
        by = _READER if rng.random() < 0.995 else f"u{rng.randrange(USERS)}"
        yield _job(rng, own, by, WORKSPACES + _SPECIAL + 1 + n % _SPECIAL)


def _job(rng: random.Random, created: dt.datetime, user: str, wsid: int) -> Document:
    created = created.replace(microsecond=created.microsecond // 1000 * 1000)
    status = rng.choice(_STATUSES)
    job: Document = {
        "_id": ObjectId(int(created.timestamp()).to_bytes(4, "big") + rng.randbytes(8)),
        "user": user,
        "created": created,
        "wsid": wsid,
        "method": f"module_{rng.randrange(40)}.run",
        "app_id": f"module_{rng.randrange(40)}/run",
        "service_ver": "c0ffee" * 6 + "c0de",
        "client_group": rng.choice(("njs", "bigmem")),
        "backend": "condor",
        "requirements": {"cpus": 4, "memory_mb": 16_000, "disk_gb": 100},
        "status": status,
        "active": status == "running",
        "claimed": False,
        "attempt": {"n": 1, "tag": "ee.0123456789abcdef01234567.1", "ticket": "0" * 64, "credential": "1" * 64},
        "queued": created,
        "running": created,
        "updated": created,
        "history": [{"at": created, "event": "created", "status": "created", "actor": user}] * 4,
    }
    if status != "running":
        job["finished"] = created + dt.timedelta(seconds=rng.randrange(5, 7200))
    if status in ("error", "terminated"):
        job["cause"] = {"code": "app_error", "message": "The app reported an error.", "advice": "Read the log."}
        job["tok"] = [f"word{rng.randrange(2_000)}", "memory", f"word{int(rng.expovariate(0.1))}"]
    return job


def _workspaces(rng: random.Random, kind: str, size: int) -> list[int]:
    """The set of workspaces that the reader can read."""
    if kind == "dense":
        return list(range(1, size + 1))
    if kind == "sparse":
        return list(range(WORKSPACES - size + 1, WORKSPACES + 1))
    if kind == "empty":
        return [*rng.sample(range(1, WORKSPACES), 3), *range(10**6, 10**6 + size - 3)]
    first = WORKSPACES + 1 if kind == "old" else WORKSPACES + _SPECIAL + 1
    real = list(range(first, first + min(size, _SPECIAL)))
    return real + list(range(10**6, 10**6 + size - len(real)))


class _Reads:
    """Answers as the cache of permissions does."""

    def __init__(self) -> None:
        self.now: list[int] = []

    def readable_workspaces(self, _token: str) -> Sequence[int]:
        return self.now


def _rows(engine: Engine, rounds: int) -> Iterator[str]:
    reads = _Reads()
    object.__setattr__(engine, "permissions", reads)
    reader = User(_READER, (), Admin.NONE, "token")
    rng = random.Random(2)
    long_ago = to_ms(now() - dt.timedelta(days=365))
    pages: list[tuple[str, Document]] = [
        ("first page", {}),
        ("a year back", {"created_to": long_ago}),
        ("first page, status error", {"status": ["error"]}),
        ("a year back, status error", {"status": ["error"], "created_to": long_ago}),
        ("first page, by end", {"sort": "finished"}),
        ("oldest first", {"order": "asc"}),
    ]
    yield f"{engine.database.jobs.estimated_document_count():,} jobs; ms p50 / p99 (times the own list's p50)\n"
    names = [name for name, _ in pages]
    yield "| workspaces | " + " | ".join(names) + " |\n|---|" + "---|" * len(names)
    own: dict[str, list[float]] = {name: [] for name in names}
    for size in SIZES:
        for kind in KINDS:
            reads.now = _workspaces(rng, kind, size)
            cells = []
            for name, params in pages:
                mine, shared = _time(engine, reader, params, rounds)
                own[name] += mine
                ratio = statistics.median(shared) / statistics.median(mine)
                cells.append(f"{_cell(shared)} ({ratio:.1f})")
            _say(f"{size:,} {kind}")
            yield f"| {size:,} {kind} | " + " | ".join(cells) + " |"
    yield "| mine | " + " | ".join(_cell(times) for times in own.values()) + " |"
    yield (f"\nLoad of the machine at the end: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores.")


def _time(engine: Engine, reader: User, params: Document, rounds: int) -> tuple[list[float], list[float]]:
    """Milliseconds of pages of the own list and of the shared one; they take turns, after two rounds to warm up."""
    times: dict[str, list[float]] = {"mine": [], "shared": []}
    for _ in range(rounds + 2):
        for scope, taken in times.items():
            begun = time.perf_counter()
            page = list_jobs(engine, reader, {"scope": scope, **params}, frozenset())
            taken.append((time.perf_counter() - begun) * 1000)
            if page.incomplete:
                raise RuntimeError(f"{scope} {params}: incomplete")
    return times["mine"][2:], times["shared"][2:]


def _cell(times: list[float]) -> str:
    """The two percentiles."""
    return f"{statistics.median(times):.1f} / {sorted(times)[math.ceil(0.99 * len(times)) - 1]:.1f}"


def _say(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')}  {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
