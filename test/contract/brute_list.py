"""What list_jobs has to answer, the slow and obvious way: look at every job."""

import datetime as dt
import random
from collections.abc import Iterable
from typing import Any

from bson import ObjectId

from execution_engine.core.clock import from_ms, to_ms
from execution_engine.core.states import FINAL
from execution_engine.core.words import split_words

Document = dict[str, Any]
BASE = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
MINUTE = dt.timedelta(minutes=1)
USERS = ("alice", "bob", "carol", "dave")
STATUSES = ("created", "queued", "running", "completed", "error", "terminated")
METHODS = ("m.one", "m.two")
APPS = ("kb_a/one", "kb_a/two", "kb_ab/one", None)
GROUPS = ("local", "bigmem")
MESSAGES = ("out of memory", "no such file reads.fastq", "megahit ran out of disk")


def make_job(rng: random.Random, workspaces: int, minutes: tuple[int, int]) -> Document:
    """A job of a minute between ``minutes``; many share one."""
    created = BASE + rng.randint(*minutes) * MINUTE
    job: Document = {
        "_id": ObjectId(int(created.timestamp()).to_bytes(4, "big") + rng.randbytes(8)),
        "user": rng.choice(USERS),
        "created": created,
        "updated": created,
        "method": rng.choice(METHODS),
        "client_group": rng.choice(GROUPS),
        "backend": rng.choice(("local", "slurm")),
        "status": rng.choice(STATUSES),
    }
    if rng.random() < 0.8:
        job["wsid"] = rng.randint(1, workspaces)
    elif named := [user for user in USERS if user != job["user"] and rng.random() < 0.5]:
        job["shared_with"] = named
    if app := rng.choice(APPS):
        job["app_id"] = app
    if rng.random() < 0.1:
        job["hidden_by"] = [rng.choice(USERS)]
    return end_job(rng, job) if job["status"] in FINAL else job


def end_job(rng: random.Random, job: Document, after: int = 3) -> Document:
    """The job ended, some minutes after its beginning."""
    job = job | {"finished": job["created"] + rng.randint(0, after) * MINUTE}
    if job["status"] != "completed":
        job["cause"] = {"code": "app_error", "message": rng.choice(MESSAGES), "advice": ""}
        job["tok"] = split_words(job["cause"]["message"])
    return job


def asked(rng: random.Random, user: str, workspaces: int) -> Document:
    """Parameters of list_jobs."""
    params: Document = {"scope": rng.choice(("mine", "shared", "shared", "workspace", "workspace", "all"))}
    if params["scope"] == "workspace":
        params["wsids"] = rng.sample(range(1, workspaces + 1), rng.randint(1, workspaces))
    choices: list[Document] = [
        {"status": rng.sample(STATUSES, rng.randint(1, 3))},
        {"method": rng.choice(METHODS)},
        {"app_id": "kb_a/one"},
        {"app": rng.choice(("kb_a", "kb_a/", "kb_ab", "zz"))},
        {"client_group": "local"},
        {"backend": "slurm"},
        {"user": user if params["scope"] == "mine" else rng.choice(USERS)},
        {"words": rng.choice(("memory", "OUT", "no reads", "the megahit disk", "nothing"))},
        {"created_from": to_ms(BASE + rng.randint(0, 20) * MINUTE)},
        {"created_to": to_ms(BASE + rng.randint(10, 40) * MINUTE)},
        {"finished_from": to_ms(BASE + rng.randint(0, 20) * MINUTE)},
        {"finished_to": to_ms(BASE + rng.randint(10, 40) * MINUTE)},
        {"hidden": 1},
    ]
    for choice in rng.sample(choices, rng.choice((0, 0, 1, 1, 2, 3))):
        params |= choice
    return params | {
        "sort": rng.choice(("created", "finished")),
        "order": rng.choice(("asc", "desc")),
        "limit": rng.randint(1, 6),
    }


def expected(jobs: Iterable[Document], user: str, readable: set[int], params: Document) -> list[ObjectId]:
    """The ids of the whole list, in order."""
    sort = params["sort"]
    found = [
        job for job in jobs if sort in job and _in_scope(job, user, readable, params) and _passes(job, user, params)
    ]
    found.sort(key=lambda job: (job[sort], job["_id"]), reverse=params["order"] == "desc")
    return [job["_id"] for job in found]


def _in_scope(job: Document, user: str, readable: set[int], params: Document) -> bool:
    scope = params["scope"]
    if scope == "mine":
        return bool(job["user"] == user)
    if scope == "shared":
        return job["user"] != user and (job.get("wsid") in readable or user in job.get("shared_with", ()))
    return scope == "all" or job.get("wsid") in params["wsids"]


def _passes(job: Document, user: str, params: Document) -> bool:
    for name in ("user", "method", "app_id", "client_group", "backend"):
        if name in params and job.get(name) != params[name]:
            return False
    for name in ("created", "finished"):
        time = job.get(name)
        if f"{name}_from" in params and (time is None or time < from_ms(params[f"{name}_from"])):
            return False
        if f"{name}_to" in params and (time is None or time >= from_ms(params[f"{name}_to"])):
            return False
    return (
        job["status"] in params.get("status", STATUSES)
        and job.get("app_id", "").startswith(params.get("app", ""))
        and set(split_words(params.get("words", ""))) <= set(job.get("tok", ()))
        and (bool(params.get("hidden")) or user not in job.get("hidden_by", ()))
    )
