"""Which limits apply to whom. This module decides; nothing else does.

- of concurrent jobs every limit that applies holds at once: the user's, the client group's, the user's in the group. A
  limit for a named user stands in place of the one for each user, in the same place (everywhere, or in the group).
- of queued jobs the named user's, else the one for each user.
- of run time the lowest of all that apply: the method's (its administrators' and its owners'), the method's for this
  user, the client group's.
- a job counts as concurrent from the moment it is claimed for a backend until its end is confirmed; as queued from its
  submission until it runs.
- the module of a method is written in any case, as the Catalog takes it.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from execution_engine.core.errors import InvalidParams
from execution_engine.store.database import Document


class Kind(StrEnum):
    """What is limited: concurrent jobs, jobs that wait, seconds that a job runs."""

    RUNNING = "running"
    QUEUED = "queued"
    RUN_TIME = "run_time"


@dataclass(frozen=True, slots=True)
class Target:
    """What a limit is for. ``by_owner``: set by the owners of the method's module, not by administrators."""

    kind: Kind
    user: str | None = None
    each_user: bool = False
    client_group: str | None = None
    method: str | None = None
    by_owner: bool = False

    @property
    def name(self) -> str:
        """Of the limit's record; different targets have different ones."""
        parts = [self.kind, *_named("group", self.client_group), *_named("method", self.method)]
        parts += ["each_user"] if self.each_user else _named("user", self.user)
        return "/".join([*parts, "owner"] if self.by_owner else parts)

    @property
    def words(self) -> str:
        """For people: ``limit running, user bob``."""
        parts = [f"limit {self.kind}", "of the app's owners" if self.by_owner else ""]
        parts += [f"client group {self.client_group}" if self.client_group else ""]
        parts += [f"method {self.method}" if self.method else "", f"user {self.user}" if self.user else ""]
        return ", ".join(part for part in [*parts, "each user" if self.each_user else ""] if part)

    @property
    def counter(self) -> str:
        """What counts against a limit of concurrent jobs for a user or a client group by name."""
        return "/".join([*_named("group", self.client_group), *_named("user", self.user)])

    def fields(self) -> Document:
        """As in a record, and on the wire."""
        named = {"user": self.user, "client_group": self.client_group, "method": self.method}
        fields: Document = {"kind": str(self.kind)} | {key: value for key, value in named.items() if value is not None}
        return fields | ({"each_user": 1} if self.each_user else {}) | ({"by_owner": 1} if self.by_owner else {})


_SHAPES = {
    Kind.RUNNING: ({"user"}, {"each_user"}, {"client_group"}, {"client_group", "user"}, {"client_group", "each_user"}),
    Kind.QUEUED: ({"user"}, {"each_user"}),
    Kind.RUN_TIME: ({"method"}, {"method", "user"}, {"client_group"}, {"method", "by_owner"}),
}


def target_of(asked: Document) -> Target:
    """The target that a call names.

    Raises:
        InvalidParams: there are no limits for such a combination.
    """
    kind = Kind(asked["kind"])
    given = {name for name in ("user", "each_user", "client_group", "method", "by_owner") if asked.get(name)}
    if given not in _SHAPES[kind]:
        possible = "; ".join(" and ".join(sorted(shape)) for shape in _SHAPES[kind])
        raise InvalidParams(
            f"params: a limit of kind {kind} is for one of: {possible}. Found: {' and '.join(sorted(given)) or 'none'}."
        )
    method = asked.get("method")
    return Target(
        kind,
        asked.get("user"),
        bool(asked.get("each_user")),
        asked.get("client_group"),
        method and canonical(method),
        bool(asked.get("by_owner")),
    )


def canonical(method: str) -> str:
    """The one spelling of a method: the Catalog takes its module in any case."""
    module, _, function = method.partition(".")
    return f"{module.lower()}.{function}"


def counters_of(user: str, group: str) -> tuple[str, str, str]:
    """What a concurrent job of the user in the client group counts in, where there are limits."""
    return f"user={user}", f"group={group}", f"group={group}/user={user}"


class Bound(NamedTuple):
    """A limit as it applies to somebody: what counts against it, and up to which number."""

    counter: str
    most: int
    target: Target


class Limits:
    """All limits that are set."""

    def __init__(self, records: Iterable[Document]) -> None:
        self.records = {record["_id"]: record for record in records}
        running = (record for record in self.records.values() if record["kind"] == Kind.RUNNING)
        self.counted = frozenset(record["_id"] for record in running)
        """The names of those of concurrent jobs."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Limits) and self._values() == other._values()

    __hash__ = None  # type: ignore[assignment]  # a snapshot is compared, never looked up

    def _values(self) -> dict[str, int]:
        return {name: record["value"] for name, record in self.records.items()}

    def running(self, user: str, group: str) -> list[Bound]:
        """What a job of the user in the client group must find room in, to start."""
        if not self.counted:
            return []
        return [
            *self._bounds(None, Target(Kind.RUNNING, client_group=group)),
            *self._of_user(Kind.RUNNING, user, None),
            *self._of_user(Kind.RUNNING, user, group),
        ]

    def queued(self, user: str) -> Bound | None:
        """What the user's waiting jobs must not exceed."""
        return next(self._of_user(Kind.QUEUED, user, None), None)

    def run_time(self, method: str, user: str, group: str) -> int | None:
        """For how many seconds a job may run; None: for ever."""
        return min(
            (self.records[target.name]["value"] for target in self.of_run_time(method, user, group)), default=None
        )

    def of_run_time(self, method: str, user: str, group: str) -> list[Target]:
        """The limits of run time that apply."""
        method = canonical(method)
        targets = [
            Target(Kind.RUN_TIME, method=method),
            Target(Kind.RUN_TIME, method=method, by_owner=True),
            Target(Kind.RUN_TIME, method=method, user=user),
            Target(Kind.RUN_TIME, client_group=group),
        ]
        return [target for target in targets if target.name in self.records]

    def _of_user(self, kind: Kind, user: str, group: str | None) -> Iterator[Bound]:
        """The user's own limit in the place, else that of each user."""
        named = Target(kind, user=user, client_group=group)
        own = list(self._bounds(None, named))
        yield from own or self._bounds(named.counter, Target(kind, each_user=True, client_group=group))

    def _bounds(self, counter: str | None, target: Target) -> Iterator[Bound]:
        if record := self.records.get(target.name):
            yield Bound(counter or target.counter, record["value"], target)


def _named(word: str, value: str | None) -> list[str]:
    return [] if value is None else [f"{word}={value}"]
