"""Semantic versions and ranges of them: ``1.2.3``, ``>=1.2,<2.0.0``, ``^1.2.3``, ``~1.2``."""

import re
from collections.abc import Callable

# Major, minor, patch, then what orders pre-releases: the empty tuple comes before all of them, _FINAL after.
Key = tuple[int, int, int, tuple[tuple[int, int, str], ...]]
Test = Callable[[Key], bool]

_NUMBER = r"(\d{1,9})"
_PRE_RELEASE = r"(?:-([0-9A-Za-z.-]{1,64}))?"
_VERSION = re.compile(rf"{_NUMBER}\.{_NUMBER}\.{_NUMBER}{_PRE_RELEASE}(?:\+[0-9A-Za-z.-]+)?")
_CLAUSE = re.compile(rf"(<=|>=|==|!=|~=|<|>|=|\^|~|)\s*{_NUMBER}(?:\.{_NUMBER})?(?:\.{_NUMBER}{_PRE_RELEASE})?")
_FINAL = ((2, 0, ""),)


def version_key(text: str) -> Key | None:
    """What orders versions; None for a text that is no version."""
    found = _VERSION.fullmatch(text.strip())
    if not found:
        return None
    major, minor, patch, pre = found.groups()
    return int(major), int(minor), int(patch), _pre_release_key(pre)


def matcher(specification: str) -> Test | None:
    """The test whether a version fits all clauses of a specification; None for a text that is no specification."""
    clauses = [_clause(text.strip()) for text in specification.split(",")]
    tests = [clause for clause in clauses if clause is not None]
    if len(tests) < len(clauses):
        return None
    return lambda key: all(test(key) for test in tests)


def _pre_release_key(pre: str | None) -> tuple[tuple[int, int, str], ...]:
    if pre is None:
        return _FINAL
    return tuple((0, int(part), "") if part.isdecimal() else (1, 0, part) for part in pre.split("."))


def _clause(text: str) -> Test | None:
    found = _CLAUSE.fullmatch(text)
    if not found:
        return None
    operator, *numbers, pre = found.groups()
    given = [int(number) for number in numbers if number is not None]
    low, after = _bounds(given, pre)
    # 2.0.0-rc is not below 2.0.0 here: it leads up to it.
    below = low if pre else _least(given)

    def exactly(key: Key) -> bool:
        return low <= key < after

    tests: dict[str, Test] = {
        "!=": lambda key: not exactly(key),
        ">=": lambda key: key >= low,
        ">": lambda key: key >= after,
        "<": lambda key: key < below,
        "<=": lambda key: key < after,
        "^": lambda key: low <= key < _least_after(given, _first_that_counts(given)),
        "~": lambda key: low <= key < _least_after(given, min(2, len(given))),
        "~=": lambda key: low <= key < _least_after(given, max(1, len(given) - 1)),
    }
    return tests.get(operator, exactly)


def _bounds(given: list[int], pre: str | None) -> tuple[Key, Key]:
    """The first version that a clause's text stands for, and the first after; ``1.2`` stands for all that begin so."""
    major, minor, patch = (*given, 0, 0)[:3]
    low: Key = (major, minor, patch, _pre_release_key(pre))
    if len(given) < 3:
        return low, _least_after(given, len(given))
    return low, (major, minor, patch, (*low[3], (0, 0, "")))


def _least(numbers: list[int]) -> Key:
    """What comes before every version, also before pre-releases, that begins with these numbers."""
    major, minor, patch = (*numbers, 0, 0)[:3]
    return major, minor, patch, ()


def _least_after(numbers: list[int], length: int) -> Key:
    """What comes before every version after those that begin with the first ``length`` numbers."""
    return _least([*numbers[: length - 1], numbers[length - 1] + 1])


def _first_that_counts(numbers: list[int]) -> int:
    """How many numbers ``^`` keeps: up to the first that is not zero."""
    return next((place for place, number in enumerate(numbers, 1) if number), len(numbers))
