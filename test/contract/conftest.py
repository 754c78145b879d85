"""Databases for the contract suites, and the modules beside the tests; the rings are folders, not packages."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mongomock
import pytest
from pymongo.database import Database

from execution_engine.store.database import connect

sys.path.insert(0, str(Path(__file__).parent))
pytest.register_assert_rewrite("recorded")


@pytest.fixture
def real_kbase_database(mongod_url: str) -> Iterator[Database[dict[str, Any]]]:
    """An empty database for the embedded services on a real mongod."""
    database = connect(mongod_url, "kbase_embedded")
    for name in database.list_collection_names():
        database[name].delete_many({})  # much faster than dropping it
    yield database
    database.client.close()


@pytest.fixture(params=["mongomock", "mongod"])
def kbase_database(request: pytest.FixtureRequest) -> Database[dict[str, Any]]:
    """An empty database for the embedded services: once the fast imitation, once the real thing."""
    if request.param == "mongomock":
        imitation: Database[dict[str, Any]] = mongomock.MongoClient(tz_aware=True)["kbase_embedded"]
        return imitation
    real: Database[dict[str, Any]] = request.getfixturevalue("real_kbase_database")
    return real
