"""AWE's documents, of 0.9.26 and 0.9.68, as far as the backend needs them."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

TAG_ATTRIBUTE = "ee_tag"
GROUP_ATTRIBUTE = "ee_client_group"
TAG_PATH = f"info.userattr.{TAG_ATTRIBUTE}"
WAITING_STATES = ("init", "queued")
ACTIVE_STATES = (*WAITING_STATES, "in-progress")
OPEN_STATES = (*ACTIVE_STATES, "suspend")
_UNDEFINED_TIME = "0001-01-01T00:00:00Z"
_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_ID_CHARS = 36
_FAILED = re.compile(r"failed \d+ time")


class UnreadableError(Exception):
    """A document is not of the form that AWE gives it; the text says what is missing."""


def is_id(text: str) -> bool:
    """Whether it may be a job's id: nothing else goes into a URL, and some servers panic at what is none."""
    return _ID.fullmatch(text) is not None


@dataclass(frozen=True, slots=True)
class AweJob:
    """A job as AWE has it. ``tag`` and ``client_group`` are ours, and empty for jobs of others.

    ``submitted`` sorts by time. ``started``: it was with a worker at least once. ``finished``: its command ended with
    exit code 0, whatever ``state`` says: AWE lets people suspend and resume ended jobs. ``failed``: its command ended
    otherwise, by itself. ``registered``: AWE has it in its queue, not only in its database. ``notes``: what AWE says.
    """

    id: str
    tag: str
    client_group: str
    state: str
    groups: frozenset[str]
    priority: int
    submitted: str
    started: bool
    finished: bool
    failed: bool
    registered: bool
    notes: str


def read_job(document: Any) -> AweJob:
    """The job of a document.

    Raises:
        UnreadableError: the document lacks what every one has.
    """
    try:
        info, task = document["info"], document["tasks"][0]
        failure = document.get("error") or {}
        notes = [document.get("notes"), *(failure.get(key) for key in ("servernotes", "worknotes", "apperror"))]
        job = AweJob(
            id=document["id"],
            tag=_attribute(document, TAG_ATTRIBUTE),
            client_group=_attribute(document, GROUP_ATTRIBUTE),
            state=document["state"],
            groups=frozenset(info["clientgroups"].split(",")),
            priority=int(info["priority"]),
            submitted=info["submittime"].removesuffix("Z"),  # without it, fractions of any length sort as text
            started=info["startedtime"] != _UNDEFINED_TIME,
            finished=document["remaintasks"] == 0 and task["state"] == "completed",
            failed=bool(failure.get("workfailed")) or _FAILED.search(document.get("notes") or "") is not None,
            registered=document["registered"] is True,
            notes="; ".join(str(note).strip() for note in notes if note),
        )
    except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
        raise UnreadableError(f"{type(error).__name__}: {error}") from error
    if not is_id(job.id):
        raise UnreadableError(f"{job.id!r} is no id")
    return job


def tag_of(document: Any) -> str:
    """Our tag of a job, also of one that can't be read otherwise; empty if it has none."""
    return _attribute(document, TAG_ATTRIBUTE)


def _attribute(document: Any, name: str) -> str:
    try:
        return str(document["info"]["userattr"][name])
    except (KeyError, TypeError):
        return ""


@dataclass(frozen=True, slots=True)
class Worker:
    """One worker process of AWE, which runs one job at a time.

    ``running``: ids of the jobs that it says it runs, as of its last heartbeat in 0.9.68. ``assigned``: those that
    0.9.68 has given it; one that it has dropped since stays there until it has done another.
    """

    id: str
    host: str
    group: str
    cores: int
    usable: bool
    running: frozenset[str]
    assigned: frozenset[str]

    @property
    def busy(self) -> bool:
        """Whether it has work."""
        return bool(self.running or self.assigned)


def read_worker(document: Any) -> Worker:
    """The worker of a document of ``GET /client``.

    Raises:
        UnreadableError: the document lacks what every one has.
    """
    try:
        return Worker(
            id=document["id"],
            host=document.get("host") or document.get("host_ip") or document["name"],
            group=document["group"],
            cores=int(document["cores"]),
            usable=not document.get("suspended") and document["Status"] != "suspend",
            running=_jobs_of(document["current_work"]),
            assigned=_jobs_of(document.get("assigned_work")),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UnreadableError(f"{type(error).__name__}: {error}") from error


def _jobs_of(work: Mapping[str, Any] | None) -> frozenset[str]:
    """Ids of jobs, from ``{"data": [work id, …]}`` or ``{work id: it is under way, …}``."""
    if not work:
        return frozenset()
    listed = (work["data"] or []) if "data" in work else [name for name, under_way in work.items() if under_way]
    return frozenset(name[:_ID_CHARS] for name in listed)
