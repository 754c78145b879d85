"""Cursors: a position in one list, as text."""

import base64
import hashlib

from bson import ObjectId
from bson.errors import InvalidId

from execution_engine.core.clock import from_ms, to_ms
from execution_engine.core.errors import InvalidParams
from execution_engine.core.json_text import canonical_json, from_json, to_json
from execution_engine.store.database import Document
from execution_engine.store.job_lists import Position

_MAY_CHANGE = ("cursor", "limit", "fields")  # from page to page


def digest_of(user: str, params: Document) -> str:
    """Identifies a list, so that a cursor of another one is noticed."""
    said = {name: value for name, value in params.items() if name not in _MAY_CHANGE and value != []}
    return hashlib.sha256(canonical_json([user, said])).hexdigest()[:12]


def write_cursor(position: Position, digest: str) -> str:
    """The cursor of what follows ``position``."""
    said = [to_ms(position.time), str(position.job_id), digest]
    return base64.urlsafe_b64encode(to_json(said)).decode().rstrip("=")


def read_cursor(cursor: str, digest: str) -> Position:
    """The position in a cursor.

    Raises:
        InvalidParams: it is none, or of another list.
    """
    try:
        time, job_id, of_list = from_json(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        position = Position(from_ms(time), ObjectId(job_id))
    except (ValueError, TypeError, OverflowError, InvalidId) as error:
        raise InvalidParams(
            "params.cursor is not one of list_jobs; expected next_cursor of the page before."
        ) from error
    if of_list != digest:
        raise InvalidParams(
            "params.cursor belongs to another list; send it with the same parameters as the page before."
        )
    return position
