"""Records as the native API shows them."""

import datetime as dt
from collections.abc import Iterable
from typing import Any

from execution_engine.core.clock import now, to_ms
from execution_engine.core.errors import EngineError, InvalidParams
from execution_engine.jobs.lookup import CONTACT, HIDDEN, HOLD, OUTPUT, PARAMS, PLACE, RETRIES, Found
from execution_engine.jobs.queue.places import Place
from execution_engine.store.database import Document

_AS_STORED = [
    "user",
    "method",
    "status",
    "wsid",
    "app_id",
    "service_ver",
    "source_ws_objects",
    "client_group",
    "backend",
    "backend_id",
    "host",
    "requirements",
    "constraints",
    "cause",
    "reports",
    "shared_with",
    "batch",
    "children",
]
_TIMES = ["created", "estimating", "queued", "running", "finished", "updated"]
_LINKS = ("batch_id", "retry_of")
_DETAIL_OF = {
    "params": PARAMS,
    "output": OUTPUT,
    "progress": CONTACT,
    "last_contact": CONTACT,
    "retries": RETRIES,
    "hold": HOLD,
    "hidden": HIDDEN,
    "queue": PLACE,
}
_DERIVED = ("attempt", "time_limit_s", "cancel_requested", "history")

FIELDS = frozenset({*_AS_STORED, *_TIMES, *_LINKS, *_DETAIL_OF, *_DERIVED})
WITHOUT_PAYLOAD = FIELDS - {"params", "output", "queue"}
IN_LISTS = WITHOUT_PAYLOAD - {"history"}


def chosen_fields(params: Document, default: frozenset[str]) -> frozenset[str]:
    """The fields that a call asks for.

    Raises:
        InvalidParams: one of them is none of a job's.
    """
    if "fields" not in params:
        return default
    asked = frozenset(params["fields"]) - {"job_id"}
    if unknown := sorted(asked - FIELDS):
        raise InvalidParams(
            f"params.fields: a job has no field {unknown[0]!r}; expected some of {', '.join(sorted(FIELDS))}."
        )
    return asked


def needed_details(fields: frozenset[str]) -> frozenset[str]:
    """What has to be looked up beyond the record, to show the fields."""
    return frozenset(_DETAIL_OF[name] for name in fields if name in _DETAIL_OF)


def job_view(found: Found, fields: frozenset[str]) -> Document:
    """The job with these fields, those without a value left out."""
    record = found.record
    view: Document = {"job_id": str(record["_id"])}
    view |= {name: record[name] for name in _AS_STORED if name in fields and name in record}
    view |= {name: to_ms(record[name]) for name in _TIMES if name in fields and name in record}
    view |= {name: str(record[name]) for name in _LINKS if name in fields and name in record}
    if "attempt" in fields and "attempt" in record:
        view["attempt"] = record["attempt"]["n"]
    if "time_limit_s" in fields and "time_limit_s" in record.get("attempt", ()):
        view["time_limit_s"] = record["attempt"]["time_limit_s"]
    if "cancel_requested" in fields and "cancel_requested" in record:
        view["cancel_requested"] = with_ms(record["cancel_requested"])
    if "history" in fields and "history" in record:
        view["history"] = [with_ms(entry) for entry in record["history"]]
    return view | _details(found, fields)


def _details(found: Found, fields: frozenset[str]) -> Document:
    view: Document = {}
    for name, value in found.details.items():
        if name == CONTACT:
            if "last_contact" in fields:
                view["last_contact"] = to_ms(value["at"])
            if "progress" in fields and "progress" in value:
                view["progress"] = with_ms(value["progress"])
        elif name == RETRIES:
            view["retries"] = [str(job_id) for job_id in value]
        elif name == PLACE:
            view["queue"] = place_view(value)
        else:
            view[name] = value
    return view


def place_view(place: Place) -> Document:
    """A place in a queue, and when the job there may start."""
    ahead = {"inside_ahead": place.inside, "users_ahead": place.users, "own_ahead": place.own}
    view: Document = {"position": place.position, **ahead}
    told = place.forecast
    if isinstance(told, str):
        return view | {"no_forecast": told}
    at = to_ms(now())
    times = {"earliest": told.early, "median": told.median, "latest": told.late}
    from_now = {name: at + round(seconds * 1000) for name, seconds in times.items()}
    return view | {"forecast": {**from_now, "observed": told.started}}


def with_ms(document: Document) -> Document:
    """The document with its times in milliseconds."""
    return {name: to_ms(value) if isinstance(value, dt.datetime) else value for name, value in document.items()}


def error_view(error: EngineError) -> Document:
    """An error of one item of a call."""
    return {"code": error.code, "reason": error.reason, "message": error.message}


def errors_view(errors: Iterable[tuple[Any, EngineError]]) -> dict[str, Document]:
    """Errors by item."""
    return {str(item): error_view(error) for item, error in errors}
