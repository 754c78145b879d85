from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import pytest
from pymongo.database import Database
from pymongo.errors import OperationFailure
from store_databases import pytest_generate_tests

from execution_engine.core.errors import ConfigurationError
from execution_engine.store import schema
from execution_engine.store.database import connect
from execution_engine.store.indexes import INDEXES
from execution_engine.store.schema import VERSION, prepare

__all__ = ["pytest_generate_tests"]


@pytest.fixture
def database(mongod_url: str) -> Iterator[Database[Any]]:
    """A database that has never been used."""
    fresh = connect(mongod_url, f"ee_{uuid4().hex[:12]}")
    yield fresh
    fresh.client.drop_database(fresh.name)
    fresh.client.close()


def index_names(database: Database[Any]) -> dict[str, set[str]]:
    collections = {index.collection for index in INDEXES}
    return {name: set(database[name].index_information()) - {"_id_"} for name in collections}


def declared() -> dict[str, set[str]]:
    collections = {index.collection for index in INDEXES}
    return {name: {index.name for index in INDEXES if index.collection == name} for name in collections}


def test_the_indexes_are_made_once(database: Database[Any]) -> None:
    for _ in range(2):
        prepare(database)
        assert index_names(database) == declared()
    assert database.schema.find_one() == {"_id": "version", "n": VERSION}
    engine = database.command("collStats", "job_logs")["wiredTiger"]["creationString"]
    assert "block_compressor=zstd" in engine


def test_an_index_that_an_older_engine_made_otherwise_is_made_anew(database: Database[Any]) -> None:
    database.jobs.create_index([("user", 1)], name="user_created")
    database.jobs.create_index([("host", 1)], name="made_by_an_operator")
    prepare(database)
    assert database.jobs.index_information()["user_created"]["key"] == [("user", 1), ("created", -1), ("_id", -1)]
    assert "made_by_an_operator" in database.jobs.index_information()


def test_what_the_database_refuses_is_not_passed_over(database: Database[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise OperationFailure("not authorized", 13)

    monkeypatch.setattr(database, "create_collection", refuse)
    with pytest.raises(OperationFailure, match="not authorized"):
        prepare(database)


def test_several_processes_may_prepare_at_once(database: Database[Any], mongod_url: str) -> None:
    def another(_: int) -> None:
        mine = connect(mongod_url, database.name)
        with mine.client:
            prepare(mine)

    for _ in range(3):
        database.client.drop_database(database.name)
        with ThreadPoolExecutor(6) as processes:
            list(processes.map(another, range(6)))
        assert index_names(database) == declared()


def test_a_newer_schema_is_refused(database: Database[Any]) -> None:
    database.schema.insert_one({"_id": "version", "n": VERSION + 1})
    with pytest.raises(ConfigurationError) as caught:
        prepare(database)
    assert caught.value.message == (
        f"The database {database.name} has schema version {VERSION + 1}; this engine knows {VERSION}. "
        "Start the engine that wrote it, or a newer one."
    )
    assert database.list_collection_names() == ["schema"]


def test_a_migration_runs_once(database: Database[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    migrated: list[int] = []
    monkeypatch.setattr(schema, "VERSION", VERSION + 2)
    for version in (VERSION, VERSION + 1):
        monkeypatch.setitem(schema.MIGRATIONS, version, lambda _, version=version: migrated.append(version))
    database.schema.insert_one({"_id": "version", "n": VERSION})
    for _ in range(2):
        prepare(database)
    assert migrated == [VERSION, VERSION + 1]
    assert database.schema.find_one() == {"_id": "version", "n": VERSION + 2}


def test_every_index_says_what_it_serves_and_has_the_id_behind_the_time_where_lists_need_that() -> None:
    assert len({(index.collection, index.name) for index in INDEXES}) == len(INDEXES)
    for index in INDEXES:
        assert index.serves
        if index.serves.startswith("list: "):
            names = [name for name, _ in index.key]
            time = names.index("finished" if "finished" in names else "created")
            assert index.key[time : time + 2] == [(names[time], -1), ("_id", -1)]
        # MongoDB 6.0 scans the whole index where a partial filter has $in.
        assert "$in" not in str(index.options)
