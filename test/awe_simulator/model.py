"""The simulator's jobs and clients, as the server has them in memory and in its database."""

import datetime as dt
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

UNDEFINED = "0001-01-01T00:00:00Z"
ACTIVE = ("init", "queued", "in-progress")


class Version(StrEnum):
    """The two that were recorded."""

    OLD = "0.9.26"
    LAST = "0.9.68"


class AweError(Exception):
    """An answer other than 200."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


def time_now() -> str:
    """As AWE writes times."""
    return dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H:%M:%S.%f") + "Z"


@dataclass
class Job:
    """One job with its one task and its one work unit. ``in_queue``: AWE has it in memory, not only in its database."""

    id: str
    number: int
    info: dict[str, Any]
    command: dict[str, Any]
    private: dict[str, str]
    owner: str
    state: str = "init"
    task_state: str = "init"
    work_state: str = "queued"
    in_queue: bool = True
    remaining: int = 1
    started: str = UNDEFINED
    completed: str = UNDEFINED
    task_created: str = UNDEFINED
    task_started: str = UNDEFINED
    task_completed: str = UNDEFINED
    updated: str = field(default_factory=time_now)
    notes: str = ""
    last_failed: str = ""
    error: dict[str, str] | None = None
    resumed: int = 0
    expiration: str = UNDEFINED
    failures: int = 0
    client: str = ""
    logs: dict[str, str] = field(default_factory=dict)

    @property
    def work_id(self) -> str:
        return f"{self.id}_0_0"

    @property
    def task_id(self) -> str:
        return f"{self.id}_0"

    @property
    def groups(self) -> list[str]:
        return [name for name in self.info.get("clientgroups", "").split(",") if name]


@dataclass
class Client:
    """A worker as the server knows it. ``current``: in 0.9.26 its own list, in 0.9.68 the worker's last word."""

    id: str
    name: str
    group: str
    cores: int
    apps: list[str]
    registered: str = field(default_factory=time_now)
    last_completed: str = UNDEFINED
    seen: float = 0.0
    current: list[str] = field(default_factory=list)
    assigned: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    checkouts: int = 0
    completions: int = 0
    failures: int = 0
    suspended: bool = False
