"""What is audited, and how. This module decides; nothing else does.

- every act of a person that changes something: submit (a job, a batch), retry, cancel, share, unshare, hide, unhide;
  of administrators: drain and resume a backend, set and remove a route or a limit; of an app's owners: the latter;
- the reading of other people's logs, inputs, outputs and reports by administrators, in their role as such: once for
  each administrator, job and kind in ten minutes, for who follows a log reads it every second.

What the engine does by itself (hand out, start, lose, finish) is in the job's history. What runners do is theirs.

An act's note is written by the same atomic write as the act (store/audit.py). A reading is in the audit before its
first byte is answered; if it can't be written, nothing is read.
"""

from collections.abc import Iterable
from enum import StrEnum
from typing import Any

from bson import ObjectId

from execution_engine.core.clock import now, to_ms
from execution_engine.core.context import request_id
from execution_engine.jobs.access import Role, role_by_name
from execution_engine.jobs.engine import Engine
from execution_engine.jobs.identity import User
from execution_engine.store.database import Document

READING_SECONDS = 600


class Act(StrEnum):
    """What somebody did."""

    SUBMIT = "submit"
    SUBMIT_BATCH = "submit_batch"
    RETRY = "retry"
    CANCEL = "cancel"
    SHARE = "share"
    UNSHARE = "unshare"
    HIDE = "hide"
    UNHIDE = "unhide"
    SET_BACKEND_STATE = "set_backend_state"
    SET_ROUTE = "set_route"
    REMOVE_ROUTE = "remove_route"
    SET_LIMIT = "set_limit"
    REMOVE_LIMIT = "remove_limit"
    READ_LOG = "read_log"
    READ_INPUT = "read_input"
    READ_OUTPUT = "read_output"
    READ_REPORT = "read_report"


def note(
    act: Act,
    user: User,
    role: Role,
    *,
    before: Any = None,
    after: Any = None,
    reason: str | None = None,
    subject: str | None = None,
) -> Document:
    """The note of an act, for the outbox of each record that it changes.

    ``before``, ``after``: JSON values that say what changes, of the condition under which the write takes place.
    ``subject``: what is changed, where that is no job: a kind and a name, as in ``backend local``.
    """
    said = {"before": before, "after": after, "reason": reason, "subject": subject}
    return _who(act, user, role) | {"id": ObjectId()} | {name: it for name, it in said.items() if it is not None}


def _who(act: Act, user: User, role: Role) -> Document:
    return {"at": now(), "act": act, "actor": user.name, "role": role, "request_id": request_id.get()}


def note_reading(engine: Engine, user: User, jobs: Iterable[Document], *acts: Act) -> None:
    """Put the reading of these jobs into the audit, where it is an administrator's reading of another one's job."""
    entries = []
    for job in jobs:
        role = role_by_name(user, job)
        if role in (Role.ADMIN, Role.READ_ADMIN):
            entries += [_reading(act, user, role, job) for act in acts]
    engine.audit.add(entries)


def _reading(act: Act, user: User, role: Role, job: Document) -> Document:
    who = _who(act, user, role)
    # The same for everything within the ten minutes, whichever process it comes to.
    window = to_ms(who["at"]) // (READING_SECONDS * 1000)
    return {"_id": f"{user.name}/{act}/{window}/{job['_id']}", "jobs": [job["_id"]], **who}
