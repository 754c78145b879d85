"""list_audit."""

from execution_engine.api.callers import Rules
from execution_engine.core.clock import to_ms
from execution_engine.jobs.audit_pages import list_audit
from execution_engine.jobs.engine import Engine
from execution_engine.jobs.identity import User
from execution_engine.rpc.registry import Registry
from execution_engine.store.database import Document

_AS_STORED = ("act", "actor", "role", "subject", "request_id", "before", "after", "reason")


def register(registry: Registry, engine: Engine, rules: Rules) -> None:
    """Bind the method of this module."""

    def list_entries(_: User, params: Document) -> Document:
        entries, cursor = list_audit(engine, params)
        result: Document = {"entries": [_view(entry) for entry in entries]}
        return result if cursor is None else result | {"next_cursor": cursor}

    registry.add("list_audit", list_entries, rules.administrator)


def _view(entry: Document) -> Document:
    said = {name: entry[name] for name in _AS_STORED if name in entry}
    about = {"job_id": str(entry["jobs"][0])} if "jobs" in entry else {}
    return {"at": to_ms(entry["at"])} | about | said
