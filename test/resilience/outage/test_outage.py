"""The outage test: every fault against every kind, and the fate of each job in it.

Each job reaches exactly one final state, which never changes, no two of its attempts run at once, its log is complete,
and all of that within a bounded time after the fault has cleared. How many fates: EE_OUTAGE_FATES.
"""

import os
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from test.resilience.outage.fates import COMPLETED, EXPECTED, Cohort, Group
from test.resilience.outage.faults import FAULTS, Fault
from test.resilience.outage.table import Row, Table
from test.resilience.outage.tested import IMPOSSIBLE, KINDS
from test.resilience.outage.world import World

FATES = int(os.environ.get("EE_OUTAGE_FATES", "200"))
ROUNDS = -(-FATES // (len(FAULTS) * len(KINDS) * len(Group)))
"""Each has one job of each group in each cell, and one more."""
SETTLED_SECONDS = 90.0


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with World(tmp_path_factory.mktemp("outage")).running() as running:
        yield running


@pytest.fixture(scope="module")
def table(world: World) -> Table:
    """All cells of the run."""
    missing = [(fault, kind, why) for kind, fault, why in IMPOSSIBLE]
    return Table(missing=missing + [("everything", kind, why) for kind, why in world.without.items()])


@pytest.fixture(scope="module")
def cohorts() -> list[tuple[Cohort, dict[str, str]]]:
    """All of the run with their statuses when they had ended."""
    return []


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
@pytest.mark.parametrize("n", range(ROUNDS))
def test_outage(world: World, table: Table, cohorts: list[tuple[Cohort, dict[str, str]]], n: int, fault: Fault) -> None:
    here = [Cohort(world, kind.name) for kind in world.kinds if fault.kinds(kind)]
    if not here:
        pytest.skip(f"round {n}: there is no system here that has this")
    for cohort in here:
        cohort.submit_early()
    for cohort in here:
        cohort.wait_begun()
    fault.arm(world)
    acts = [Act(cohort) for cohort in here]
    with fault.strike(world):
        pass
    cleared = time.monotonic()
    for act in acts:
        act.wait()
        act.cohort.release()
    for cohort in here:
        cohort.wait_ended()
        seconds = time.monotonic() - cleared
        fates = cohort.fates()
        table.rows.append(Row(fault.name, cohort.kind, fates, seconds))
        cohorts.append((cohort, cohort.statuses()))
        for fate in fates:
            allowed = EXPECTED.get(fate.group, COMPLETED) | fault.outcomes.get(fate.group, frozenset())
            assert fate.outcome in allowed, fate
        assert seconds < SETTLED_SECONDS


def test_final_states_have_stayed(
    table: Table,
    cohorts: list[tuple[Cohort, dict[str, str]]],
    record_property: Callable[[str, str], None],
) -> None:
    record_property("shown", "\n".join(table.lines()))
    for cohort, statuses in cohorts:
        assert cohort.statuses() == statuses


class Act(threading.Thread):
    """What happens beside the fault."""

    def __init__(self, cohort: Cohort) -> None:
        super().__init__(name=f"act-{cohort.kind}", daemon=True)
        self.cohort = cohort
        self._error: BaseException | None = None
        self.start()

    def run(self) -> None:
        try:
            self.cohort.act()
        except BaseException as error:  # noqa: BLE001  raised again where the test sees it
            self._error = error

    def wait(self) -> None:
        """Until it is done."""
        self.join()
        if self._error:
            raise self._error
