"""share_job, unshare_job, hide_job, unhide_job."""

from collections.abc import Callable
from typing import Any

from execution_engine.api.callers import Rules
from execution_engine.api.views import errors_view
from execution_engine.core.ids import parse_job_id
from execution_engine.jobs import hiding, sharing
from execution_engine.jobs.engine import Engine
from execution_engine.jobs.identity import User
from execution_engine.rpc.registry import Handler, Registry
from execution_engine.store.database import Document


def register(registry: Registry, engine: Engine, rules: Rules) -> None:
    """Bind the methods of this module."""

    def with_people(change: Callable[..., list[str]]) -> Handler:
        def handler(user: User, params: Document) -> Document:
            job_id = parse_job_id(params["job_id"])
            return {"job_id": str(job_id), "shared_with": change(engine, user, job_id, params["users"])}

        return handler

    def in_lists(change: Callable[..., tuple[list[Any], dict[Any, Any]]]) -> Handler:
        def handler(user: User, params: Document) -> Document:
            changed, errors = change(engine, user, list(dict.fromkeys(map(parse_job_id, params["job_ids"]))))
            return {"job_ids": list(map(str, changed)), "errors": errors_view(errors.items())}

        return handler

    registry.add("share_job", with_people(sharing.share), rules.owner)
    registry.add("unshare_job", with_people(sharing.unshare), rules.owner)
    registry.add("hide_job", in_lists(hiding.hide), rules.reader)
    registry.add("unhide_job", in_lists(hiding.unhide), rules.reader)
