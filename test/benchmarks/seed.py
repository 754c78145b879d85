"""What the database holds before anything is measured.

One job is led through the engine's own functions to each state that is looked up; the others are copies of these with
ids and times of their own, so that they have the shape of real ones, whatever that is.
"""

import datetime as dt
import json
import secrets
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

from bson import ObjectId

from execution_engine.core import transitions
from execution_engine.core.clock import now, to_ms
from execution_engine.core.errors import WorkspaceUnavailable
from execution_engine.core.ids import attempt_tag, hash_secret, new_ticket
from execution_engine.jobs import attempts, finish, submission
from execution_engine.jobs.engine import Engine
from execution_engine.jobs.holds import DISPATCH_LEASE
from execution_engine.jobs.identity import User, identify
from execution_engine.kbase.http import HttpService
from execution_engine.kbase.jsonrpc import JsonRpc
from execution_engine.store.database import Document
from execution_engine.store.log_chunks import Line, to_chunks
from execution_engine.store.payloads import output_key

METHOD = "bench_tools.say"
LINES = 1_000  # of a log call, and of a chunk
LEASE_SECONDS = 3600.0
_AT_ONCE = 5_000
_OUTPUT = [{"report_name": "bench", "contigs": 120, "n50": 38_211, "gc": 0.4766, "lengths": list(range(9600, 9640))}]


def job_params(wsid: int | None = None) -> Document:
    """What run_job is sent: about what a narrative sends, 700 bytes."""
    options = {f"option_{n}": value for n, value in enumerate([True, 31, 0.05, "meta-sensitive", None, [21, 33, 55]])}
    given = {
        "workspace_name": "alice:narrative_1700000000000",
        "input_reads": ["4711/12/3", "4711/13/1"],
        "output_contigset_name": "assembled_contigs_of_the_benchmark",
        "description": "an assembly with the options that the narrative shows first " * 3,
        **options,
    }
    asked: Document = {"method": METHOD, "params": [given], "app_id": "bench_tools/say"}
    return asked if wsid is None else asked | {"wsid": wsid}


def log_lines(count: int = LINES) -> list[str]:
    """Lines of 100 characters, as programs write them: alike, but not the same."""
    stamp = dt.datetime(2024, 5, 1, 12, tzinfo=dt.UTC)
    return [
        f"{stamp + dt.timedelta(milliseconds=37 * n):%H:%M:%S.%f} INFO  [assembler] read {n:8d} "
        f"placed on contig {secrets.token_hex(4)} at {secrets.randbelow(10**7):8d}, ok"[:100].ljust(100, ".")
        for n in range(count)
    ]


@dataclass(frozen=True)
class Runner:
    """A running job and what its runner was given."""

    job_id: ObjectId
    credential: str


