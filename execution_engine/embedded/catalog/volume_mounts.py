"""Folders of the worker that a function's container sees: ``catalog_volume_mounts``."""

from collections.abc import Mapping
from typing import Any

from pymongo import ASCENDING
from pymongo.database import Database

from execution_engine.embedded.catalog.params import Params, required_text, text

Document = dict[str, Any]


class VolumeMounts:
    """One record a function and client group."""

    def __init__(self, database: Database[Document]) -> None:
        self._records = database["catalog_volume_mounts"]

    def ensure_indexes(self) -> None:
        """Create the index that a lookup uses; harmless when it exists."""
        key = [("module", ASCENDING), ("function_name", ASCENDING), ("client_group", ASCENDING)]
        self._records.create_index(key, unique=True)

    def put(self, params: Params) -> None:
        """Replace the mounts of a function in a client group.

        Raises:
            ValueError: a parameter is missing or of the wrong type.
        """
        module = required_text(params, "module_name")
        function, group = required_text(params, "function_name"), required_text(params, "client_group")
        mounts = params.get("volume_mounts")
        if not isinstance(mounts, list) or not all(isinstance(mount, dict) for mount in mounts):
            raise ValueError("volume_mounts parameter must be a list")
        self._records.update_one(
            {"module": module.lower(), "function_name": function, "client_group": group},
            {"$set": {"module_name": module, "volume_mounts": [_mount(mount) for mount in mounts]}},
            upsert=True,
        )

    def find(self, params: Params) -> list[Document]:
        """The answer of ``list_volume_mounts``: those of module, function and client group, each if given.

        Raises:
            ValueError: a parameter is of the wrong type, or asks by app.
        """
        if "app_id" in params:
            raise ValueError("cannot filter by app_id - use function_name instead")
        module = text(params, "module_name")
        wanted = {
            "module": module.lower() if module else None,
            "function_name": text(params, "function_name"),
            "client_group": text(params, "client_group"),
        }
        found = self._records.find({key: value for key, value in wanted.items() if value})
        shown = ("module_name", "function_name", "client_group", "volume_mounts")
        return [{key: record[key] for key in shown} for record in found]


def _mount(mount: Mapping[str, Any]) -> Document:
    return {
        "host_dir": required_text(mount, "host_dir"),
        "container_dir": required_text(mount, "container_dir"),
        "read_only": 1 if mount.get("read_only") else 0,
    }
