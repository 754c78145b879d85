import pytest
from hypothesis import given
from hypothesis import strategies as st

from execution_engine.dispatch.turns import Turns
from execution_engine.jobs.queue.order import Standing, job_at, jobs_ahead

USERS = [f"user{n}" for n in range(6)]


def handed_out(turns: Turns, waiting: dict[str, int], in_flight: dict[str, int]) -> list[tuple[str, int]]:
    """What the dispatcher does: all waiting jobs in the order of turns, as user and number."""
    left, order = dict(waiting), []
    turn = turns.begin(waiting, in_flight)
    while (user := turn.next) is not None:
        if not left[user]:
            turn.leave()
            continue
        order.append((user, waiting[user] - left[user] + 1))
        left[user] -= 1
        turn.serve()
    return order


@st.composite
def situations(draw: st.DrawFn) -> tuple[list[str], dict[str, int], dict[str, int]]:
    """Who had turns, how many jobs of whom wait (in the order of the oldest ones), and how many are in flight."""
    history = draw(st.lists(st.sampled_from(USERS), max_size=12))
    users = draw(st.permutations(USERS))
    waiting = {user: draw(st.integers(1, 5)) for user in users[: draw(st.integers(1, 6))]}
    return history, waiting, {user: draw(st.integers(0, 6)) for user in USERS}


@given(situations())
def test_it_is_the_order_in_which_the_dispatcher_hands_out(
    situation: tuple[list[str], dict[str, int], dict[str, int]],
) -> None:
    history, waiting, in_flight = situation
    turns = Turns()
    for user in history:
        turns.note_served(user)
    served = {user: turn for turn, user in enumerate(turns.latest(100), 1)}
    standings = {
        user: Standing(n, in_flight[user], served.get(user, 0), age) for age, (user, n) in enumerate(waiting.items())
    }
    order = handed_out(turns, waiting, in_flight)
    assert [job_at(standings, place) for place in range(len(order))] == order
    for place, (user, n) in enumerate(order):
        ahead = jobs_ahead(standings, user, n)
        assert sum(ahead.values()) == place
        assert all(ahead.get(other, 0) == sum(name == other for name, _ in order[:place]) for other in waiting)


def test_a_small_user_beside_a_flood() -> None:
    standings = {"alice": Standing(10_000, 8, 9, 0), "bob": Standing(1, 0, 0, 1)}
    assert jobs_ahead(standings, "bob", 1) == {}
    assert jobs_ahead(standings, "alice", 1) == {"bob": 1}
    assert jobs_ahead(standings, "alice", 10_000) == {"alice": 9_999, "bob": 1}
    assert job_at(standings, 0) == ("bob", 1)
    assert job_at(standings, 10_000) == ("alice", 10_000)


@pytest.mark.parametrize("place", [-1, 3])
def test_a_place_that_nobody_has(place: int) -> None:
    with pytest.raises(IndexError):
        job_at({"alice": Standing(3, 0, 0, 0)}, place)
    with pytest.raises(IndexError):
        job_at({}, 0)
