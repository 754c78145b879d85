import pytest

from test.benchmarks.fairness import InOrder, InTurns, Load, jain, simulate

LOAD = Load(jobs=3_000, users=30, small_users=5, jobs_of_small=4, slots=20)


def test_the_index_of_fairness() -> None:
    assert jain([3, 3, 3]) == 1
    assert jain([1, 0, 0, 0]) == 0.25
    assert jain([]) == 1


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_users_get_the_same_and_small_ones_hardly_wait_beside_a_flood(seed: int) -> None:
    load = Load(**{**vars(LOAD), "seed": seed})
    fair, plain = simulate(load, InTurns()), simulate(load, InOrder())
    assert fair.jain > 0.95
    assert plain.jain < 0.2
    assert sum(len(waits) for waits in fair.waits.values()) == len(load.submissions()), "all ran"
    # What waits in the backend goes first: so many jobs as there are slots, of a minute each.
    assert max(fair.small_waits()) < 6 * load.duration
    assert max(plain.small_waits()) > 20 * max(fair.small_waits())
    assert fair.ended == pytest.approx(plain.ended, rel=0.05), "fairness costs no throughput"
