"""An engine in memory for the tests of the rules; the stand-ins are those of the contract tests."""

import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "contract"))

from store_engine import KBase, make_engine
from store_exceptions import imitate_indexes


@pytest.fixture
def kbase() -> KBase:
    """What Auth2, Workspace and Catalog say."""
    return KBase(workspaces={7: {"alice": "a", "bob": "r", "carol": "w", "dave": "a"}})


@pytest.fixture
def engine(mock_database: Any, kbase: KBase) -> Any:
    """The rules and the store over mongomock."""
    imitate_indexes(mock_database)
    return make_engine(mock_database, kbase)
