"""Pages of jobs: mine, or a workspace's; by keyset cursor, each query on a named index."""

import base64
import datetime as dt
import hashlib
from dataclasses import dataclass
from typing import Any

from bson import ObjectId
from bson.errors import InvalidId

from execution_engine.core.clock import from_ms, to_ms
from execution_engine.core.errors import InvalidParams
from execution_engine.core.json_text import canonical_json, from_json, to_json
from execution_engine.jobs.access import Sight, require_read_workspace
from execution_engine.jobs.engine import Engine
from execution_engine.jobs.identity import User
from execution_engine.jobs.lookup import Found, add_details, shown
from execution_engine.store.database import Document

DEFAULT_LIMIT = 50
_FILTERS = ("status", "method", "app_id", "created_from", "created_to", "finished_from", "finished_to")


@dataclass(frozen=True, slots=True)
class Listing:
    """What is asked for: whose jobs (``scope_field``, ``scope_value``), which, in which order."""

    scope_field: str
    scope_value: Any
    filters: Document
    sort: str
    direction: int
    limit: int

    def digest(self) -> str:
        """Identifies the listing, so that a cursor of another one is noticed."""
        said = [self.scope_field, self.scope_value, self.filters, self.sort, self.direction]
        return hashlib.sha256(canonical_json(said)).hexdigest()[:12]

    def index(self) -> str:
        """The index that serves it (store/indexes.py)."""
        if self.sort == "finished":
            return f"{self.scope_field}_finished"
        if self.scope_field == "user":
            for name in ("method", "app_id"):
                if name in self.filters:
                    return "user_app_created" if name == "app_id" else "user_method_created"
        return f"{self.scope_field}_status_created" if "status" in self.filters else f"{self.scope_field}_created"

    def query(self, after: tuple[dt.datetime, ObjectId] | None) -> Document:
        """MongoDB's filter for the page that follows ``after``."""
        query: Document = {self.scope_field: self.scope_value}
        if statuses := self.filters.get("status"):
            query["status"] = statuses[0] if len(statuses) == 1 else {"$in": statuses}
        query |= {name: self.filters[name] for name in ("method", "app_id", "wsid") if name in self.filters}
        for name in ("created", "finished"):
            if bounds := self._bounds(name, after):
                query[name] = bounds
        if self.sort == "finished":
            query.setdefault("finished", {})["$exists"] = True
        if after:
            time, job_id = after
            beyond = "$lt" if self.direction < 0 else "$gt"
            query["$or"] = [{self.sort: {beyond: time}}, {self.sort: time, "_id": {beyond: job_id}}]
        return query

    def _bounds(self, name: str, after: tuple[dt.datetime, ObjectId] | None) -> Document:
        bounds = {}
        if (start := self.filters.get(f"{name}_from")) is not None:
            bounds["$gte"] = from_ms(start)
        if (end := self.filters.get(f"{name}_to")) is not None:
            bounds["$lt"] = from_ms(end)
        if after and name == self.sort:
            # Implied by the cursor's $or; said again here because the index's bounds are made from it.
            bounds["$lte" if self.direction < 0 else "$gte"] = after[0]
        return bounds


def list_jobs(engine: Engine, user: User, params: Document, details: frozenset[str]) -> tuple[list[Found], str | None]:
    """A page of jobs and the cursor of the next one, if there is one.

    Raises:
        InvalidParams: a cursor of another listing, or scope workspace without wsid.
        WorkspaceNotFound, WorkspaceUnavailable
    """
    scope = params.get("scope", "workspace" if "wsid" in params else "mine")
    if scope == "workspace" and "wsid" not in params:
        raise InvalidParams("params.wsid is missing; the scope workspace needs it.")
    seen = Sight.ALL if scope == "mine" else require_read_workspace(engine, user, params["wsid"])
    if seen == Sight.RECORD:
        details = frozenset()
    listing = _listing(user, scope, params)
    after = _read_cursor(params["cursor"], listing) if "cursor" in params else None
    records = engine.jobs.page(
        listing.query(after),
        listing.index(),
        [(listing.sort, listing.direction), ("_id", listing.direction)],
        listing.limit + 1,
    )
    page = [Found(shown(record, seen)) for record in records[: listing.limit]]
    add_details(engine, page, details)
    more = len(records) > listing.limit
    return page, _write_cursor(records[listing.limit - 1], listing) if more else None


def _listing(user: User, scope: str, params: Document) -> Listing:
    scope_field, value = ("user", user.name) if scope == "mine" else ("wsid", params["wsid"])
    filters = {name: params[name] for name in _FILTERS if params.get(name) not in (None, [])}
    if scope == "mine" and "wsid" in params:
        filters["wsid"] = params["wsid"]
    return Listing(
        scope_field,
        value,
        filters,
        params.get("sort", "created"),
        1 if params.get("order") == "asc" else -1,
        params.get("limit", DEFAULT_LIMIT),
    )


def _write_cursor(last: Document, listing: Listing) -> str:
    position = [to_ms(last[listing.sort]), str(last["_id"]), listing.digest()]
    return base64.urlsafe_b64encode(to_json(position)).decode().rstrip("=")


def _read_cursor(cursor: str, listing: Listing) -> tuple[dt.datetime, ObjectId]:
    try:
        time, job_id, digest = from_json(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        position = from_ms(time), ObjectId(job_id)
    except (ValueError, TypeError, OverflowError, InvalidId) as error:
        raise InvalidParams(
            "params.cursor is not one of list_jobs; expected next_cursor of the page before."
        ) from error
    if digest != listing.digest():
        raise InvalidParams(
            "params.cursor belongs to another list; send it with the same parameters as the page before."
        )
    return position
