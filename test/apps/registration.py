"""Makes the apps beside this file known to a running engine."""

import json
from pathlib import Path
from typing import Any

from pymongo import MongoClient

from execution_engine.embedded.bootstrap import APPS_NAME
from execution_engine.embedded.catalog import register_command_apps
from execution_engine.embedded.services import DATABASE_NAME


def register_test_apps(data: Path, store: Path | None = None) -> None:
    """Put them into the Catalog of the engine whose data folder this is.

    ``store``: where jobs find them; by default in the data folder, which other accounts may not enter.
    """
    mongo = json.loads((data / "endpoints.json").read_text())["mongo"]
    with MongoClient[dict[str, Any]](mongo, tz_aware=True) as client:
        register_command_apps(client[DATABASE_NAME], Path(__file__).parent, store or data / APPS_NAME)
