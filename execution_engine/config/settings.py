"""Every setting of the engine, with its type, default and meaning: one table.

The parser of deploy.cfg, the settings reference and the examples are made from it. A setting's key in deploy.cfg is
its name with dashes, in the section ``[execution_engine]``.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

AMOUNTS = ("cpus", "memory_mb", "disk_gb")
"""What a job can ask for: whole cores, MiB, GiB."""


def setting(default: Any, doc: str, example: str | None = None) -> Any:
    """A field of :class:`Settings` with the text that the reference prints; ``example`` as written in deploy.cfg."""
    metadata = {"doc": doc, "example": example}
    if isinstance(default, (list, dict)):
        return field(default_factory=lambda: type(default)(default), metadata=metadata)
    return field(default=default, metadata=metadata)


@dataclass(frozen=True, slots=True)
class BackendSettings:
    """One ``[backend:NAME]`` section: its kind, and the kind's own options as written."""

    name: str
    kind: str
    options: dict[str, str]


@dataclass(frozen=True, slots=True)
class ClientGroupSettings:
    """One ``[client_group:NAME]`` section.

    ``backends`` serve the group, best first. ``open_to``: who may choose the group for a job: ``*``, names of users,
    ``role:NAME``. ``defaults``, ``most``: what a job of the group asks for that does not say, and at most; some of
    AMOUNTS each.
    """

    name: str
    backends: tuple[str, ...]
    feed_ahead: int | None = None
    open_to: tuple[str, ...] = ("*",)
    defaults: Mapping[str, int] = field(default_factory=dict)
    most: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Settings:
    """What deploy.cfg says, complete and checked. Sizes are bytes, times are seconds unless the name says otherwise."""

    host: str = setting("127.0.0.1", "Address that the web server listens on.", "0.0.0.0")  # noqa: S104  an example
    port: int = setting(5000, "Port of the web server.")
    web_workers: int = setting(
        2, "Web server processes. One per core: each holds one core at most, because of Python's lock."
    )
    web_threads: int = setting(
        16, "Threads per process. More than run at once, since most of a call is waiting for the database."
    )
    data_dir: str = setting("data", "Folder for everything that the engine keeps outside the database.")
    log_level: str = setting("INFO", "Least important log records written: DEBUG, INFO, WARNING, ERROR.")

    mongo_url: str = setting(
        "mongodb://127.0.0.1:27017/?replicaSet=rs0", "The MongoDB, a replica set (one member is enough)."
    )
    mongo_database: str = setting("execution_engine", "Name of the engine's database.")

    external_url: str = setting(
        "http://127.0.0.1:5000/services/ee", "The engine as browsers and other clients reach it."
    )
    worker_url: str = setting("http://127.0.0.1:5000/services/ee", "The engine as runners on the workers reach it.")
    auth_url: str = setting("http://127.0.0.1:5000/services/auth", "KBase Auth2.", "https://kbase.us/services/auth")
    workspace_url: str = setting(
        "http://127.0.0.1:5000/services/ws", "KBase Workspace.", "https://kbase.us/services/ws"
    )
    catalog_url: str = setting(
        "http://127.0.0.1:5000/services/catalog", "KBase Catalog.", "https://kbase.us/services/catalog"
    )
    service_token_file: str = setting(
        "", "File with the engine's own KBase token (for the Catalog's run statistics). Empty: none are sent."
    )
    embedded_services: bool = setting(
        False, "Serve small Auth2, Workspace and Catalog beside the engine, for one machine without KBase."
    )
    token_key_file: str = setting(
        "",
        "File with the key that encrypts users' tokens (one Fernet key a line, the first encrypts). "
        "Empty: the environment variable EE_TOKEN_KEY has it.",
    )
    admin_roles: list[str] = setting(["EE_ADMIN", "EE2_ADMIN"], "Auth2 custom roles of full administrators.")
    admin_read_roles: list[str] = setting(
        ["EE_ADMIN_RO", "EE2_ADMIN_RO"], "Auth2 custom roles of administrators who may only look."
    )
    cancel_needs: str = setting("write", "Permission on the workspace that cancels its jobs: write or admin.")
    public_shows_record: bool = setting(True, "Whether jobs of public workspaces show record and status to everybody.")

    token_cache_seconds: float = setting(60.0, "How long a checked token is believed.")
    permission_cache_seconds: float = setting(30.0, "How long a workspace permission is believed.")
    denial_cache_seconds: float = setting(3.0, "How long a refusal is believed.")
    catalog_cache_seconds: float = setting(10.0, "How long a module version is believed.")
    http_timeout_seconds: float = setting(10.0, "How long Auth2, Workspace and Catalog may take to answer.")

    max_body_bytes: int = setting(4 * 1024 * 1024, "Largest request.")
    max_large_body_bytes: int = setting(32 * 1024 * 1024, "Largest request of run_jobs, finish_job and add_job_logs.")
    request_deadline_seconds: float = setting(10.0, "How long a request may take to arrive.")
    max_params_bytes: int = setting(1024 * 1024, "Largest parameters of one job, as JSON.")
    max_output_bytes: int = setting(15_000_000, "Largest output of one job, as JSON.")
    max_line_chars: int = setting(10_000, "Longest log line in characters; the rest is cut off.")
    max_batch_jobs: int = setting(10_000, "Most jobs in one batch, at most 10,000.")

    max_heavy_calls: int = setting(
        4,
        "Most heavy calls of one kind (lists, hundreds of jobs or thousands of log lines at once) that a user may have "
        "under way in one web process.",
    )

    default_client_group: str = setting("local", "Client group of jobs that name none.")
    default_cpus: int = setting(1, "Cores of a job that does not say.")
    default_memory_mb: int = setting(512, "Memory (MiB) of a job that does not say.")
    default_disk_gb: int = setting(1, "Disk (GiB) of a job that does not say.")

    dispatch_interval_ms: int = setting(100, "How often (milliseconds) the dispatcher looks for new jobs.")
    reconcile_interval_ms: int = setting(1000, "How often (milliseconds) the dispatcher asks the backends.")
    lease_seconds: float = setting(10.0, "How long a dispatcher that died keeps the others waiting.")
    submit_timeout_seconds: float = setting(30.0, "How long handing jobs to a backend may take.")
    max_start_attempts: int = setting(
        3,
        "Most attempts of a job that may be lost, before they began or to a machine or a batch system that failed or "
        "took them away; then the job fails. An app's own failure is never tried again.",
    )
    held_seconds: float = setting(
        600.0, "How long a backend may hold a job, waiting for somebody to help, before the engine gives that up."
    )
    heartbeat_seconds: float = setting(5.0, "How often runners give a sign of life.")
    heartbeat_write_seconds: float = setting(15.0, "How often a sign of life is written down, at most.")
    silent_after_seconds: float = setting(
        120.0, "After how long without a sign of life a job is shown as out of contact."
    )
    credential_grace_seconds: float = setting(3600.0, "How long after a job's end its runner may deliver late lines.")

    audit_keep_days: int = setting(0, "How many days entries of the audit are kept. 0: for ever.", "730")

    backends: dict[str, BackendSettings] = setting({}, "The ``[backend:NAME]`` sections.")
    client_groups: dict[str, ClientGroupSettings] = setting({}, "The ``[client_group:NAME]`` sections.")


def default_amounts(settings: Settings, group: ClientGroupSettings) -> dict[str, int]:
    """What a job of the group asks for that does not say."""
    engine = (settings.default_cpus, settings.default_memory_mb, settings.default_disk_gb)
    return dict(zip(AMOUNTS, engine, strict=True)) | dict(group.defaults)


def scalar_settings() -> list[Any]:
    """The dataclass fields that stand in the section ``[execution_engine]``, in order."""
    return [f for f in fields(Settings) if f.name not in ("backends", "client_groups")]
