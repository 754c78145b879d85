"""Which client groups, and with which requirements, a function runs in: ``catalog_client_groups``."""

from typing import Any

from pymongo import ASCENDING
from pymongo.database import Database

from execution_engine.embedded.catalog.params import Params, required_text, text, text_list

Document = dict[str, Any]


class ClientGroups:
    """One record a function: its groups as free strings (``njs``, ``request_cpus=4``, fragments of JSON)."""

    def __init__(self, database: Database[Document]) -> None:
        self._records = database["catalog_client_groups"]

    def ensure_indexes(self) -> None:
        """Create the index that a lookup by module and function uses; harmless when it exists."""
        self._records.create_index([("module", ASCENDING), ("function_name", ASCENDING)], unique=True)

    def put(self, params: Params) -> None:
        """Replace a function's groups.

        Raises:
            ValueError: a parameter is missing or of the wrong type.
        """
        module, function = required_text(params, "module_name"), required_text(params, "function_name")
        groups = text_list(params, "client_groups")
        self._records.update_one(
            {"module": module.lower(), "function_name": function},
            {"$set": {"module_name": module, "client_groups": groups}},
            upsert=True,
        )

    def list_configs(self, params: Params) -> list[Document]:
        """The answer of ``list_client_group_configs``: those of a module and function, or all.

        Raises:
            ValueError: a parameter is of the wrong type.
        """
        module, function = text(params, "module_name"), text(params, "function_name")
        query = ({"module": module.lower()} if module else {}) | ({"function_name": function} if function else {})
        found = self._records.find(query)
        return [_shown(record) for record in (found.sort("function_name", ASCENDING) if module else found)]

    def by_app(self, params: Params) -> list[Document]:
        """The answer of ``get_client_groups``: those of the apps named (``module/function``, lower case), or all.

        Raises:
            ValueError: ``app_ids`` is not a list of strings.
        """
        wanted = {app_id.lower() for app_id in text_list(params, "app_ids")}
        records = ({**_shown(record), "app_id": _app_id(record)} for record in self._records.find())
        return [record for record in records if not wanted or record["app_id"] in wanted]


def _app_id(record: Document) -> str:
    return f"{record['module']}/{record['function_name']}".lower()


def _shown(record: Document) -> Document:
    return {key: record[key] for key in ("module_name", "function_name", "client_groups")}
