"""The version of what is stored, and the way from an older one to this one."""

from collections.abc import Callable
from typing import Any

from pymongo.database import Database

from execution_engine.core.errors import ConfigurationError
from execution_engine.store.indexes import ensure_indexes

VERSION = 1

# MIGRATIONS[n] brings version n to n + 1. Each must be safe to repeat: a crash may come after it and before the version
# is written.
MIGRATIONS: dict[int, Callable[[Database[Any]], None]] = {}


def is_prepared(database: Database[Any]) -> bool:
    """Whether the database is of this version, as :func:`prepare` leaves it."""
    return (database.schema.find_one({"_id": "version"}) or {}).get("n") == VERSION


def prepare(database: Database[Any]) -> None:
    """Bring the database to this version and make sure of the indexes.

    Raises:
        ConfigurationError: a newer engine has written to this database.
    """
    found = (database.schema.find_one({"_id": "version"}) or {}).get("n", VERSION)
    if found > VERSION:
        raise ConfigurationError(
            f"The database {database.name} has schema version {found}; this engine knows {VERSION}. "
            "Start the engine that wrote it, or a newer one."
        )
    for version in range(found, VERSION):
        MIGRATIONS[version](database)
    ensure_indexes(database)
    database.schema.update_one({"_id": "version"}, {"$max": {"n": VERSION}}, upsert=True)
