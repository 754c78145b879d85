"""What the engine tells the Catalog of finished runs: ``catalog_runs``."""

import datetime as dt
from typing import Any

from pymongo import ASCENDING
from pymongo.database import Database

from execution_engine.embedded.catalog.params import Params

Document = dict[str, Any]
TIMES = ("creation_time", "exec_start_time", "finish_time")
FIELDS = ("user_id", "app_module_name", "app_id", "func_module_name", "func_name", "git_commit_hash", "job_id")


class RunStatistics:
    """One record a run, as it was told. Times are seconds since the epoch, as integer or float."""

    def __init__(self, database: Database[Document]) -> None:
        self._runs = database["catalog_runs"]

    def ensure_indexes(self) -> None:
        """Create the index that a lookup by time uses; harmless when it exists."""
        self._runs.create_index([("creation_time", ASCENDING)])

    def log(self, params: Params) -> None:
        """Store the run that ``log_exec_stats`` tells of; nothing but the times is checked.

        Raises:
            ValueError: a time is missing, or of no year up to 9999: in milliseconds, for instance.
            TypeError: a time is not a number.
        """
        for name in TIMES:
            if name not in params:
                raise ValueError(f"{name} parameter field is required")
            dt.datetime.fromtimestamp(params[name], dt.UTC)
        run = {name: params.get(name) for name in (*FIELDS, *TIMES)}
        self._runs.insert_one({**run, "is_error": params.get("is_error") != 0})

    def raw(self, params: Params) -> list[Document]:
        """The answer of ``get_exec_raw_stats``: the runs created from ``begin`` to ``end`` (seconds), oldest first."""
        limits = {"$gte": params.get("begin"), "$lte": params.get("end")}
        given = {comparison: limit for comparison, limit in limits.items() if limit is not None}
        return list(self._runs.find({"creation_time": given} if given else {}, {"_id": 0}))
