"""Every change of a job's state, each one function that returns one conditional update.

A :class:`Transition` names the states that it may leave and whatever else must hold; the store applies it as a single
atomic write, so there is no read-modify-write anywhere and of two callers that want different ends one wins. Nothing
else writes ``status``.
"""

import datetime as dt
from dataclasses import dataclass, field
from typing import Any

from execution_engine.core.states import ACTIVE, FINAL, NOT_STARTED, Status
from execution_engine.core.words import error_words

MOST_TOLD = 20


@dataclass(frozen=True, slots=True)
class Transition:
    """One conditional update of one job.

    ``leaves``: none stands for any state; ``where`` is added to the condition on status; ``put`` and ``drop`` are
    fields (dotted names) set and removed; ``keep_earlier`` are times that are set only where none, or a later one,
    stands; ``add`` and ``take`` are values that lists in the record have afterwards, or have not. ``role``: by which
    right a person acts; ``audit``: the note of a person's act, which stays in the record's outbox until it is in the
    audit. ``told``: whether the history has it.
    """

    event: str
    at: dt.datetime
    leaves: tuple[Status, ...]
    actor: str
    to: Status | None = None
    where: dict[str, Any] = field(default_factory=dict)
    put: dict[str, Any] = field(default_factory=dict)
    drop: tuple[str, ...] = ()
    keep_earlier: dict[str, dt.datetime] = field(default_factory=dict)
    add: dict[str, list[str]] = field(default_factory=dict)
    take: dict[str, list[str]] = field(default_factory=dict)
    attempt: int | None = None
    note: str | None = None
    role: str | None = None
    audit: dict[str, Any] | None = None
    told: bool = True

    @property
    def ends_attempt(self) -> bool:
        """Whether nobody has the job any more afterwards."""
        return self.to == Status.CREATED or self.to in FINAL

    def condition(self, job_id: Any) -> dict[str, Any]:
        """The filter of the update."""
        if not self.leaves:  # in any state
            return {"_id": job_id, **self.where}
        status = self.leaves[0] if len(self.leaves) == 1 else {"$in": list(self.leaves)}
        return {"_id": job_id, "status": status, **self.where}

    def change(self) -> dict[str, Any]:
        """The update document."""
        put = {"updated": self.at, **self.put}
        if self.to is not None:
            put["status"] = self.to
            put["active"] = self.to not in FINAL
            if self.to in FINAL:
                # What is left to do after the end (erase the token, report statistics) is found by this mark.
                put |= {"finished": self.at, "claimed": False, "cleanup": True}
                if "cause" in put:
                    put["tok"] = error_words(put["cause"])
            elif self.to == Status.RUNNING:
                put["running"] = self.at
        pushed = ({"history": self._entry()} if self.told else {}) | ({"outbox": self.audit} if self.audit else {})
        change = {
            "$set": put,
            "$push": pushed,
            "$unset": dict.fromkeys(self.drop, ""),
            "$min": dict(self.keep_earlier),
            "$addToSet": {name: {"$each": values} for name, values in self.add.items()},
            "$pull": {name: {"$in": values} for name, values in self.take.items()},
        }
        return {operator: fields for operator, fields in change.items() if fields}

    def _entry(self) -> dict[str, Any]:
        said = {"status": self.to, "role": self.role, "attempt": self.attempt, "note": self.note}
        return {"at": self.at, "event": self.event, "actor": self.actor} | {
            name: value for name, value in said.items() if value is not None
        }


def claim(
    at: dt.datetime,
    *,
    attempt: int,
    tag: str,
    ticket_hash: str,
    claim_id: str,
    backend: str,
    time_limit_s: int | None = None,
) -> Transition:
    """Take a waiting job for an attempt, before its backend is called. ``time_limit_s``: how long it may run."""
    held = {"n": attempt, "tag": tag, "ticket": ticket_hash, "claim": claim_id, "claimed_at": at}
    if time_limit_s is not None:
        held["time_limit_s"] = time_limit_s
    return Transition(
        event="claimed",
        at=at,
        leaves=(Status.CREATED,),
        actor="engine",
        where={"claimed": False, "attempt.n": attempt - 1, "cancel_requested": None},
        put={"claimed": True, "backend": backend, "attempt": held},
        drop=("backend_id", "host", "given_back"),
        attempt=attempt,
        told=_is_told(attempt),
    )


