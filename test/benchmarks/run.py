"""How fast the engine is, beside what the same machine, database and web server can do at all.

    .venv/bin/python test/benchmarks/run.py [--quick] [--only TEXT]

What is measured, and how to read it: docs/reference/benchmarks.md. The exit code is 1 if a bar is missed.
"""

import argparse
import os
import random
import sys
import tempfile
import time
from pathlib import Path

import fairness
import first_line
import shared_lists
import workload
from clients import ClientProcesses
from report import Cell, Cells, costs, table, verdicts
from servers import Servers

COUNTS = (1, workload.MOST_CLIENTS)
WARM_UP_SECONDS = 0.25
SHARED_LISTS = "shared lists"  # this part's name for --only


def main() -> int:
    """Measures, prints, and answers the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer and shorter rounds: noisier")
    parser.add_argument("--only", default="", metavar="TEXT", help="only the rows, and what they are compared with")
    options = parser.parse_args()
    quick = options.quick
    rounds, seconds, jobs = (5, 0.25, 6) if quick else (15, 0.4, 20)
    listed, pages = (150_000, 5) if quick else (1_000_000, 40)
    random.seed(1)
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="ee-bench-") as folder:
        print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} before the start", flush=True)
        cells = measure(Path(folder, "engine"), rounds, seconds, options.only)
        beginnings = first_line.measure(Path(folder, "up"), jobs)
        lists = shared_lists.measure(Path(folder, "lists"), listed, pages) if options.only in SHARED_LISTS else ""
    print(f"\n{table(cells, COUNTS)}\n")
    found = verdicts(cells, workload.MOST_CLIENTS, beginnings)
    print("\n".join(text for _, text in found))
    most_cpu = max((cell.client_cpu for cell in cells.values()), default=0.0)
    print(f"\n{costs(cells)}The clients needed at most {most_cpu:.0%} of a core in each of their processes.")
    print(f"\n{lists}\n")
    if not options.only:
        print("\n".join(fairness.report(fairness.Load(jobs=10_000) if quick else fairness.Load())) + "\n")
    print(f"{time.monotonic() - begun:.0f} s in all.")
    return 0 if all(met for met, _ in found) else 1


def measure(folder: Path, rounds: int, seconds: float, only: str) -> Cells:
    """Every task with every number of clients; what is compared takes turns, back and forth, and is warmed up first."""
    cells: Cells = {}
    with Servers(folder) as servers:
        _say("filling the databases")
        seeded = workload.fill(servers, turns=len(COUNTS) * (rounds + 1))
        servers.start_web()
        processes = ClientProcesses(
            workload.tasks(seeded, servers.settings.mongo_url), servers.settings.port, servers.settings.web_workers
        )
        for group in [rows for rows in workload.GROUPS if any(only in row for row in rows)]:
            _say(" · ".join(group))
            for count in COUNTS:
                for name in group:
                    processes.run(name, count, WARM_UP_SECONDS)
                    cells[name, count] = Cell()
                for turn in range(rounds):
                    for name in group if turn % 2 else reversed(group):
                        cells[name, count].add(processes.run(name, count, seconds))
                        servers.settle()
        processes.close()
    return cells


def _say(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')}  {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
