from collections import Counter
from collections.abc import Iterable, Mapping

from hypothesis import given
from hypothesis import strategies as st

from execution_engine.dispatch.turns import Turns

USERS = st.lists(st.sampled_from("abcdefgh"), unique=True)
LOADS = st.dictionaries(st.sampled_from("abcdefgh"), st.integers(0, 20))


def shares(turns: Turns, places: int, users: Iterable[str], in_flight: Mapping[str, int]) -> dict[str, int]:
    """So many places, given to users who all have enough jobs."""
    order = turns.begin(users, in_flight)
    served: Counter[str] = Counter()
    for _ in range(places):
        if (user := order.next) is None:
            break
        served[user] += 1
        order.serve()
    return dict(served)


def test_users_share_the_places() -> None:
    assert shares(Turns(), 6, ["ann", "bob", "cem"], {}) == {"ann": 2, "bob": 2, "cem": 2}
    assert shares(Turns(), 4, ["ann", "bob", "cem"], {}) == {"ann": 2, "bob": 1, "cem": 1}


def test_without_users_nobody_is_next() -> None:
    assert Turns().begin([], {"ann": 2}).next is None


def test_who_has_least_at_work_is_first() -> None:
    assert shares(Turns(), 3, ["ann", "bob"], {"ann": 3}) == {"bob": 3}
    assert shares(Turns(), 5, ["ann", "bob"], {"ann": 3}) == {"bob": 4, "ann": 1}


def test_among_equals_it_is_who_was_served_longest_ago() -> None:
    turns = Turns()
    order = [next(iter(shares(turns, 1, ["ann", "bob", "cem"], {}))) for _ in range(6)]
    assert order == ["ann", "bob", "cem", "ann", "bob", "cem"]
    assert shares(turns, 1, ["ann", "dan"], {}) == {"dan": 1}, "who was never served is before all others"


def test_who_leaves_takes_nobodys_turn_and_keeps_the_own() -> None:
    turns = Turns()
    order = turns.begin(["ann", "bob", "cem"], {})
    assert len(order) == 3
    assert order.next == "ann"
    order.leave()
    assert order.next == "bob"
    order.serve()
    assert order.next == "cem"
    order.leave()
    assert order.next == "bob"
    order.leave()
    assert order.next is None
    assert turns.begin(["bob", "ann"], {}).next == "ann"


@given(st.integers(0, 60), USERS, LOADS)
def test_every_place_is_given_and_nobody_ends_far_ahead_of_another(
    places: int, users: list[str], loads: dict[str, int]
) -> None:
    served = shares(Turns(), places, users, loads)
    assert sum(served.values()) == (places if users else 0)
    after = {user: loads.get(user, 0) + served.get(user, 0) for user in users}
    for user, share in served.items():
        assert share > 0
        assert after[user] <= min(after.values()) + 1


@given(st.integers(1, 7), st.integers(1, 5), st.integers(1, 12))
def test_over_many_rounds_all_are_served_equally(users: int, places: int, cycles: int) -> None:
    turns = Turns()
    served: Counter[str] = Counter()
    names = [f"user{n}" for n in range(users)]
    for _ in range(users * cycles):
        served.update(shares(turns, places, names, {}))
    assert set(served.values()) == {places * cycles}