def _is_told(attempt: int) -> bool:
    """Whether a job's history has the claim and the release of an attempt.

    A backend that takes nothing for days is offered the job again and again: of so many attempts every power of two.
    """
    return attempt <= MOST_TOLD or attempt & (attempt - 1) == 0


def submitted(at: dt.datetime, *, attempt: int, backend_id: str) -> Transition:
    """The backend has the attempt."""
    return Transition(
        event="queued",
        at=at,
        leaves=(Status.CREATED, Status.ESTIMATING),
        actor="engine",
        to=Status.QUEUED,
        where={"attempt.n": attempt, "claimed": True},
        put={"backend_id": backend_id},
        keep_earlier={"queued": at},
        attempt=attempt,
    )


def release(at: dt.datetime, *, attempt: int, note: str, losses: int | None = None) -> Transition:
    """Give an attempt up that its backend does not have and that never began; the job waits for another one.

    ``losses``: how many attempts backends have lost, this one included; None if it is none of these.
    """
    return Transition(
        event="released",
        at=at,
        leaves=NOT_STARTED,
        actor="engine",
        to=Status.CREATED,
        where={"attempt.n": attempt, "claimed": True, "attempt.runner": None, "cancel_requested": None},
        put={"claimed": False, "given_back": note} | ({} if losses is None else {"losses": losses}),
        # Without a ticket a runner of the old attempt that turns up late can't start it.
        drop=("backend_id", "attempt.ticket", "queued", "hold"),
        attempt=attempt,
        note=note,
        told=_is_told(attempt),
    )


def lose(at: dt.datetime, *, attempt: int, note: str, losses: int) -> Transition:
    """Give an attempt up that had begun and of which nothing runs any more; the job waits for another one.

    Only for causes that neither the app nor a person has (``engine_may_retry``). ``losses``: as of :func:`release`.
    """
    return Transition(
        event="lost",
        at=at,
        leaves=(Status.RUNNING,),
        actor="engine",
        to=Status.CREATED,
        where={"attempt.n": attempt, "claimed": True, "cancel_requested": None},
        put={"claimed": False, "given_back": note, "losses": losses},
        # Without runner and credential whatever is left of the attempt can write nothing more: no line, no result.
        drop=(
            "backend_id",
            "host",
            "queued",
            "running",
            "hold",
            *(f"attempt.{name}" for name in ("ticket", "runner", "credential", "finish", "interrupted", "stop_cause")),
        ),
        attempt=attempt,
        note=note,
    )


def start(
    at: dt.datetime, *, attempt: int, ticket_hash: str, runner: str, credential_hash: str, host: str | None
) -> Transition:
    """The one runner that brings the ticket first begins the attempt."""
    put = {"attempt.runner": runner, "attempt.credential": credential_hash}
    if host:
        put["host"] = host
    return Transition(
        event="started",
        at=at,
        leaves=NOT_STARTED,
        actor="runner",
        to=Status.RUNNING,
        where={"attempt.n": attempt, "attempt.ticket": ticket_hash, "attempt.runner": None, "claimed": True},
        put=put,
        drop=("hold",),
        keep_earlier={"queued": at},
        attempt=attempt,
    )


def finish(
    at: dt.datetime, *, attempt: int, credential_hash: str, to: Status, digest: str, result: dict[str, Any]
) -> Transition:
    """The runner's report of the end; the first one decides.

    ``digest`` identifies the report, so that its repetition is recognised. ``result`` holds the fields that come with
    the end: cause, reports, output. Being terminated needs a request to cancel.
    """
    where: dict[str, Any] = {"attempt.n": attempt, "attempt.credential": credential_hash, "attempt.finish": None}
    if to == Status.TERMINATED:
        where["cancel_requested"] = {"$ne": None}
    return Transition(
        event=str(to),
        at=at,
        leaves=(Status.RUNNING,),
        actor="runner",
        to=to,
        where=where,
        put={**result, "attempt.finish": digest},
        attempt=attempt,
    )


def interrupted(
    at: dt.datetime, *, attempt: int, credential_hash: str, digest: str, cause: dict[str, Any]
) -> Transition:
    """The runner's report that it was told to stop, and not by the engine.

    By whom, and when nothing runs any more, its backend will say. ``digest``: as of :func:`finish`.
    """
    return Transition(
        event="interrupted",
        at=at,
        leaves=(Status.RUNNING,),
        actor="runner",
        where={"attempt.n": attempt, "attempt.credential": credential_hash, "attempt.finish": None},
        put={"attempt.finish": digest, "attempt.interrupted": cause},
        attempt=attempt,
        note=cause["message"],
    )


