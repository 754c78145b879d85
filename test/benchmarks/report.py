"""What a run has found: the table, and the bars."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field

import workload as w
from clients import Sample
from first_line import Beginning


@dataclass
class Cell:
    """One task with one number of clients: calls per second of each round, all latencies (ms), clients' CPU share."""

    rates: list[float] = field(default_factory=list)
    milliseconds: list[float] = field(default_factory=list)
    client_cpu: float = 0.0

    def add(self, sample: Sample) -> None:
        self.rates.append(len(sample.latencies) / sample.seconds)
        self.milliseconds += [seconds * 1000 for seconds in sample.latencies]
        self.client_cpu = max(self.client_cpu, sample.cpu / sample.seconds)

    @property
    def rate(self) -> float:
        return statistics.median(self.rates)

    def percentile(self, percent: float) -> float:
        return percentile(self.milliseconds, percent)


Cells = dict[tuple[str, int], Cell]


@dataclass(frozen=True)
class Bar:
    """A rate of one task in relation to that of another: at least ``least``, at the most clients."""

    text: str
    task: str
    base: str
    least: float


BARS = (
    *(
        Bar(f"{name}: at least 0.7 of the one-find handler", name, w.FIND, 0.7)
        for name in (w.CHECK_ENDED, w.CHECK_RUNNING, w.CHECK_WAITING, w.CHECK_SHARED)
    ),
    Bar("run_job: at least 0.5 of the two-insert handler", w.RUN, w.INSERT, 0.5),
    Bar("add_job_logs: within 2.5 times the raw parse and insert", w.ADD_SHORT, w.RAW, 1 / 2.5),
    Bar("add_job_logs: flat, 1,000,000 lines within 1.2 times a new log", w.ADD_LONG, w.ADD_SHORT, 1 / 1.2),
    Bar("get_logs: flat, 1,000,000 lines within 1.2 times 10,000", w.GET_LONG, w.GET_SHORT, 1 / 1.2),
    Bar("list_jobs: 100,000 jobs within 1.5 times 1,000", w.LIST_LARGE, w.LIST_SMALL, 1 / 1.5),
)
FIRST_LINE_SECONDS = 0.5
BASES = {bar.task: bar.base for bar in BARS} | {w.TOKEN: w.EMPTY, w.PERMISSION: w.EMPTY}


def percentile(values: Sequence[float], percent: float) -> float:
    """The value below which so many percent lie; the larger neighbour, nothing in between."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))] if ordered else float("nan")


def ratio(cells: Cells, task: str, base: str, clients: int) -> float:
    """The median over the rounds of one rate by the other."""
    pairs = zip(cells[task, clients].rates, cells[base, clients].rates, strict=True)
    return statistics.median(rate / other if other else float("nan") for rate, other in pairs)


def cost(cells: Cells, task: str, base: str) -> float:
    """Microseconds that a call of a task takes longer than one of the other: the median of the rounds, one client."""
    pairs = zip(cells[task, 1].rates, cells[base, 1].rates, strict=True)
    return statistics.median(1e6 / rate - 1e6 / other for rate, other in pairs if rate and other)


def costs(cells: Cells) -> str:
    """What access rules cost, as a sentence; empty if it was not measured."""
    if (w.PERMISSION, 1) not in cells:
        return ""
    return (
        f"The check of a token takes {cost(cells, w.TOKEN, w.EMPTY):.0f} µs a call, that of a workspace permission "
        f"{cost(cells, w.PERMISSION, w.TOKEN):.0f} µs more, both from the caches.\n"
    )


def table(cells: Cells, counts: Sequence[int]) -> str:
    """One row a task: for each number of clients calls per second, p50, p99 and the ratio to the task's floor."""
    width = max(len(name) for group in w.GROUPS for name in group)
    heads = [
        f"| {f'{count} client' + 's' * (count > 1):>9} {'p50 ms':>8} {'p99 ms':>8} {'ratio':>6} " for count in counts
    ]
    rows = [f"{'calls per second':{width}} {''.join(heads)}"]
    for group in w.GROUPS:
        if (group[0], counts[0]) not in cells:
            continue
        rows.append("-" * (width + 1 + sum(len(head) for head in heads)))
        rows += [f"{name:{width}} {''.join(_columns(cells, name, count) for count in counts)}" for name in group]
    return "\n".join(row.rstrip() for row in rows)


def _columns(cells: Cells, name: str, count: int) -> str:
    cell = cells[name, count]
    compared = f"{ratio(cells, name, BASES[name], count):6.2f}" if name in BASES else " " * 6
    return f"| {cell.rate:>9,.0f} {cell.percentile(50):>8.1f} {cell.percentile(99):>8.1f} {compared} "


def verdicts(cells: Cells, clients: int, beginnings: Sequence[Beginning]) -> list[tuple[bool, str]]:
    """Whether each bar is met, and the sentence that says so."""
    found = []
    for bar in BARS:
        if (bar.task, clients) not in cells:
            continue
        reached = ratio(cells, bar.task, bar.base, clients)
        met = reached >= bar.least
        values = f"{reached:.2f} of at least {bar.least:.2f}"
        found.append((met, f"{'met   ' if met else 'MISSED'}  {bar.text}  ({values})"))
    lines = [beginning.line for beginning in beginnings]
    typical = statistics.median(lines)
    met = typical <= FIRST_LINE_SECONDS
    text = f"from run_job to the first log line readable: within {FIRST_LINE_SECONDS} s"
    running = statistics.median(beginning.running for beginning in beginnings)
    values = f"p50 {typical:.3f} s, longest of {len(lines)} {max(lines):.3f} s; to the job running: p50 {running:.3f} s"
    found.append((met, f"{'met   ' if met else 'MISSED'}  {text}  ({values})"))
    return found
