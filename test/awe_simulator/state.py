"""What the simulated server does with jobs and workers. Every method holds the lock for its whole length."""

import datetime as dt
import functools
import threading
import time
import uuid
from collections.abc import Callable
from typing import Any, Concatenate, ParamSpec, TypeVar

from test.awe_simulator.model import ACTIVE, UNDEFINED, AweError, Client, Job, Version, time_now

P = ParamSpec("P")
T = TypeVar("T")
ADMIN = "awe_admin"
PUBLIC = "public"
_ENQUEUE_SECONDS = 0.02  # how long a job of 0.9.26 is in state init


def locked(method: Callable[Concatenate["AweState", P], T]) -> Callable[Concatenate["AweState", P], T]:
    @functools.wraps(method)
    def guarded(self: "AweState", *args: P.args, **kwargs: P.kwargs) -> T:
        with self.lock:
            self._pass_time()
            return method(self, *args, **kwargs)

    return guarded


class AweState:
    """One server's jobs, which outlive a restart, and its clients, which do not."""

    def __init__(
        self, version: Version, *, client_seconds: float = 60.0, work_failures: int = 3, by_itself: bool = True
    ) -> None:
        """``by_itself``: time passes: jobs come into the queue, silent clients are dropped."""
        self.version = version
        self.lock = threading.RLock()
        self.jobs: dict[str, Job] = {}
        self.strange: list[dict[str, Any]] = []
        self.clients: dict[str, Client] = {}
        self.identity = uuid.uuid4().hex
        self.torn: list[str] = []
        """Ids of jobs that were deleted while a worker ran them."""
        self._client_seconds = client_seconds
        self._work_failures = work_failures
        self._by_itself = by_itself

    @property
    def old(self) -> bool:
        return self.version is Version.OLD

    # --- what people ask for

    @locked
    def submit(self, document: dict[str, Any], owner: str) -> Job:
        """Twice the same makes two."""
        command = dict(document["tasks"][0]["cmd"])
        environment = command.get("environ", {})
        info = {**document.get("info", {}), "submittime": time_now()}
        job = Job(
            id=str(uuid.uuid4()),
            number=10001 + len(self.jobs),
            info=info,
            command=command,
            private=environment.get("private", {}),
            owner=owner,
        )
        self.jobs[job.id] = job
        return job

    @locked
    def read(self, job_id: str) -> Job:
        if job_id in self.jobs:
            return self.jobs[job_id]
        why = "" if self.old else " (GetJob) LoadJob failed: (LoadJob) c.Find failed: not found"
        raise AweError(400, f"job not found:{job_id}{why}")

    @locked
    def writable(self, job_id: str, user: str) -> Job:
        """The job, for a PUT of this user."""
        if job_id not in self.jobs:
            if self.old:
                raise AweError(404, "Not Found")
            raise AweError(400, f"job not found: {job_id} Error getting acl field from job_id {job_id}: not found")
        return self._owned(self.jobs[job_id], user)

    def _owned(self, job: Job, user: str) -> Job:
        if user not in (job.owner, ADMIN):
            raise AweError(401, "User Unauthorized")
        return job

    @locked
    def readable(self, job_id: str, user: str) -> Job:
        return self._owned(self.read(job_id), user)

    @locked
    def suspend(self, job: Job) -> None:
        """Also a completed one."""
        self._suspend(job, {"servernotes": "manually suspended"}, "manually suspended")

    def _suspend(self, job: Job, error: dict[str, str], notes: str, state: str = "suspend") -> None:
        if job.state in ACTIVE:
            job.task_state = state
        job.state, job.notes, job.in_queue = state, notes, True
        if job.work_state != "done":
            job.work_state = "suspend"
        empty = dict.fromkeys(("clientfailed", "workfailed", "taskfailed", "servernotes", "worknotes", "apperror"), "")
        job.error = None if self.old else {**empty, **error, "status": state}

    @locked
    def resume(self, job: Job) -> None:
        if job.state != "suspend":
            where = "" if self.old else "(ResumeSuspendedJobByUser) "
            raise AweError(400, f"fail to resume job: {job.id} {where}job {job.id} is not in 'suspend' status")
        job.resumed += 1
        job.error = None
        if job.remaining == 0:  # the zombie: it never leaves this state
            job.state = "in-progress" if self.old else "queued"
            return
        job.state, job.work_state, job.client = "queued", "queued", ""
        job.task_state, job.task_created, job.task_started = "queued", time_now(), time_now()

    @locked
    def delete(self, job_id: str, user: str, *, full: bool) -> None:
        """The record only: what runs runs on."""
        if job_id not in self.jobs:
            why = f"fail to delete job {job_id} (GetJob) LoadJob failed: (LoadJob) c.Find failed: not found"
            raise AweError(404, "Not Found") if self.old else AweError(400, why)
        job = self._owned(self.jobs[job_id], user)
        if full:
            del self.jobs[job_id]
        if any(job.work_id in client.current for client in self.clients.values()):
            self.torn.append(job_id)
        job.state, job.in_queue, job.error, job.work_state = "deleted", False, None, "deleted"
        job.notes = "deleted"

    @locked
    def visible_clients(self) -> list[Client]:
        return list(self.clients.values())

    # --- what happens to the server

    @locked
    def enqueue(self, job: Job) -> None:
        if job.state == "init":
            job.state = job.task_state = "queued"
            job.task_created = job.task_started = time_now()

    @locked
    def restart(self, *, recover: bool) -> None:
        """With recovery, what ran is to be run again; without, all is in the database alone."""
        self.identity = uuid.uuid4().hex
        self.clients.clear()
        for job in self.jobs.values():
            if job.state not in ACTIVE:
                continue
            job.in_queue = recover
            if recover:
                job.work_state, job.task_state, job.client = "queued", "queued", ""
            else:
                job.work_state = "unknown"

    def _pass_time(self) -> None:
        if not self._by_itself:
            return
        now = time.monotonic()
        for job in self.jobs.values():
            if job.state == "init" and (not self.old or _age(job) > _ENQUEUE_SECONDS):
                job.state = job.task_state = "queued"
                job.task_created = job.task_started = time_now()
        for client in list(self.clients.values()):
            if now > client.seen + self._client_seconds:
                self._drop(client.id)

    # --- what workers tell

    @locked
    def register(self, client: Client) -> None:
        client.seen = time.monotonic()
        self.clients[client.id] = client

    @locked
    def drop_client(self, client_id: str) -> None:
        """A client is gone: its work waits for another one, the job's state stays as it is."""
        self._drop(client_id)

    def _drop(self, client_id: str) -> None:
        self.clients.pop(client_id)
        for job in self.jobs.values():
            if job.client == client_id and job.state in ACTIVE and job.work_state == "checkout":
                job.work_state, job.client = "queued", ""

    @locked
    def heartbeat(self, client_id: str, current: list[str]) -> tuple[str, list[str]]:
        """The server's identity, and the work to discard.

        Raises:
            AweError: the client is not known, after a restart for instance.
        """
        client = self._client(client_id)
        client.seen = time.monotonic()
        if not self.old:
            client.current = list(current)
        stopped = {job.work_id for job in self.jobs.values() if job.work_state == "suspend"}
        return self.identity, [work for work in current if work in stopped]

    def _client(self, client_id: str) -> Client:
        if client_id not in self.clients:
            raise AweError(400, "Client not found")
        return self.clients[client_id]

    @locked
    def checkout(self, client_id: str) -> Job | None:
        """The next work for the client."""
        client = self._client(client_id)
        fitting = [
            job
            for job in self.jobs.values()
            if job.in_queue
            and job.work_state == "queued"
            and job.state in ("queued", "in-progress")
            and job.work_id not in client.skipped
            and (not job.groups or client.group in job.groups)
            and ("*" in client.apps or job.command["name"] in client.apps)
        ]
        if client.suspended or not fitting:
            return None
        job = min(fitting, key=lambda job: (-job.info.get("priority", 1), job.info["submittime"]))
        job.state, job.task_state, job.work_state, job.client = "in-progress", "in-progress", "checkout", client.id
        if job.started == UNDEFINED:
            job.started = time_now()
        client.checkouts += self.old
        (client.current if self.old else client.assigned).append(job.work_id)
        return job

    @locked
    def deliver(self, client_id: str, work_id: str, exit_status: str, logs: dict[str, str]) -> None:
        """The end of some work: ``exit_status`` as Go says it, empty for 0.

        Raises:
            AweError: 0.9.68 can't take it for a job that was deleted; its worker tries for ever.
        """
        job = self.jobs.get(work_id.removesuffix("_0_0"))
        client = self._client(client_id)
        if (job is None or job.state == "deleted") and not self.old:
            raise AweError(400, "job perf not found")
        if self.old:
            client.current = [one for one in client.current if one != work_id]
        else:
            client.assigned.clear()
        if job is None or job.client != client_id:
            return
        job.logs = logs
        if job.work_state != "checkout":
            return
        if not exit_status:
            self._complete(job, client)
        else:
            self._fail(job, client, exit_status)

    def _complete(self, job: Job, client: Client) -> None:
        job.state = job.task_state = "completed"
        job.work_state, job.remaining = "done", 0
        job.completed = job.task_completed = client.last_completed = time_now()
        client.completions += 1

    def _fail(self, job: Job, client: Client, exit_status: str) -> None:
        client.failures += 1
        client.skipped.append(job.work_id)
        job.failures += 1
        permanent = not self.old and exit_status == "exit status 42"
        if not permanent and not job.info.get("noretry") and job.failures < self._work_failures:
            job.work_state, job.client = "queued", ""
            return
        job.last_failed = job.work_id
        count = f"failed {job.failures} time(s)"
        error = {
            "clientfailed": client.id,
            "workfailed": job.work_id,
            "taskfailed": job.task_id,
            "servernotes": "exit code 42 encountered" if permanent else f"workunit {count}",
            "worknotes": job.logs.get("worknotes", ""),
            "apperror": job.logs.get("stderr", ""),
        }
        state = "failed-permanent" if permanent else "suspend"
        self._suspend(job, error, f"workunit {job.work_id} {count}.", state)


def _age(job: Job) -> float:
    then = dt.datetime.strptime(job.info["submittime"], "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=dt.UTC)
    return (dt.datetime.now(dt.UTC) - then).total_seconds()
