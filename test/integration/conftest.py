"""Makes the modules beside the contract tests importable here too: the stand-ins are the same."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "contract"))

from collections import Counter
from collections.abc import Callable, Iterator

import pytest


@pytest.fixture
def hostile_numbers(record_property: Callable[[str, object], None]) -> Iterator[Counter[str]]:
    """How hostile requests were answered, for the summary."""
    numbers: Counter[str] = Counter()
    yield numbers
    record_property("summary", ["hostile requests", *(f"{count:9,} {what}" for what, count in numbers.most_common())])
