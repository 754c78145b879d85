"""Makes the modules beside the contract tests importable here too: the stand-ins are the same."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "contract"))

from collections import Counter
from typing import Any

import pytest

_HOSTILE: Counter[str] = Counter()


@pytest.fixture
def hostile_numbers() -> Counter[str]:
    """How hostile requests were answered, for pytest's summary."""
    return _HOSTILE


def pytest_terminal_summary(terminalreporter: Any) -> None:
    if _HOSTILE:
        terminalreporter.section("hostile requests")
        for what, count in _HOSTILE.most_common():
            terminalreporter.line(f"{count:9,} {what}")
