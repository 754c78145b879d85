"""Which index answers a list, and what of it the index's order can't."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from execution_engine.store.database import Document
from execution_engine.store.indexes import INDEXES
from execution_engine.store.job_lists import Order, Position
from execution_engine.store.recent import Span

# MongoDB merges so many ranges of an index in order; with more it would sort everything that they hold.
MAX_RANGES = 200

# In order of preference: what usually leaves fewest keys comes first.
_CANDIDATES = {
    "created": (
        "sharee_created",
        "user_app_created",
        "user_method_created",
        "user_status_created",
        "user_created",
        "wsid_status_created",
        "wsid_created",
        "tok_created",
        "app_created",
        "method_created",
        "group_created",
        "status_created",
        "created",
    ),
    "finished": ("sharee_finished", "user_finished", "wsid_finished", "finished"),
}
_KEYS = {index.name: [name for name, _ in index.key] for index in INDEXES if index.collection == "jobs"}


@dataclass(frozen=True, slots=True)
class Plan:
    """A query on an index: ``bounds`` are ranges of it, in the list's order; ``rest`` is checked key by key.

    ``lead``: the fields whose values the index is divided by.
    """

    index: str
    lead: tuple[str, ...]
    order: Order
    bounds: list[Document]
    rest: list[Document]

    def within(self, spans: Iterable[Span]) -> "Plan":
        """The same, of the workspaces of these spans alone, each between its first and its last job."""
        others = [condition for condition in self.bounds if "wsid" not in condition]
        early, late = ("$lte", "$gte") if self.order.direction < 0 else ("$gte", "$lte")
        ranges: list[Document] = [
            {"$and": [{"wsid": span.wsid}, *others, {self.order.field: {early: span.first, late: span.last}}]}
            for span in spans
        ]
        return replace(self, bounds=[{"$or": ranges}])

    def query(self, after: Position | None, until: Position | None) -> Document:
        """What matches between two positions."""
        return _all_of([*self.bounds, *self.order.between(after, until), *self.rest])

    def keys(self, after: Position | None, until: Position | None, *, exact: bool) -> Document:
        """What :meth:`query` has to read for that; not ``exact``: and the neighbours of the same times."""
        between = self.order.between if exact else self.order.around
        return _all_of([*self.bounds, *between(after, until)])


def choose_plan(conditions: Document, order: Order) -> Plan:
    """The plan for jobs that fulfil all conditions (by field)."""
    for name in _CANDIDATES[order.field]:
        lead = tuple(_KEYS[name][: _KEYS[name].index(order.field)])
        ranges = math.prod(_points(conditions.get(field)) for field in lead)
        if 0 < ranges <= MAX_RANGES:
            return _plan(name, lead, conditions, order)
    raise AssertionError(order.field)  # the last candidate needs no condition


def count_ranges(value: Any) -> int:
    """Into how many ranges a condition on one more field splits an index's range."""
    return _points(value) or 1


def _points(condition: Any) -> int:
    """How many values a condition names; 0: none, it is of another kind."""
    if not isinstance(condition, dict):
        return int(condition is not None)
    return 1 if "$all" in condition else len(condition.get("$in", ()))


def _plan(name: str, lead: tuple[str, ...], conditions: Document, order: Order) -> Plan:
    bounds, rest = [], []
    for field, condition in conditions.items():
        if field in lead and isinstance(condition, dict) and "$all" in condition:
            bounds.append({field: condition["$all"][0]})
            rest += [{field: word} for word in condition["$all"][1:]]
        else:
            (bounds if field in (*lead, order.field) else rest).append({field: condition})
    return Plan(name, lead, order, bounds, rest)


def _all_of(conditions: list[Document]) -> Document:
    return {"$and": conditions} if conditions else {}
