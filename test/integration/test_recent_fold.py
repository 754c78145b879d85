import datetime as dt
import random
from typing import Any

import pytest
from brute_list import BASE, MINUTE, USERS, Document, make_job

from execution_engine.store import recent_fold
from execution_engine.store.job_lists import Order
from execution_engine.store.recent import RecentStore, Span
from execution_engine.store.recent_fold import MARGIN, RecentFold

WORKSPACES = 5


def fold_up_to(fold: RecentFold, at: dt.datetime) -> None:
    while fold.step(at):
        pass


def expected(jobs: list[Document], without: str | None, order: Order) -> set[Span]:
    """The first and the last job of each workspace that are not ``without``'s."""
    times: dict[int, list[dt.datetime]] = {}
    for job in jobs:
        if "wsid" in job and order.field in job and job["user"] != without:
            times.setdefault(job["wsid"], []).append(job[order.field])
    first, last = (max, min) if order.direction < 0 else (min, max)
    return {Span(first(held), last(held), wsid) for wsid, held in times.items()}


@pytest.fixture(autouse=True)
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recent_fold, "_CHUNK", 4)
    monkeypatch.setattr(recent_fold, "_WRITES", 2)


@pytest.mark.parametrize("seed", range(12))
def test_the_table_has_the_ends_of_every_workspace_for_every_reader(real_database: Any, seed: int) -> None:
    rng = random.Random(seed)
    table, folds = RecentStore(real_database), [RecentFold(real_database) for _ in range(2)]
    jobs: list[Document] = []
    for begin in range(0, 40, 10):
        new = [make_job(rng, WORKSPACES, (begin, begin + 9)) for _ in range(rng.randint(1, 12))]
        real_database.jobs.insert_many(new)
        jobs += new
        # By one process, the other, or one after the other, as when a dispatcher takes over.
        for fold in rng.sample(folds, rng.randint(1, 2)):
            fold_up_to(fold, BASE + (begin + 10) * MINUTE)
    # Of what is newer than its mark the table need not know all.
    fold_up_to(rng.choice(folds), BASE + 60 * MINUTE)
    for field in ("created", "finished"):
        for direction in (-1, 1):
            for without in (None, *USERS):
                order = Order(field, direction)
                mark, spans = table.spans(range(1, WORKSPACES + 1), without, order)
                assert mark == BASE + 60 * MINUTE - MARGIN
                assert set(spans) == expected(jobs, without, order)


def test_what_was_not_folded_yet_is_not_said_to_be_known(real_database: Any) -> None:
    table, fold = RecentStore(real_database), RecentFold(real_database)
    assert table.spans([1], None, Order("created", -1)) == (None, [])
    fold_up_to(fold, BASE)
    rng = random.Random(1)
    real_database.jobs.insert_many([make_job(rng, WORKSPACES, (0, 0)) for _ in range(20)])
    assert table.mark("created") == BASE - MARGIN
    assert fold.step(BASE + 10 * MINUTE)
    assert table.mark("created") == BASE - MARGIN, "only when all is written"
