from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from execution_engine.dispatch.turns import Turns

USERS = st.lists(st.sampled_from("abcdefgh"), unique=True)
LOADS = st.dictionaries(st.sampled_from("abcdefgh"), st.integers(0, 20))


def test_users_share_the_places() -> None:
    assert Turns().divide(6, ["ann", "bob", "cem"], {}) == {"ann": 2, "bob": 2, "cem": 2}
    assert Turns().divide(4, ["ann", "bob", "cem"], {}) == {"ann": 2, "bob": 1, "cem": 1}


def test_without_places_or_users_nobody_gets_one() -> None:
    assert Turns().divide(0, ["ann"], {}) == {}
    assert Turns().divide(-3, ["ann"], {}) == {}
    assert Turns().divide(5, [], {"ann": 2}) == {}


def test_who_has_least_at_work_is_first() -> None:
    assert Turns().divide(3, ["ann", "bob"], {"ann": 3}) == {"bob": 3}
    assert Turns().divide(5, ["ann", "bob"], {"ann": 3}) == {"bob": 4, "ann": 1}


def test_among_equals_it_is_who_was_served_longest_ago() -> None:
    turns = Turns()
    order = [next(iter(turns.divide(1, ["ann", "bob", "cem"], {}))) for _ in range(6)]
    assert order == ["ann", "bob", "cem", "ann", "bob", "cem"]
    assert turns.divide(1, ["ann", "dan"], {}) == {"dan": 1}, "who was never served is before all others"


@given(st.integers(0, 60), USERS, LOADS)
def test_every_place_is_given_and_nobody_ends_far_ahead_of_another(
    places: int, users: list[str], loads: dict[str, int]
) -> None:
    shares = Turns().divide(places, users, loads)
    assert sum(shares.values()) == (places if users else 0)
    after = {user: loads.get(user, 0) + shares.get(user, 0) for user in users}
    for user, share in shares.items():
        assert share > 0
        assert after[user] <= min(after.values()) + 1


@given(st.integers(1, 7), st.integers(1, 5), st.integers(1, 12))
def test_over_many_rounds_all_are_served_equally(users: int, places: int, cycles: int) -> None:
    turns = Turns()
    served: Counter[str] = Counter()
    names = [f"user{n}" for n in range(users)]
    for _ in range(users * cycles):
        served.update(turns.divide(places, names, {}))
    assert set(served.values()) == {places * cycles}
