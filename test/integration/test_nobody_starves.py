"""Beside a batch of 10,000 jobs another user's single job starts among the next feed_ahead + 1."""

from collections.abc import Callable
from typing import Any

import pytest
from pymongo.database import Database
from store_dispatch import FreePost, ToldBackend
from store_engine import METHOD, KBase, begin, finish, make_engine, person, submit

from execution_engine.config import ClientGroupSettings
from execution_engine.dispatch.desk import Desk
from execution_engine.dispatch.feed import Feed
from execution_engine.dispatch.places import Places
from execution_engine.jobs.engine import Engine
from execution_engine.jobs.submission import run_jobs
from test.conftest import Stack, wait_until

FEED_AHEAD = 4
FLOOD = 10_000


def flood(engine: Engine) -> None:
    run_jobs(engine, person("alice"), {"jobs": [{"method": METHOD}] * FLOOD})


@pytest.mark.parametrize("started", [0, 1, 3, FEED_AHEAD])
def test_on_a_told_backend(real_database: Database[Any], started: int) -> None:
    groups = [ClientGroupSettings("local", ("local",), FEED_AHEAD)]
    engine = make_engine(real_database, KBase(), client_groups={"local": groups[0]})
    backend = ToldBackend()
    post: Any = FreePost(engine.jobs)
    places = Places(post, engine.limits, engine.slots)
    feed = Feed(post, places, engine.routing, groups, {"local": Desk(backend, engine.backends)})
    flood(engine)
    feed.run()
    for n in range(started):
        start(engine, backend, n)
    mine = submit(engine, "bob")
    for n in range(started, started + FEED_AHEAD + 1):
        feed.run()
        start(engine, backend, n)
    assert str(mine) in {tag.split(".")[1] for tag in backend.order[started : started + FEED_AHEAD + 1]}


def start(engine: Engine, backend: ToldBackend, n: int) -> None:
    """The n-th that was handed over begins, and ends."""
    job_id = engine.database.jobs.find_one({"attempt.tag": backend.order[n]})["_id"]
    finish(engine, job_id, begin(engine, job_id, backend.tickets[backend.order[n]])["credential"])


def test_on_the_local_backend(new_stack: Callable[[str], Stack]) -> None:
    config = f"[backend:local]\ncpus = 1\n[client_group:local]\nbackends = local\nfeed-ahead = {FEED_AHEAD}\n"
    stack = new_stack(config)
    job = {"method": METHOD, "params": [{"sequences": ["ACGT"], "k": 2}], "requirements": {"memory_mb": 16}}
    batch = stack.call("run_jobs", {"jobs": [job] * FLOOD}, "alice")
    jobs = stack.database().jobs
    wait_until(lambda: jobs.count_documents({"running": {"$exists": True}}) >= 3)
    mine = stack.wait_for(stack.call("run_job", job, "bob"), user="bob")
    since, until = (stack.database().jobs.find_one({"user": "bob"})[name] for name in ("created", "running"))
    before = jobs.count_documents({"user": "alice", "running": {"$gt": since, "$lt": until}})
    assert mine["status"] in ("completed", "error")
    assert before <= FEED_AHEAD
    stack.call("cancel_job", {"job_id": batch["batch_id"]}, "alice")
