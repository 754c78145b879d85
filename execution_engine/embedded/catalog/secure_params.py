"""Parameters with secrets that a module's container gets: ``catalog_secure_params``."""

from typing import Any

from pymongo import ASCENDING
from pymongo.database import Database

from execution_engine.embedded.catalog.modules import Modules
from execution_engine.embedded.catalog.params import Params, required_text, text

Document = dict[str, Any]


class SecureParams:
    """One record a module, version and parameter; the version is a tag, semantic version, commit, or ``""`` for all."""

    def __init__(self, database: Database[Document], modules: Modules) -> None:
        self._records = database["catalog_secure_params"]
        self._modules = modules

    def ensure_indexes(self) -> None:
        """Create the index that a lookup uses; harmless when it exists."""
        key = [("module", ASCENDING), ("version", ASCENDING), ("param_name", ASCENDING)]
        self._records.create_index(key, unique=True)

    def put(self, params: Params) -> None:
        """Replace the parameters in ``data``.

        Raises:
            ValueError: a field is missing or of the wrong type; nothing is stored then.
        """
        data = params.get("data")
        if not isinstance(data, list) or not all(isinstance(item, dict) for item in data):
            raise ValueError("data parameter must be a list")
        for record in [_record(item) for item in data]:
            key = {name: record[name] for name in ("module", "version", "param_name")}
            self._records.replace_one(key, record, upsert=True)

    def find(self, params: Params) -> list[Document]:
        """The answer of ``get_secure_config_params``: those that apply to a version, the module's best by default.

        Of several for one name the one for the narrowest version counts. ``load_all_versions`` gives all there are.

        Raises:
            ValueError: there is no such module.
            TypeError: there is no such version; the real server's way of saying so.
        """
        module = self._modules.find(required_text(params, "module_name"))
        found = [_shown(record) for record in self._records.find({"module": module["_id"]}).sort("_id", ASCENDING)]
        if params.get("load_all_versions"):
            return found
        version = self._modules.resolve(module, text(params, "version"))
        if version is None:
            raise TypeError("'NoneType' object is not subscriptable")
        widest_first = ["", *self._modules.tags_of(module, version), version["version"], version["git_commit_hash"]]
        applying = [record for record in found if record["version"] in widest_first]
        applying.sort(key=lambda record: widest_first.index(record["version"]))
        return list({record["param_name"]: record for record in applying}.values())


def _record(item: Params) -> Document:
    record = {
        "module": required_text(item, "module_name").lower(),
        "module_name": item["module_name"],
        "version": text(item, "version") or "",
        "param_name": required_text(item, "param_name"),
        "param_value": required_text(item, "param_value"),
    }
    return record | ({"is_password": 1 if item["is_password"] else 0} if "is_password" in item else {})


def _shown(record: Document) -> Document:
    return {key: value for key, value in record.items() if key not in ("_id", "module")}