class Seeder:
    """Fills one engine's database for one user."""

    def __init__(self, engine: Engine, token: str) -> None:
        self.engine = engine
        self.user: User = identify(engine, token)

    def new_workspace(self, **permissions: str) -> int:
        """A workspace of the user; ``permissions`` by user, as in ``bob="r"``."""
        service = HttpService("Workspace", self.engine.settings.workspace_url, WorkspaceUnavailable)
        workspace = JsonRpc(service, "Workspace")
        name = f"{self.user.name}:bench{secrets.token_hex(4)}"
        wsid = int(workspace.call("create_workspace", [{"workspace": name}], self.user.token)[0])
        for user, permission in permissions.items():
            grant = {"id": wsid, "users": [user], "new_permission": permission}
            workspace.call("set_permissions", [grant], self.user.token)
        return wsid

    def waiting(self, wsid: int | None = None) -> ObjectId:
        """A submitted job."""
        return submission.run_job(self.engine, self.user, job_params(wsid))

    def running(self, wsid: int | None = None) -> Runner:
        """A job whose runner has begun."""
        job_id, ticket = self.waiting(wsid), new_ticket()
        tag, apply = attempt_tag(job_id, 1), self.engine.jobs.apply
        hashed, at = hash_secret(ticket), now()
        apply(job_id, transitions.claim(at, attempt=1, tag=tag, ticket_hash=hashed, claim_id="bench", backend="local"))
        apply(job_id, transitions.submitted(at, attempt=1, backend_id=tag))
        began = {"job_id": str(job_id), "attempt": 1, "runner": secrets.token_hex(16), "host": "worker"}
        credential = attempts.start_job(self.engine, ticket, began)["credential"]
        self.engine.heartbeats.beat(job_id, 1, now(), {"percent": 40.0, "message": "half of the reads are placed"})
        return Runner(job_id, credential)

    def ended(self, wsid: int | None = None) -> ObjectId:
        """A job that completed."""
        runner = self.running(wsid)
        report = {"job_id": str(runner.job_id), "attempt": 1, "outcome": "completed", "output": _OUTPUT}
        finish.finish_job(self.engine, runner.credential, report)
        return runner.job_id

    def copies(self, job_id: ObjectId, count: int) -> list[ObjectId]:
        """Copies of a job, a second apart, the youngest as old as the job; with their payloads and signs of life."""
        database = self.engine.database
        job = self.engine.jobs.get(job_id) or {}
        fresh = [ObjectId() for _ in range(count)]
        put(database.jobs, (_copy(job, new, count - n) for n, new in enumerate(fresh)))
        put(database.job_io, self._payload_copies(job, fresh))
        if beat := database.heartbeats.find_one({"_id": job_id}):
            put(database.heartbeats, (beat | {"_id": new} for new in fresh))
        return fresh

    def _payload_copies(self, job: Document, fresh: list[ObjectId]) -> Iterator[Document]:
        database = self.engine.database
        for old in database.job_io.find({"_id": {"$regex": f"^{job['_id']}"}}).sort("_id", 1).limit(10):
            end = str(old["_id"])[24:]
            yield from (old | {"_id": f"{new}{end}"} for new in fresh)

    def first_page(self) -> None:
        """A page of jobs that are younger than all others, as a user has them who works right now."""
        for _ in range(10):
            self.ended()
            self.ended()
            self.running()
            self.running()
            self.waiting()

    def log(self, job_id: ObjectId, count: int, lines: list[str]) -> None:
        """Give the job a log of ``count`` lines, chunk by chunk the same ``lines``."""
        held = [Line(line, "stdout", to_ms(now())) for line in lines]
        chunk = next(to_chunks(job_id, 1, 0, held))
        put(
            self.engine.database.job_logs,
            (chunk | {"_id": ObjectId(), "first": first} for first in range(0, count, len(lines))),
            at_once=500,
        )

    def pretend_dispatcher(self) -> None:
        """A dispatcher's lease and its report, so that waiting jobs are explained as on a running engine."""
        self.engine.leases.acquire(DISPATCH_LEASE, "bench", LEASE_SECONDS)
        self.engine.backends.report("local", now(), "up", None, {}, "")


def _copy(job: Document, new: ObjectId, age: int) -> Document:
    before = dt.timedelta(seconds=age)
    times = {name: value - before for name, value in job.items() if isinstance(value, dt.datetime)}
    copy = job | times | {"_id": new}
    if "output" in job:
        _, _, attempt, digest = job["output"]["key"].split(".")
        copy["output"] = job["output"] | {"key": output_key(new, int(attempt), digest)}
    return copy


def put(collection: Any, documents: Iterable[Document], at_once: int = _AT_ONCE) -> None:
    """Insert many."""
    rest = iter(documents)
    while some := list(islice(rest, at_once)):
        collection.insert_many(some, ordered=False)


def chunk_text(lines: list[str]) -> str:
    """The lines as a chunk holds them."""
    return "\n".join(lines)


def lines_json(lines: list[str]) -> bytes:
    """The lines as a runner sends them."""
    at = to_ms(now())
    sent = [{"line": line, "stream": "stdout", "ts": at + 3 * n} for n, line in enumerate(lines)]
    return json.dumps(sent, separators=(",", ":")).encode()
