"""One page of a list: what is asked, read, shown."""

from dataclasses import dataclass

from execution_engine.core.errors import InvalidParams
from execution_engine.jobs.access import Sight
from execution_engine.jobs.engine import Engine
from execution_engine.jobs.identity import User
from execution_engine.jobs.listing.cursor import digest_of, read_cursor, write_cursor
from execution_engine.jobs.listing.filters import filter_conditions
from execution_engine.jobs.listing.merge import FEW, Many
from execution_engine.jobs.listing.plans import choose_plan
from execution_engine.jobs.listing.scopes import Part, Scope, resolve_scope, scope_name
from execution_engine.jobs.listing.walk import Budget, Stretch, join, walk
from execution_engine.jobs.lookup import Found, add_details, shown
from execution_engine.store.database import Document
from execution_engine.store.job_lists import Order, Position

DEFAULT_LIMIT = 50
MAX_KEYS = 20_000  # read for one page
MAX_SAME_ID = 10_000  # jobs whose ids begin alike: more than a second brings


@dataclass(frozen=True, slots=True)
class Page:
    """Some of a list's jobs in order. ``cursor``: of the next page; ``incomplete``: reading stopped at its bound."""

    found: list[Found]
    cursor: str | None
    incomplete: bool


def list_jobs(engine: Engine, user: User, params: Document, details: frozenset[str]) -> Page:
    """A page of jobs, as the user may see them now.

    Raises:
        InvalidParams: a cursor of another list; parameters that contradict each other.
        PermissionDenied, WorkspaceNotFound, WorkspaceUnavailable: as :func:`resolve_scope`.
    """
    digest = digest_of(user.name, {**params, "scope": scope_name(params)})
    after = read_cursor(params["cursor"], digest) if "cursor" in params else None
    scope = resolve_scope(engine, user, params)
    filters = filter_conditions(engine.lists, params)
    if filters is None or not scope.parts:
        return Page([], None, incomplete=False)
    order = Order(params.get("sort", "created"), 1 if params.get("order") == "asc" else -1)
    limit = params.get("limit", DEFAULT_LIMIT)
    # One more than the page shows whether another one follows.
    hider = None if params.get("hidden") else user.name
    read = _read_shown(engine, scope, filters, order, after, limit + 1, hider)
    shows_more = len(read.jobs) > limit
    jobs = read.jobs[:limit]
    sights = [scope.sight(job, user.name) for job in jobs]
    found = [Found(shown(job, seen)) for job, seen in zip(jobs, sights, strict=True)]
    add_details(engine, user, [item for item, seen in zip(found, sights, strict=True) if seen == Sight.ALL], details)
    reached = order.position(jobs[-1]) if shows_more else read.reached
    cursor = write_cursor(reached, digest) if reached else None
    return Page(found, cursor, incomplete=reached is not None and len(jobs) < limit)


def _read_shown(
    engine: Engine,
    scope: Scope,
    filters: Document,
    order: Order,
    after: Position | None,
    limit: int,
    hider: str | None,
) -> Stretch:
    """Up to ``limit`` records behind ``after``, without those that ``hider`` has hidden.

    Hidden jobs are few: leaving them out here costs nothing where there are none.
    """
    jobs: list[Document] = []
    budget = Budget(MAX_KEYS)
    while True:
        read = _read(engine, scope, filters, order, after, limit - len(jobs), budget)
        jobs += [job for job in read.jobs if hider not in job.get("hidden_by", ())]
        after = read.reached
        budget.left -= len(read.jobs)
        if after is None or len(jobs) == limit or budget.left <= 0:
            return Stretch(jobs, after)


def _read(
    engine: Engine,
    scope: Scope,
    filters: Document,
    order: Order,
    after: Position | None,
    limit: int,
    budget: Budget,
) -> Stretch:
    """Up to ``limit`` records behind ``after``, of all parts of the scope; each part has an equal share of the rest."""
    found = []
    for n, part in enumerate(scope.parts):
        share = Budget(budget.left // (len(scope.parts) - n))
        budget.left -= share.left
        found.append(_read_part(engine, part, filters, order, after, limit, share))
        budget.left += share.left
    return join(found, order, limit)


def _read_part(
    engine: Engine, part: Part, filters: Document, order: Order, after: Position | None, limit: int, budget: Budget
) -> Stretch:
    conditions = {**part.conditions(), **filters}
    if "_id" in filters:
        return _by_id(engine, conditions, order, after, limit)
    if part.user is not None or part.workspaces is None or len(part.workspaces) <= FEW:
        return walk(engine.lists, choose_plan(conditions, order), budget, limit, after=after, whole=True)
    many = Many(engine.lists, engine.recent, part.workspaces, part.without, conditions, order)
    found = many.page(after, limit, budget)
    # Asked again with the filters: a job may have moved on between the two queries.
    records = engine.lists.get_many([job["_id"] for job in found.jobs], filters) if found.jobs else {}
    jobs = [records[job["_id"]] for job in found.jobs if job["_id"] in records]
    return Stretch(jobs, found.reached)


def _by_id(engine: Engine, conditions: Document, order: Order, after: Position | None, limit: int) -> Stretch:
    """Ids that begin alike are those of one second, so they are read whole and sorted here."""
    if order.field == "finished":
        conditions = {"$and": [conditions, {"finished": {"$exists": True}}]}
    matches = engine.lists.with_id(conditions, MAX_SAME_ID + 1)
    if len(matches) > MAX_SAME_ID:
        raise InvalidParams(f"params.job_id: more than {MAX_SAME_ID:,} jobs have ids that begin so; send more digits.")
    jobs = [job for job in order.sort(matches) if after is None or order.is_before(after, order.position(job))]
    return Stretch(jobs[:limit], order.position(jobs[limit - 1]) if len(jobs) >= limit else None)
