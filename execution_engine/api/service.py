"""status, ver, whoami, list_config."""

from execution_engine import __version__
from execution_engine.api.callers import Rules
from execution_engine.config import ClientGroupSettings, Settings, default_amounts
from execution_engine.core.clock import now, to_ms
from execution_engine.jobs.access import open_groups
from execution_engine.jobs.engine import Engine
from execution_engine.jobs.identity import User
from execution_engine.jobs.wellbeing import Wellbeing
from execution_engine.rpc.registry import Registry
from execution_engine.store.database import Document


def register(registry: Registry, engine: Engine, rules: Rules, wellbeing: Wellbeing, git_commit: str) -> None:
    """Bind the methods of this module; ``git_commit`` is the source's, or empty."""
    settings = engine.settings
    config = {
        "external_url": settings.external_url,
        **_service_urls(settings),
        "client_groups": ",".join(settings.client_groups),
        "default_client_group": settings.default_client_group,
        "max_params_bytes": str(settings.max_params_bytes),
        "max_output_bytes": str(settings.max_output_bytes),
        "max_batch_jobs": str(settings.max_batch_jobs),
        "version": __version__,
    }

    def status(_: None, __: Document) -> Document:
        states = wellbeing.states()
        return {
            "state": "ok" if all(state["state"] == "up" for state in states.values()) else "degraded",
            "version": __version__,
            "server_time": to_ms(now()),
            "dependencies": states,
        } | ({"git_commit": git_commit} if git_commit else {})

    def ver(_: None, __: Document) -> str:
        return __version__

    def whoami(user: User, _: Document) -> Document:
        groups = [_group(settings, group) for group in open_groups(settings, user)]
        admin = user.admin.name.lower()
        return {"user": user.name, "roles": list(user.roles), "admin": admin, "client_groups": groups}

    def list_config(_: None, __: Document) -> dict[str, str]:
        return config

    registry.add("status", status, rules.anyone)
    registry.add("ver", ver, rules.anyone)
    registry.add("whoami", whoami, rules.user)
    registry.add("list_config", list_config, rules.maybe_user)


def _group(settings: Settings, group: ClientGroupSettings) -> Document:
    return {
        "client_group": group.name,
        "defaults": default_amounts(settings, group),
        "most": dict(group.most),
    }


def _service_urls(settings: Settings) -> dict[str, str]:
    """Where clients find KBase's services; the embedded ones stand beside the engine, whatever it uses itself."""
    if settings.embedded_services:
        base = settings.external_url.removesuffix("/ee")
        return {"auth_url": f"{base}/auth", "workspace_url": f"{base}/ws", "catalog_url": f"{base}/catalog"}
    return {
        "auth_url": settings.auth_url,
        "workspace_url": settings.workspace_url,
        "catalog_url": settings.catalog_url,
    }
