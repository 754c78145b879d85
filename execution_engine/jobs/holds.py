"""What waiting jobs wait for, in plain words."""

from collections.abc import Iterable, Sequence

from bson import ObjectId

from execution_engine.core.states import FINAL, Status
from execution_engine.jobs.backend_states import DOWN, DRAINING, obstacle_of
from execution_engine.jobs.engine import Engine
from execution_engine.jobs.outlook import DISPATCH_LEASE, Outlook
from execution_engine.store.database import Document

__all__ = ["DISPATCH_LEASE", "closed_group", "find_holds"]


def find_holds(engine: Engine, jobs: Iterable[Document]) -> dict[ObjectId, Document]:
    """``{code, message}`` for each of the jobs that waits; one look at the backends serves them all."""
    jobs = list(jobs)
    holds = {job["_id"]: job["hold"] for job in jobs if job["status"] not in FINAL and "hold" in job}
    waiting = [job for job in jobs if job["status"] == Status.CREATED and job["_id"] not in holds]
    if waiting:
        outlook = engine.outlook.read()
        holds |= {job["_id"]: _hold(engine, job, outlook) for job in waiting}
    return holds


def _hold(engine: Engine, job: Document, outlook: Outlook) -> Document:
    if job["claimed"]:
        return _said("handing_over", f"The job is being handed to the backend {job['backend']}.")
    if not outlook.dispatching:
        return _said(
            "dispatcher_down", "The engine's dispatcher is not running; the job begins once the operators start it."
        )
    group = engine.settings.client_groups.get(job["client_group"])
    if group is None:
        return _said("no_client_group", f"The client group {job['client_group']} was removed from the configuration.")
    if closed := closed_group(group.backends, outlook):
        return closed
    last = job["history"][-1]
    if last["event"] in ("released", "lost"):
        return _said("given_back", last["note"])
    return _said("queue", f"The job waits for its turn in the client group {job['client_group']}.")


def closed_group(backends: Sequence[str], outlook: Outlook) -> Document | None:
    """What holds every waiting job of a group that has these backends; None if one of them may take jobs."""
    obstacles = {name: obstacle_of(outlook.backends.get(name)) for name in backends}
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
