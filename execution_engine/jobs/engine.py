"""Everything that the rules work with, put together once per process."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from bson import ObjectId
from pymongo.database import Database

from execution_engine.config import Settings
from execution_engine.jobs.limit_reader import LimitReader
from execution_engine.jobs.outlook import OutlookReader
from execution_engine.jobs.queue.look import QueueReader
from execution_engine.jobs.routing import RoutingReader
from execution_engine.kbase.auth import Auth
from execution_engine.kbase.cached import CheckedTokens, KnownModules, KnownPermissions
from execution_engine.kbase.catalog import Catalog
from execution_engine.kbase.workspace import Workspace
from execution_engine.store.audit import AuditStore
from execution_engine.store.backends import BackendStore
from execution_engine.store.coalesce import Coalescer
from execution_engine.store.database import Document
from execution_engine.store.heartbeats import HeartbeatStore
from execution_engine.store.job_lists import JobLists
from execution_engine.store.jobs import JobStore
from execution_engine.store.leases import LeaseStore
from execution_engine.store.limits import LimitStore
from execution_engine.store.logs import LogStore
from execution_engine.store.payloads import PayloadStore
from execution_engine.store.queues import QueueStore
from execution_engine.store.recent import RecentStore
from execution_engine.store.routes import RouteStore
from execution_engine.store.slots import SlotStore
from execution_engine.store.tokens import TokenCipher


@dataclass(frozen=True)
class Engine:
    """Settings, stores and services. ``read_job`` and ``read_payload`` answer concurrent look-ups together."""

    settings: Settings
    database: Database[Document]
    cipher: TokenCipher
    jobs: JobStore
    lists: JobLists
    recent: RecentStore
    payloads: PayloadStore
    logs: LogStore
    heartbeats: HeartbeatStore
    backends: BackendStore
    routes: RouteStore
    leases: LeaseStore
    audit: AuditStore
    tokens: CheckedTokens
    permissions: KnownPermissions
    modules: KnownModules
    workspace: Workspace
    read_job: Coalescer[ObjectId, Document]
    read_payload: Coalescer[str, Any]

    @cached_property
    def limits(self) -> LimitStore:
        """What is limited."""
        return LimitStore(self.database)

    @cached_property
    def limit_reader(self) -> LimitReader:
        """Tells what is limited, and how much of it is in use."""
        return LimitReader(self.limits, self.jobs)

    @cached_property
    def slots(self) -> SlotStore:
        """Who has which places under limits."""
        return SlotStore(self.database)

    @cached_property
    def outlook(self) -> OutlookReader:
        """Tells what waiting jobs can hope for."""
        return OutlookReader(self.backends, self.leases)

    @cached_property
    def queues(self) -> QueueReader:
        """Tells what waits in client groups."""
        return QueueReader(QueueStore(self.database), self.jobs, self.backends, self.limit_reader)

    @cached_property
    def routing(self) -> RoutingReader:
        """Tells which backends jobs go to."""
        return RoutingReader(self.settings, self.routes)


def build_engine(settings: Settings, database: Database[Document], cipher: TokenCipher) -> Engine:
    """The engine of this process; opens no connection by itself."""
    timeout, denial = settings.http_timeout_seconds, settings.denial_cache_seconds
    workspace = Workspace(settings.workspace_url, timeout)
    jobs = JobStore(database)
    payloads = PayloadStore(database)
    return Engine(
        settings=settings,
        database=database,
        cipher=cipher,
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
        tokens=CheckedTokens(
            Auth(settings.auth_url, timeout), token_seconds=settings.token_cache_seconds, denial_seconds=denial
        ),
        permissions=KnownPermissions(
            workspace, permission_seconds=settings.permission_cache_seconds, denial_seconds=denial
        ),
        modules=KnownModules(
            Catalog(settings.catalog_url, timeout), seconds=settings.catalog_cache_seconds, denial_seconds=denial
        ),
        workspace=workspace,
        read_job=Coalescer(jobs.get_many),
        read_payload=Coalescer(payloads.get_many),
    )
