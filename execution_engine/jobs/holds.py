"""What waiting jobs wait for, and what is the matter with others, in plain words."""

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence

from bson import ObjectId

from execution_engine.config import Settings
from execution_engine.core.clock import now
from execution_engine.core.states import FINAL, Status
from execution_engine.jobs.backend_states import DOWN, DRAINING, obstacle_of
from execution_engine.jobs.engine import Engine
from execution_engine.jobs.limits import Bound, Limits
from execution_engine.jobs.outlook import DISPATCH_LEASE, Outlook
from execution_engine.store.database import Document

__all__ = ["DISPATCH_LEASE", "closed_group", "find_holds", "find_silence"]


def find_holds(engine: Engine, jobs: Iterable[Document]) -> dict[ObjectId, Document]:
    """``{code, message}`` for each of the jobs that waits, ``limit`` where one holds it; one look serves them all."""
    jobs = list(jobs)
    holds = {job["_id"]: job["hold"] for job in jobs if job["status"] not in FINAL and "hold" in job}
    waiting = [job for job in jobs if job["status"] == Status.CREATED and job["_id"] not in holds]
    if waiting:
        outlook, limits = engine.outlook.read(), engine.limit_reader.read()
        holds |= {job["_id"]: _hold(engine, job, outlook, limits) for job in waiting}
    return holds


def find_silence(settings: Settings, heard: dt.datetime) -> Document | None:
    """What is said of a running job whose runner was ``heard`` of last too long ago; it goes on all the same."""
    if now() <= heard + dt.timedelta(seconds=settings.silent_after_seconds):
        return None
    return _said(
        "no_contact",
        f"No contact with the job's runner since {heard:%Y-%m-%d %H:%M} UTC. The job may well go on: its lines and its "
        "end arrive when the engine hears of it again, or its backend says that it is gone.",
    )


def _hold(engine: Engine, job: Document, outlook: Outlook, limits: Limits) -> Document:
    if job["claimed"]:
        return _said("handing_over", f"The job is being handed to the backend {job['backend']}.")
    hold = _obstacle(engine, job, outlook, limits) or _turn(job)
    if missed := engine.routing.read().passed_over(job["client_group"], job["user"], job["method"]):
        message = (
            f"{hold['message']} A route would send it to {', '.join(missed)}, which the configuration does not have."
        )
        return hold | {"message": message}
    return hold


def _turn(job: Document) -> Document:
    """Why it is not yet the turn of a job that may have one."""
    if "given_back" in job:
        return _said("given_back", job["given_back"])
    return _said("queue", f"The job waits for its turn in the client group {job['client_group']}.")


def _obstacle(engine: Engine, job: Document, outlook: Outlook, limits: Limits) -> Document | None:
    """What keeps a job from having its turn at all."""
    if not outlook.dispatching:
        return _said(
            "dispatcher_down", "The engine's dispatcher is not running; the job begins once the operators start it."
        )
    user, group = job["user"], job["client_group"]
    if group not in engine.settings.client_groups:
        return _said(
            "no_client_group",
            f"The client group {group} was removed from the configuration; the job begins once the operators put it "
            "back. To run it elsewhere, cancel it and submit it to another client group.",
        )
    backends = engine.routing.read().backends(group, user, job["method"])
    return closed_group(backends, outlook.backends) or _limited(engine, user, limits.running(user, group))


def _limited(engine: Engine, user: str, bounds: Sequence[Bound]) -> Document | None:
    """The first of the limits that is reached."""
    in_use = engine.limit_reader.in_use() if bounds else {}
    reached = next((bound for bound in bounds if in_use[bound.counter] >= bound.most), None)
    if reached is None:
        return None
    target, used = reached.target, in_use[reached.counter]
    someone = target.each_user or target.user is not None
    whom = f"{user} has" if someone else f"The client group {target.client_group} has"
    there = f" in the client group {target.client_group}" if someone and target.client_group else ""
    limit = "the limit for each user" if target.each_user else "the limit"
    end = "when some of them have ended, or when" if reached.most else "when"
    message = (
        f"{whom} {used:,} {'job' if used == 1 else 'jobs'} at work{there}; {limit} is {reached.most:,}. "
        f"The job begins {end} an administrator raises the limit."
    )
    return _said("limit", message) | {"limit": target.fields() | {"value": reached.most, "in_use": used}}


def closed_group(backends: Sequence[str], records: Mapping[str, Document]) -> Document | None:
    """What holds every waiting job that may go to these backends alone; None if one of them may take jobs.

    ``records``: what is known of backends, by name (store/backends.py).
    """
    obstacles = {name: obstacle_of(records.get(name)) for name in backends}
    found = {name: obstacle for name, obstacle in obstacles.items() if obstacle}
    if not backends or len(found) < len(backends):
        return None
    if all(obstacle.state == DOWN for obstacle in found.values()):
        reasons = "; ".join(f"{name}: {obstacle.message}" for name, obstacle in found.items())
        return _said(
            "backend_down", f"The client group's backends are down ({reasons}); the job begins once one is up."
        )
    said = [
        f"The backend {name} " + (it.message.removeprefix("It ") if it.state == DRAINING else f"is down: {it.message}")
        for name, it in found.items()
    ]
    return _said("backend_draining", " ".join(sentence.rstrip(".") + "." for sentence in said))


def _said(code: str, message: str) -> Document:
    return {"code": code, "message": message}
