"""Asking for many things at once where one bad thing fails the call for all."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from execution_engine.kbase.jsonrpc import ServiceFault

K = TypeVar("K")
V = TypeVar("V")

MAX_DROPS = 8


def ask_without_bad(
    keys: Sequence[K],
    ask: Callable[[list[K]], list[V]],
    bad_one: Callable[[str, list[K]], K | None],
    *,
    per_call: int,
) -> tuple[dict[K, V], list[K]]:
    """The answers by key, and the keys that the bound on repeated calls left unasked.

    ``keys`` are distinct. ``ask`` answers up to ``per_call`` of them, in order; where it fails, ``bad_one`` finds the
    guilty key from the fault's message: it gets no answer, and the others are asked for again, MAX_DROPS times in all.

    Raises:
        ServiceFault: a fault that no key is guilty of.
        ValueError: not as many answers as keys.
    """
    answers: dict[K, V] = {}
    left, drops = list(keys), 0
    while left:
        chunk = left[:per_call]
        try:
            answers.update(zip(chunk, ask(chunk), strict=True))
        except ServiceFault as fault:
            bad = bad_one(fault.message, chunk)
            if bad is None:
                raise
            if drops == MAX_DROPS:
                break
            drops += 1
            left.remove(bad)
        else:
            left = left[per_call:]
    return answers, left
