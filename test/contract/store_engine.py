"""A whole engine over a given database without any network: KBase is what a test says it is."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import mongomock
from bson import ObjectId
from pymongo.database import Database
from store_exceptions import ImitatedJobStore

from execution_engine.config import BackendSettings, ClientGroupSettings, Settings
from execution_engine.core import transitions
from execution_engine.core.clock import now
from execution_engine.core.errors import (
    AppNotFound,
    AuthUnavailable,
    CatalogUnavailable,
    TokenInvalid,
    WorkspaceUnavailable,
)
from execution_engine.core.ids import attempt_tag, hash_secret, new_ticket
from execution_engine.jobs.attempts import start_job
from execution_engine.jobs.engine import Engine
from execution_engine.jobs.finish import finish_job
from execution_engine.jobs.identity import Admin, User
from execution_engine.jobs.submission import run_job
from execution_engine.kbase.auth import Account
from execution_engine.kbase.modules import CommandApp, CommandFunction, ModuleVersion
from execution_engine.kbase.objects import ObjectInfo
from execution_engine.kbase.permissions import Permission, WorkspaceAccess
from execution_engine.kbase.placement import Placement, read_placement
from execution_engine.store.audit import AuditStore
from execution_engine.store.backends import BackendStore
from execution_engine.store.coalesce import Coalescer
from execution_engine.store.heartbeats import HeartbeatStore
from execution_engine.store.job_lists import JobLists
from execution_engine.store.jobs import JobStore
from execution_engine.store.leases import LeaseStore
from execution_engine.store.logs import LogStore
from execution_engine.store.payloads import PayloadStore
from execution_engine.store.recent import RecentStore
from execution_engine.store.routes import RouteStore
from execution_engine.store.tokens import TokenCipher

KEY = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="
COMMIT = "c0ffee" * 6 + "c0de"
METHOD = "sequence_tools.count_kmers"
RUNNER = "runner-000000000001"


def module(name: str, app: CommandApp | None, image: str = "") -> ModuleVersion:
    return ModuleVersion(name, COMMIT, "1.0.0", image, ("release",), (), app)


COMMANDS = {
    "count_kmers": CommandFunction(("python3", "kmers.py"), needs_token=True, requirements={"cpus": 2}),
    "quiet": CommandFunction(("python3", "quiet.py"), needs_token=False, requirements={}),
}


@dataclass
class KBase:
    """Auth2, Workspace and Catalog as tables.

    workspaces: letters (n, r, w, a) by workspace and user. nobody: names without an account.
    groups: the Catalog's client groups by method.
    down: services out of reach, of auth, workspace, catalog.
    asked: the Workspace's calls so far. owners_of: modules.
    """

    roles: dict[str, set[str]] = field(default_factory=dict)
    workspaces: dict[int, dict[str, str]] = field(default_factory=dict)
    public: set[int] = field(default_factory=set)
    unreadable: set[str] = field(default_factory=set)
    nobody: set[str] = field(default_factory=lambda: {"nobody"})
    down: set[str] = field(default_factory=set)
    asked: list[str] = field(default_factory=list)
    groups: dict[str, list[str]] = field(default_factory=dict)
    owners_of: dict[str, tuple[str, ...]] = field(default_factory=dict)
    modules: dict[str, ModuleVersion] = field(
        default_factory=lambda: {
            "sequence_tools": module("sequence_tools", CommandApp("/apps/sequence_tools", COMMANDS)),
            "kb_container": module("kb_container", None, "dockerhub/kb_container:1"),
        }
    )

    def account(self, token: str) -> Account:
        if "auth" in self.down:
            raise AuthUnavailable
        if not token.endswith("-token"):
            raise TokenInvalid
        name = token.removesuffix("-token")
        return Account(name, name.title(), frozenset(self.roles.get(name, set())))

    def users(self, token: str, names: Iterable[str]) -> dict[str, str]:
        assert token.endswith("-token")
        if "auth" in self.down:
            raise AuthUnavailable
        return {name: name.title() for name in names if name not in self.nobody}

    def permissions(
        self, user: str, wsids: Iterable[int], token: str, needed: Permission = Permission.READ
    ) -> dict[int, WorkspaceAccess]:
        assert token == f"{user}-token"
        assert needed > Permission.NONE
        self._workspace("permissions")
        return {wsid: self._access(user, wsid) for wsid in wsids}

    def _access(self, user: str, wsid: int) -> WorkspaceAccess:
        letter = self.workspaces.get(wsid, {}).get(user, "n")
        return WorkspaceAccess(Permission.from_letter(letter), wsid in self.public, wsid not in self.workspaces)

    def readable_workspaces(self, token: str) -> list[int]:
        user = token.removesuffix("-token")
        self._workspace("readable_workspaces")
        return sorted(wsid for wsid, users in self.workspaces.items() if users.get(user, "n") != "n")

    def owners(self, module: str) -> tuple[str, ...]:
        if "catalog" in self.down:
            raise CatalogUnavailable
        if module.lower() not in self.modules:
            raise AppNotFound(f"The Catalog has no module {module}.")
        return self.owners_of.get(module.lower(), ())

    def module_version(self, name: str, version: str | None = None) -> ModuleVersion:
        if "catalog" in self.down:
            raise CatalogUnavailable
        known = self.modules.get(name.lower())  # the Catalog takes it in any case
        if known is None or version not in (None, "release", COMMIT):
            raise AppNotFound(f"The Catalog has no version {version} of the module {name}.")
        return known

    def placement(self, module: str, function: str) -> Placement:
        if "catalog" in self.down:
            raise CatalogUnavailable
        return read_placement(self.groups.get(f"{module}.{function}", []), f"{module}.{function}")

    def unreadable_objects(self, refs: list[str], token: str) -> list[str]:
        assert token.endswith("-token")
        self._workspace("unreadable_objects")
        return [ref for ref in refs if ref in self.unreadable]

    def object_infos(self, refs: list[str], token: str) -> list[ObjectInfo | None]:
        gone = self.unreadable_objects(refs, token)
        return [None if ref in gone else ObjectInfo(ref, "report", "KBaseReport.Report-3.0", 10**9) for ref in refs]

    def _workspace(self, call: str) -> None:
        if "workspace" in self.down:
            raise WorkspaceUnavailable
        self.asked.append(call)


def settings(**changes: Any) -> Settings:
    """The defaults, with a backend, two client groups, and the changes."""
    groups = {name: ClientGroupSettings(name, ("local",)) for name in ("local", "bigmem")}
    table = {"backends": {"local": BackendSettings("local", "local", {})}, "client_groups": groups}
    return Settings(**(table | changes))


def make_engine(database: Database[Any], kbase: KBase, **changes: Any) -> Engine:
    """The engine; ``changes`` of its settings."""
    services: Any = kbase
    jobs = (ImitatedJobStore if isinstance(database, mongomock.Database) else JobStore)(database)
    payloads = PayloadStore(database)
    return Engine(
        settings=settings(**changes),
        database=database,
        cipher=TokenCipher([KEY]),
        jobs=jobs,
        lists=JobLists(database),
        recent=RecentStore(database),
        payloads=payloads,
        logs=LogStore(database),
        heartbeats=HeartbeatStore(database),
        backends=BackendStore(database),
        routes=RouteStore(database),
        leases=LeaseStore(database),
        audit=AuditStore(database),
        tokens=services,
        permissions=services,
        modules=services,
        workspace=services,
        read_job=Coalescer(jobs.get_many),
        read_payload=Coalescer(payloads.get_many),
    )


def person(name: str, admin: Admin = Admin.NONE) -> User:
    """A checked user."""
    return User(name, (), admin, f"{name}-token")


def submit(engine: Engine, name: str = "alice", **params: Any) -> ObjectId:
    """A job of the user ``name``, waiting."""
    return run_job(engine, person(name), {"method": METHOD, "params": [{"k": 21}]} | params)


def claim(engine: Engine, job_id: ObjectId, backend: str = "local", time_limit_s: int | None = None) -> tuple[int, str]:
    """As the dispatcher does before it calls a backend; attempt and start ticket."""
    attempt = record(engine, job_id)["attempt"]["n"] + 1
    ticket = new_ticket()
    taken = transitions.claim(
        now(),
        attempt=attempt,
        tag=attempt_tag(job_id, attempt),
        ticket_hash=hash_secret(ticket),
        claim_id="claim",
        backend=backend,
        time_limit_s=time_limit_s,
    )
    assert engine.jobs.apply(job_id, taken)
    return attempt, ticket


def hand_out(engine: Engine, job_id: ObjectId, backend: str = "local", time_limit_s: int | None = None) -> str:
    """Claimed, and taken by the backend under the tag as its id; the start ticket."""
    attempt, ticket = claim(engine, job_id, backend, time_limit_s)
    queued = transitions.submitted(now(), attempt=attempt, backend_id=attempt_tag(job_id, attempt))
    assert engine.jobs.apply(job_id, queued)
    return ticket


def begin(engine: Engine, job_id: ObjectId, ticket: str, runner: str = RUNNER, attempt: int = 1) -> dict[str, Any]:
    """start_job, as a runner calls it."""
    return start_job(engine, ticket, {"job_id": str(job_id), "attempt": attempt, "runner": runner, "host": "node7"})


def running(engine: Engine, name: str = "alice", **params: Any) -> tuple[ObjectId, str]:
    """A job that runs, and its runner's credential."""
    job_id = submit(engine, name, **params)
    return job_id, begin(engine, job_id, hand_out(engine, job_id))["credential"]


def finish(engine: Engine, job_id: ObjectId, credential: str, outcome: str = "completed", **more: Any) -> Any:
    """finish_job, as a runner calls it."""
    report = {"job_id": str(job_id), "attempt": 1, "outcome": outcome}
    if outcome == "completed":
        report["output"] = [{"answer": 42}]
    return finish_job(engine, credential, report | more)


def record(engine: Engine, job_id: ObjectId) -> dict[str, Any]:
    """The job's record, which must be there."""
    job = engine.jobs.get(job_id)
    assert job is not None
    return job
