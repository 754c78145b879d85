"""Where mongomock is no MongoDB: the one list of what is not run on it, and what replaces it in the unit ring."""

from collections.abc import Callable, Sequence
from typing import Any

from mongomock.collection import BulkOperationBuilder
from pymongo.database import Database
from pymongo.errors import DuplicateKeyError

from execution_engine.core.states import NOT_STARTED
from execution_engine.store.indexes import INDEXES
from execution_engine.store.jobs import JobStore
from execution_engine.store.submissions import Submissions

NO_TRANSACTIONS = "has no transactions"
NO_SERVER_TIME = "has no $$NOW in updates"
NO_HINT = "takes no hint in find_one"
NO_STORAGE_ENGINE = "takes no options of a collection"
NO_MONITORING = "sends no commands that could be watched"
NO_THREADS = "is not made for several threads"

# Tests of the store's contract that only a real mongod can pass, by name.
REAL_ONLY = {
    "test_a_batch_and_its_jobs_begin_to_exist_together": NO_TRANSACTIONS,
    "test_a_batch_with_a_used_key_leaves_nothing": NO_TRANSACTIONS,
    "test_a_batch_that_fails_in_the_middle_leaves_nothing": NO_TRANSACTIONS,
    "test_transitions_of_a_rolled_back_transaction_never_happened": NO_TRANSACTIONS,
    "test_whether_any_job_waits": NO_HINT,
    "test_the_indexes_are_made_once": NO_STORAGE_ENGINE,
    "test_an_index_that_an_older_engine_made_otherwise_is_made_anew": NO_STORAGE_ENGINE,
    "test_what_the_database_refuses_is_not_passed_over": NO_STORAGE_ENGINE,
    "test_a_newer_schema_is_refused": NO_STORAGE_ENGINE,
    "test_a_migration_runs_once": NO_STORAGE_ENGINE,
    "test_several_processes_may_prepare_at_once": NO_STORAGE_ENGINE,
    "test_a_transaction_is_committed_to_the_majority": NO_TRANSACTIONS,
    "test_a_repeated_call_is_answered_from_what_survives": NO_MONITORING,
    "test_an_earlier_submission_is_read_from_what_survives": NO_MONITORING,
    "test_a_marker_is_written_once_by_several_at_once": NO_THREADS,
    "test_many_who_take_at_once_have_no_more_than_there_are": NO_TRANSACTIONS,
}


_add_update = BulkOperationBuilder.add_update


def _add_update_without_sort(self: Any, *args: Any, sort: Any = None, **options: Any) -> Any:
    """Today's pymongo hands a bulk write's updates an option that mongomock does not know; the store never uses it."""
    assert sort is None
    return _add_update(self, *args, **options)


BulkOperationBuilder.add_update = _add_update_without_sort


def imitate_indexes(database: Database[Any]) -> None:
    """The unique indexes, which the rules build on; the others only make queries fast."""
    for index in INDEXES:
        if index.options.get("unique"):
            database[index.collection].create_index(index.key, name=index.name, **index.options)


class ImitatedSubmissions(Submissions):
    """For mongomock: what may collide is tried out beforehand, as there is no way back."""

    def write(self, collection: Any, first: dict[str, Any], jobs: Sequence[dict[str, Any]], most: int | None) -> None:
        if "idempotency" in first and collection.find_one(
            {"user": first["user"], "idempotency.key": first["idempotency"]["key"]}
        ):
            raise DuplicateKeyError("there is one")
        super().write(collection, first, jobs, most)

    def transact(self, write: Callable[[None], None]) -> None:
        write(None)

    def count_waiting(self, user: str, most: int | None = None, session: None = None) -> int:
        assert session is None
        waiting = self._jobs.count_documents({"user": user, "status": {"$in": list(NOT_STARTED)}})
        return waiting if most is None else min(waiting, most)


class ImitatedJobStore(JobStore):
    """The store for mongomock: without transaction and hint, which a single thread does not miss."""

    def __init__(self, database: Database[Any]) -> None:
        super().__init__(database)
        self.submissions = ImitatedSubmissions(database)

    def any_waiting(self) -> bool:
        return self._jobs.count_documents({"status": "created", "claimed": False}) > 0
