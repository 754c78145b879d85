"""What a list is filtered by, as conditions for MongoDB."""

from typing import Any

from bson import ObjectId

from execution_engine.core.clock import from_ms
from execution_engine.core.errors import InvalidParams
from execution_engine.core.states import Status
from execution_engine.core.words import split_words
from execution_engine.store.database import Document, one_of
from execution_engine.store.job_lists import JobLists

MAX_APPS = 50  # ids that one prefix may stand for and still be looked up one by one
MAX_SEARCH_WORDS = 8
_WITH_CAUSE = [str(Status.ERROR), str(Status.TERMINATED)]


def filter_conditions(lists: JobLists, params: Document) -> Document | None:
    """The filters of list_jobs, without its scope, by field; None: there can't be such jobs.

    Raises:
        InvalidParams: words without a word to search for.
    """
    found: Document = {name: params[name] for name in ("method", "client_group", "backend") if name in params}
    if "words" in params:
        found["tok"] = {"$all": _words(params["words"])}
    statuses = params.get("status") or (_WITH_CAUSE if "tok" in found else [])
    if 0 < len(set(statuses)) < len(Status):
        found["status"] = one_of(dict.fromkeys(statuses))
    for name in ("created", "finished"):
        if times := _times(params, name):
            found[name] = times
    if "job_id" in params:
        found["_id"] = _ids(params["job_id"])
    if "app_id" in params or "app" in params:
        apps = _apps(lists, params)
        if apps is None:
            return None
        found["app_id"] = apps
    return found


def _words(text: str) -> list[str]:
    words = split_words(text)[:MAX_SEARCH_WORDS]
    if not words:
        raise InvalidParams(f"params.words is {text!r}; expected words that tell errors apart, as in 'out of memory'.")
    return sorted(words, key=len, reverse=True)  # the first is looked up in the index: long ones are rarer


def _times(params: Document, name: str) -> Document:
    bounds = {"$gte": params.get(f"{name}_from"), "$lt": params.get(f"{name}_to")}
    return {operator: from_ms(ms) for operator, ms in bounds.items() if ms is not None}


def _ids(prefix: str) -> Any:
    if len(prefix) == 24:
        return ObjectId(prefix)
    return {"$gte": ObjectId(prefix.ljust(24, "0")), "$lte": ObjectId(prefix.ljust(24, "f"))}


def _apps(lists: JobLists, params: Document) -> Any:
    prefix: str = params.get("app", "")
    if "app_id" in params:
        exact: str = params["app_id"]
        return exact if exact.startswith(prefix) else None
    names = lists.app_ids(prefix, MAX_APPS + 1)
    if len(names) > MAX_APPS:
        return {"$gte": prefix, "$lt": f"{prefix}\U0010ffff"}
    return one_of(names) if names else None
