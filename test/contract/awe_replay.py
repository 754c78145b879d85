"""The recorded exchanges of the real AWE, told to the simulator one by one, with what happened in between."""

import json
import re
import uuid
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from test.awe_simulator.model import UNDEFINED, Client, Job, Version
from test.awe_simulator.server import AweServer, Conversation, simulate
from test.awe_simulator.worker import worker_notes

RECORDINGS = Path(__file__).parent.parent / "exchanges" / "awe.json"

# What is not replayed, and why. Everything else is.
LEFT_OUT = {
    "places in the queue are counted by the backend itself, since AWE's own answer counts groups with similar names": (
        "queue_position_queued",
        "queue_position_in_progress",
        "queue_position_completed_error",
        "queue_position_1",
        "queue_position_2",
        "queue_position_2_after_priority",
        "queue_position_suspended_error",
        "error_unknown_job_position",
        "auth_position_as_bob",
    ),
    "work units are never read themselves; the list of workers says who has them": (
        "get_work_in_progress",
        "get_work_suspended",
        "get_work_after_completion",
        "list_work_checkout",
        "error_work_unknown",
        "leak_bob_reads_alice_work",
    ),
    "the sum of all queues says nothing about a job": (
        "queue_text",
        "queue_json",
        "auth_queue_nobody",
        "auth_queue_clientgroup_nobody",
        "auth_queue_suspend_alice",
        "auth_queue_suspend_admin",
        "auth_queue_text_suspended",
        "auth_queue_resume_admin",
    ),
    "statistics and reports of ended jobs are not read": ("job_perf", "job_report", "failed_job_report"),
    "these forms of lists are not asked for": ("query_minimal", "query_distinct_user"),
    "a list of groups has the token of each group's workers in it, so it is not asked for": (
        "cgroup_create",
        "cgroup_list",
    ),
    "jobs are shared by the engine, not in AWE": (
        "auth_acl_get_alice",
        "auth_acl_get_bob",
        "auth_acl_share_read_bob",
        "auth_get_job_as_bob_after_share",
    ),
}

_TIME = re.compile(r"\d{4}-\d\d-\d\d[T ][\d:.]+(Z|\+00:00| \+0000 UTC( m=\+[\d.]+)?)")
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_ANY = {"jid", "computetime", "idle_time", "serve_time", "uptime", "total_checkout", "total_completed", "total_failed"}
_WORKER = re.compile(r"^worker(_\w+)?$")


@cache
def exchanges(version: str) -> list[dict[str, Any]]:
    """In the order in which they happened; ``name`` without the version."""
    found = [one for one in json.loads(RECORDINGS.read_text()) if one["name"].startswith(f"{version}/")]
    return [{**one, "name": one["name"].removeprefix(f"{version}/")} for one in found]


def left_out() -> set[str]:
    return {name for names in LEFT_OUT.values() for name in names}


