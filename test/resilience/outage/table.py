"""The result: for each fault and kind the jobs, their outcomes, and the longest time until all was settled."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from test.resilience.outage.fates import Fate


@dataclass(frozen=True)
class Row:
    """One fault × kind cell; ``seconds``: from the fault's end to the last job's."""

    fault: str
    kind: str
    fates: list[Fate]
    seconds: float


@dataclass
class Table:
    """All cells of a run, and those that a kind does not have."""

    rows: list[Row] = field(default_factory=list)
    missing: list[tuple[str, str, str]] = field(default_factory=list)

    def lines(self) -> Iterable[str]:
        """To be printed."""
        width = max([len(row.fault) for row in self.rows] + [len(fault) for fault, _, _ in self.missing], default=0)
        yield f"{'fault':{width}}  kind      jobs  again  settled  outcomes"
        for row in self.rows:
            outcomes = Counter(fate.outcome for fate in row.fates)
            again = sum(fate.begun > 1 for fate in row.fates)
            told = ", ".join(f"{n} {outcome}" for outcome, n in outcomes.most_common())
            yield f"{row.fault:{width}}  {row.kind:8}  {len(row.fates):4}  {again:5}  {row.seconds:5.1f} s  {told}"
        for fault, kind, why in self.missing:
            yield f"{fault:{width}}  {kind:8}  not possible: {why}"
        total = sum(len(row.fates) for row in self.rows)
        longest = max((row.seconds for row in self.rows), default=0.0)
        yield f"{total} fates in {len(self.rows)} cells; the longest time to settle: {longest:.1f} s"
