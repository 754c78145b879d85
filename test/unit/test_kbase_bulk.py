from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from execution_engine.kbase.bulk import MAX_DROPS, ask_without_bad
from execution_engine.kbase.jsonrpc import ServiceFault


def service(bad: set[int], calls: list[list[int]]) -> Callable[[list[int]], list[int]]:
    def ask(keys: list[int]) -> list[int]:
        calls.append(keys)
        for key in keys:
            if key in bad:
                raise ServiceFault(f"bad {key}", -32500)
        return [-key for key in keys]

    return ask


def bad_one(message: str, _: list[int]) -> int:
    return int(message.removeprefix("bad "))


@given(st.sets(st.integers(0, 100)), st.sets(st.integers(0, 100), max_size=MAX_DROPS), st.integers(1, 30))
def test_everything_but_the_bad_is_answered(keys: set[int], bad: set[int], per_call: int) -> None:
    calls: list[list[int]] = []
    answers, left = ask_without_bad(sorted(keys), service(bad, calls), bad_one, per_call=per_call)
    assert answers == {key: -key for key in keys - bad}
    assert left == []
    assert len(calls) <= -(-len(keys) // per_call) + len(keys & bad)
    assert all(len(it) <= per_call for it in calls)


def test_the_number_of_repeated_calls_is_bounded() -> None:
    calls: list[list[int]] = []
    answers, left = ask_without_bad(range(1000), service(set(range(5, 1000)), calls), bad_one, per_call=10)
    assert len(calls) == MAX_DROPS + 1
    assert answers == {}
    assert left == [*range(5), *range(5 + MAX_DROPS, 1000)]


def test_a_fault_that_no_key_is_guilty_of_is_raised() -> None:
    with pytest.raises(ServiceFault, match="bad 1"):
        ask_without_bad([1], service({1}, []), lambda *_: None, per_call=10)


def test_a_missing_answer_is_an_error() -> None:
    with pytest.raises(ValueError, match="zip"):
        ask_without_bad([1, 2], lambda _: [1], bad_one, per_call=10)
