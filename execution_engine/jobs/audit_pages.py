"""Pages of the audit, for administrators; by keyset cursor, each query on a named index."""

import base64
import hashlib
from datetime import datetime

from execution_engine.core.clock import from_ms, to_ms
from execution_engine.core.errors import InvalidParams
from execution_engine.core.ids import parse_job_id
from execution_engine.core.json_text import canonical_json, from_json, to_json
from execution_engine.jobs.engine import Engine
from execution_engine.store.audit import Span
from execution_engine.store.database import Document

DEFAULT_LIMIT = 50
_FILTERS = ("job_id", "actor", "act", "from", "to")


def list_audit(engine: Engine, params: Document) -> tuple[list[Document], str | None]:
    """A page of entries, newest first, and the cursor of the next one, if there is one.

    Whatever was acknowledged before the first page was asked for is on the pages.

    Raises:
        InvalidParams: a cursor of another list.
    """
    filters = {name: params[name] for name in _FILTERS if name in params}
    after = _read_cursor(params["cursor"], filters) if "cursor" in params else None
    if after is None:
        engine.audit.collect()
    match: Document = {name: filters[name] for name in ("actor", "act") if name in filters}
    if "job_id" in filters:
        match["jobs"] = parse_job_id(filters["job_id"])
    span = Span(*(from_ms(filters[name]) if name in filters else None for name in ("from", "to")))
    limit = params.get("limit", DEFAULT_LIMIT)
    entries = engine.audit.page(match, _index(match), span, after, limit + 1)
    more = len(entries) > limit
    return entries[:limit], _write_cursor(entries[limit - 1], filters) if more else None


def _index(match: Document) -> str:
    """The index that serves the filters (store/indexes.py)."""
    if "jobs" in match:
        return "jobs_at"  # one job's entries are few: the other filters need none
    return "_".join([*(name for name in ("actor", "act") if name in match), "at"])


def _digest(filters: Document) -> str:
    return hashlib.sha256(canonical_json(filters)).hexdigest()[:12]


def _write_cursor(last: Document, filters: Document) -> str:
    position = [to_ms(last["at"]), last["_id"], _digest(filters)]
    return base64.urlsafe_b64encode(to_json(position)).decode().rstrip("=")


def _read_cursor(cursor: str, filters: Document) -> tuple[datetime, str]:
    try:
        time, entry_id, digest = from_json(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        position = from_ms(time), str(entry_id)
    except (ValueError, TypeError, OverflowError) as error:
        raise InvalidParams(
            "params.cursor is not one of list_audit; expected next_cursor of the page before."
        ) from error
    if digest != _digest(filters):
        raise InvalidParams(
            "params.cursor belongs to another list; send it with the same parameters as the page before."
        )
    return position
