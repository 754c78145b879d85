"""Conditions of a list, checked here instead of in the database."""

from collections.abc import Callable, Sequence
from typing import Any

from execution_engine.store.database import Document

Check = Callable[[Any], bool]


def matcher(conditions: Sequence[Document]) -> Callable[[Document], bool]:
    """Whether a job fulfils all of the conditions, as MongoDB would say; for the operators that lists use."""
    checks = [
        (name, check) for condition in conditions for name, asked in condition.items() for check in _checks(asked)
    ]
    return lambda job: all(check(job.get(name)) for name, check in checks)


def _checks(asked: Any) -> list[Check]:
    if not isinstance(asked, dict):
        return [_equal(asked)]
    return [_OPERATORS[operator](operand) for operator, operand in asked.items()]


def _equal(wanted: Any) -> Check:
    return lambda value: wanted in value if isinstance(value, list) else value == wanted


def _one_of(wanted: Any) -> Check:
    known = frozenset(wanted)
    return lambda value: value in known


_OPERATORS: dict[str, Callable[[Any], Check]] = {
    "$in": _one_of,
    "$ne": lambda wanted: lambda value: value != wanted,
    "$gte": lambda bound: lambda value: value is not None and value >= bound,
    "$lt": lambda bound: lambda value: value is not None and value < bound,
    "$all": lambda wanted: lambda value: value is not None and set(wanted) <= set(value),
}
