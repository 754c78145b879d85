"""The outage test: every fault against every kind, and the fate of each job in it.

Each job reaches exactly one final state, which never changes, no two of its attempts run at once, its log is complete,
and all of that within a bounded time after the fault has cleared. How many fates: EE_OUTAGE_FATES.
"""

import os
import threading
import time
from collections.abc import Iterator

import pytest

from test.resilience.outage.fates import COMPLETED, EXPECTED, Cohort, Group
from test.resilience.outage.faults import FAULTS, Fault
from test.resilience.outage.kinds import available
from test.resilience.outage.table import Row, Table
from test.resilience.outage.world import World

FATES = int(os.environ.get("EE_OUTAGE_FATES", "240"))
SETTLED_SECONDS = 60.0


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with World(tmp_path_factory.mktemp("outage"), available()).running() as running:
        yield running


@pytest.fixture(scope="module")
def table(pytestconfig: pytest.Config) -> Iterator[Table]:
    """Printed when all is done."""
    made = Table()
    yield made
    capture = pytestconfig.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled():
        print("", *made.lines(), sep="\n")


@pytest.fixture(scope="module")
def cohorts() -> list[tuple[Cohort, dict[str, str]]]:
    """All of the run with their statuses when they had ended."""
    return []


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_outage(world: World, table: Table, cohorts: list[tuple[Cohort, dict[str, str]]], fault: Fault) -> None:
    size = max(1, -(-FATES // (len(FAULTS) * len(world.kinds) * len(Group))))
    here = [Cohort(world, kind.name, size) for kind in world.kinds]
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


def test_final_states_have_stayed(cohorts: list[tuple[Cohort, dict[str, str]]]) -> None:
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
