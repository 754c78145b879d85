"""The databases on which the store's contract is shown: a real mongod, and mongomock as far as it is one."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache, partial
from typing import Any

import mongomock
import pytest
from pymongo import MongoClient, monitoring
from pymongo.database import Database
from store_exceptions import REAL_ONLY, imitate_indexes

from execution_engine.store import database as database_module
from execution_engine.store.database import connect
from execution_engine.store.schema import prepare


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Both databases for every test, but for the exceptions. Import it into a module to have it so there."""
    if "database" in metafunc.fixturenames:
        kinds = ["mongod"] if metafunc.function.__name__ in REAL_ONLY else ["mongomock", "mongod"]
        metafunc.parametrize("database", kinds, indirect=True)


def opened(request: pytest.FixtureRequest) -> Database[Any]:
    """The empty database of the kind that the test was parametrized with."""
    if request.param == "mongomock":
        imitation: Database[Any] = mongomock.MongoClient(tz_aware=True)["execution_engine"]
        imitate_indexes(imitation)
        return imitation
    database = _prepared(request.getfixturevalue("mongod_url"))
    for name in database.list_collection_names():
        if name != "schema":
            database[name].delete_many({})  # much faster than dropping it
    return database


@lru_cache
def _prepared(url: str) -> Database[Any]:
    database = connect(url, "ee_store_contract")
    prepare(database)
    return database


class Commands(monitoring.CommandListener):
    """What a client sends, for tests of how it is sent."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, Any]] = []

    def started(self, event: monitoring.CommandStartedEvent) -> None:
        self.sent.append((event.command_name, event.command))

    def succeeded(self, event: monitoring.CommandSucceededEvent) -> None:
        """Not of interest."""

    def failed(self, event: monitoring.CommandFailedEvent) -> None:
        """Not of interest."""


@contextmanager
def watched(url: str, name: str) -> Iterator[tuple[Database[Any], Commands]]:
    """The database as the engine connects to it, and what is sent to it."""
    commands = Commands()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(database_module, "MongoClient", partial(MongoClient, event_listeners=[commands]))
        database = connect(url, name)
    with database.client:
        yield database, commands