def stop(at: dt.datetime, *, attempt: int, cause: dict[str, Any]) -> Transition:
    """The engine wants the attempt ended, for a reason of its own; its backend is asked until it confirms that.

    Until then a report of the runner decides. The first reason stands.
    """
    return Transition(
        event="stopping",
        at=at,
        leaves=ACTIVE,
        actor="engine",
        where={"attempt.n": attempt, "claimed": True, "attempt.stop_cause": None, "cancel_requested": None},
        put={"attempt.stop_cause": cause},
        attempt=attempt,
        note=cause["message"],
    )


def settle(
    at: dt.datetime,
    *,
    attempt: int,
    to: Status,
    cause: dict[str, Any],
    leaves: tuple[Status, ...] = ACTIVE,
    where: dict[str, Any] | None = None,
) -> Transition:
    """The engine ends a job of which its backend says that nothing runs any more."""
    return Transition(
        event=str(to),
        at=at,
        leaves=leaves,
        actor="engine",
        to=to,
        where={"attempt.n": attempt, **(where or {})},
        put={"cause": cause},
        attempt=attempt,
        note=cause["message"],
    )


def cancel_waiting(
    at: dt.datetime,
    *,
    by: str,
    reason: str | None,
    cause: dict[str, Any],
    role: str | None = None,
    audit: dict[str, Any] | None = None,
) -> Transition:
    """End a job at once that no backend has heard of."""
    return Transition(
        event="terminated",
        at=at,
        leaves=(Status.CREATED,),
        actor=by,
        to=Status.TERMINATED,
        where={"claimed": False},
        put={"cause": cause, "cancel_requested": _cancel_request(at, by, reason)},
        note=reason,
        role=role,
        audit=audit,
    )


def request_cancel(
    at: dt.datetime, *, by: str, reason: str | None, role: str | None = None, audit: dict[str, Any] | None = None
) -> Transition:
    """Record the wish to stop a job that a backend may have; the first wish stands."""
    return Transition(
        event="cancel_requested",
        at=at,
        leaves=ACTIVE,
        actor=by,
        where={"claimed": True, "cancel_requested": None},
        put={"cancel_requested": _cancel_request(at, by, reason)},
        note=reason,
        role=role,
        audit=audit,
    )


def share(
    at: dt.datetime, *, event: str, by: str, role: str, held: list[str], wanted: list[str], audit: dict[str, Any]
) -> Transition:
    """Change the people whom a job, or a batch, is shared with from exactly ``held`` to ``wanted``; in any state.

    ``event``: shared or unshared.
    """
    return Transition(
        event=event,
        at=at,
        leaves=(),
        actor=by,
        where={"shared_with": held} if held else {"shared_with.0": {"$exists": False}},
        put={"shared_with": wanted} if wanted else {},
        drop=() if wanted else ("shared_with",),
        note="with " + ", ".join(sorted(set(held) ^ set(wanted))),
        role=role,
        audit=audit,
    )


def share_also(at: dt.datetime, *, by: str, role: str, names: list[str], audit: dict[str, Any]) -> Transition:
    """Share a batch's job with these people too, where it is not shared with them all; in any state."""
    return Transition(
        event="shared",
        at=at,
        leaves=(),
        actor=by,
        where={"shared_with": {"$not": {"$all": names}}},
        add={"shared_with": names},
        note="with " + ", ".join(sorted(names)),
        role=role,
        audit=audit,
    )


def unshare_also(at: dt.datetime, *, by: str, role: str, names: list[str], audit: dict[str, Any]) -> Transition:
    """Take that back, where it is shared with any of them; in any state."""
    return Transition(
        event="unshared",
        at=at,
        leaves=(),
        actor=by,
        where={"shared_with": {"$in": names}},
        take={"shared_with": names},
        note="with " + ", ".join(sorted(names)),
        role=role,
        audit=audit,
    )


def _cancel_request(at: dt.datetime, by: str, reason: str | None) -> dict[str, Any]:
    return {"by": by, "at": at} | ({"reason": reason} if reason else {})