class Replay:
    """Two servers of a version, one that does without accounts and one that does not, and a worker of each."""

    def __init__(self, version: Version) -> None:
        self.version = version
        self._servers = {
            yes: simulate(version, anonymous=yes, work_failures=1, by_itself=False) for yes in (True, False)
        }
        self._workers: dict[bool, Client] = {}
        self._ids: dict[str, str] = {}
        self._last: Job | None = None
        for server in self._servers.values():
            self._new_worker(server)

    def end(self) -> None:
        for server in self._servers.values():
            server.stop()

    def tell(self, exchange: dict[str, Any]) -> tuple[Any, Any]:
        """What was answered and what is answered now, in a form that can be compared."""
        server = self._servers[exchange["anonymous"]]
        if happened := HAPPENED_BEFORE.get(exchange["name"]):
            happened(self, server)
        request, recorded = exchange["request"], exchange["response"]
        headers = request["headers"]
        conversation = Conversation(server, headers.get("Authorization"), headers.get("Content-Type", ""))
        body = (request["body"] or "").replace("\r\n", "\n").encode()
        status, document, told = conversation.answer(request["method"], self._translated(request["path"]), body)
        self._learn(server, recorded["body"], document)
        answer = {"status": status, "headers": {"Content-Type": "application/json", **told}, "body": document}
        is_output = "report=stdout" in request["path"] and status == 200
        return tuple(self._comparable(one, is_output=is_output) for one in (recorded, answer))  # type: ignore[return-value]

    def _translated(self, text: str) -> str:
        return _UUID.sub(lambda match: self._ids.get(match[0], match[0]), text)

    def _learn(self, server: AweServer, recorded: Any, answered: Any) -> None:
        """Which id here stands for which one there."""
        there, here = recorded.get("data"), answered.get("data")
        pairs = (
            zip(there, here, strict=False) if isinstance(there, list) and isinstance(here, list) else [(there, here)]
        )
        for one, other in pairs:
            if isinstance(one, dict) and isinstance(other, dict) and "id" in one and "id" in other:
                self._ids.setdefault(one["id"], other["id"])
                self._last = server.state.jobs.get(other["id"], self._last)

    def _comparable(self, answer: dict[str, Any], *, is_output: bool) -> Any:
        headers = {name: value for name, value in answer["headers"].items() if name != "Privateenv"}
        private = json.loads(answer["headers"].get("Privateenv", "null"))
        body = self._plain(answer["body"], "")
        if is_output:
            body["data"] = "<output>"
        if isinstance(body.get("data"), list) and len(body["data"]) == body.get("limit"):
            body["total_count"] = "<more>"  # there were other jobs before the recording began
        return {"status": answer["status"], "headers": headers, "private": private, "body": body}

    def _plain(self, value: Any, key: str) -> Any:
        if isinstance(value, dict):
            return {self._plain(name, ""): self._plain(one, name) for name, one in value.items()}
        if isinstance(value, list):
            return [self._plain(one, key) for one in value]
        if key in _ANY:
            return f"<{key}>"
        return self._plain_text(value, key) if isinstance(value, str) else value

    def _plain_text(self, text: str, key: str) -> str:
        if key == "name" and _WORKER.match(text):
            return "<worker>"
        timeless = text if text == UNDEFINED else _TIME.sub("<time>", text)
        return _UUID.sub("<id>", self._translated(timeless))

    # --- what happened between the exchanges

    def _new_worker(self, server: AweServer) -> None:
        server.state.clients.clear()
        worker = self._workers[server.anonymous] = Client(str(uuid.uuid4()), "worker", "kbase", 2, ["*"])
        if server.anonymous and self.version is Version.LAST and not server.state.jobs:
            worker.last_completed = "2026-11-22T17:54:51.54117685Z"
        server.state.register(worker)

    def enqueue(self, server: AweServer) -> None:
        for job in server.state.jobs.values():
            server.state.enqueue(job)

    def enqueue_in_last(self, server: AweServer) -> None:
        if self.version is Version.LAST:
            self.enqueue(server)

    def begin(self, server: AweServer) -> None:
        """The worker gets the youngest job; that it has others is none of the server's business."""
        self.enqueue(server)
        waiting = [job for job in server.state.jobs.values() if job.work_state == "queued" and job is not self._last]
        for job in waiting:
            job.work_state = "aside"
        server.state.checkout(self._workers[server.anonymous].id)
        for job in waiting:
            job.work_state = "queued"

    def end_with(self, server: AweServer, ended: str = "", output: str = "to stderr\n") -> None:
        assert self._last is not None
        logs = {} if ended.startswith("exec: ") else {"stdout": "", "stderr": output}
        if ended:
            command = self._last.command["name"]
            logs["worknotes"] = worker_notes(old=self.version is Version.OLD, command=command, ended=ended)
        client = self._workers[server.anonymous].id
        server.state.deliver(client, self._last.work_id, ended, logs)

    def run(self, server: AweServer, ended: str = "") -> None:
        self.begin(server)
        self.end_with(server, ended)

    def worker_is_killed(self, server: AweServer) -> None:
        self.begin(server)
        server.state.drop_client(self._workers[server.anonymous].id)

    def another_worker_runs_it(self, server: AweServer) -> None:
        self._new_worker(server)
        self.begin(server)

    def worker_drops_it(self, server: AweServer) -> None:
        if self.version is Version.OLD:
            self.end_with(server, "signal: killed")

    def restarted(self, server: AweServer) -> None:
        self.enqueue(server)
        server.state.restart(recover=True)
        if self.version is Version.LAST:
            self._last = next(job for job in server.state.jobs.values() if job.state == "in-progress")
            self.another_worker_runs_it(server)


Happening = Callable[[Replay, AweServer], None]


def _ran(ended: str) -> Happening:
    return lambda replay, server: replay.run(server, ended)


HAPPENED_BEFORE: dict[str, Happening] = {
    "get_job_queued": Replay.enqueue_in_last,
    "get_job_in_progress": Replay.begin,
    "get_job_completed": Replay.end_with,
    "get_job_queued_forever": Replay.enqueue,
    "get_job_after_clientgroup_done": Replay.run,
    "delete_job_in_progress": Replay.begin,
    "auth_get_job_as_alice": Replay.enqueue,
    "submit_failing_job": Replay._new_worker,
    "get_job_failed_exit7": _ran("exit status 7"),
    "get_job_failed_noretry": _ran("exit status 7"),
    "get_job_command_missing": _ran('exec: "no_such_command": executable file not found in $PATH'),
    "get_job_failed_exit42": _ran("exit status 42"),
    "put_suspend_after_completion": Replay.run,
    "put_suspend_in_progress": Replay.begin,
    "get_job_suspended_after_kill": Replay.worker_drops_it,
    "get_next_job_after_cancel": Replay.run,
    "crash_submit": Replay._new_worker,
    "job_after_worker_killed": Replay.worker_is_killed,
    "job_rerun_on_new_worker": Replay.another_worker_runs_it,
    "running_job_after_server_restart": Replay.restarted,
    "leak_submit_alice": Replay._new_worker,
    "leak_bob_lists_clients": Replay.begin,
    "auth_stdout_as_bob": Replay.end_with,
}
