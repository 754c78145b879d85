"""Which client group a new job belongs to, and what it asks for.

The group: the request's, else the one that the Catalog names for the app, else the setting default-client-group. Each
requirement: the request's, else the Catalog's for the app, else the app's own manifest's, else the group's default,
else the engine's.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from execution_engine.config import ClientGroupSettings, default_amounts
from execution_engine.core.errors import ClientGroupNotFound, PermissionDenied, RequirementsTooLarge
from execution_engine.jobs.access import may_choose, open_groups
from execution_engine.jobs.apps import App
from execution_engine.jobs.engine import Engine
from execution_engine.jobs.identity import User
from execution_engine.jobs.outlook import Outlook
from execution_engine.store.database import Document

_TOTALS = {"cpus": "cpus_total", "memory_mb": "memory_mb_total"}


@dataclass(frozen=True, slots=True)
class Choice:
    """``requirements`` has all of AMOUNTS."""

    client_group: str
    requirements: dict[str, int]


def choose(engine: Engine, user: User, asked: Document, app: App, outlook: Callable[[], Outlook], path: str) -> Choice:
    """The group and the requirements of one job; ``path`` is where the request has the job, for messages.

    Raises:
        ClientGroupNotFound: the engine has no such group.
        PermissionDenied: the group is not open to the user.
        RequirementsTooLarge: the group does not allow as much, or no machine of it has as much.
    """
    group = _group(engine, user, asked, app, path)
    own: dict[str, int] = asked.get("requirements", {})
    needs = default_amounts(engine.settings, group) | dict(app.placement.requirements) | own
    backends: tuple[str, ...] = ()
    reports: Mapping[str, Document] = {}
    if own or "client_group" in asked or app.placement.requirements:
        backends = engine.routing.read().backends(group.name, user.name, app.method)
        reports = outlook().backends
    for name, amount in needs.items():
        said = f"{path}.requirements.{name} is" if name in own else f"{path}: the {name} of {app.method} are"
        if amount > group.most.get(name, amount):
            raise RequirementsTooLarge(
                f"{said} {amount:,}; the client group {group.name} allows {group.most[name]:,} at most."
            )
        most = _most(name, group.name, [reports.get(backend, {}) for backend in backends])
        if most is not None and amount > most:
            raise RequirementsTooLarge(f"{said} {amount:,}; the client group {group.name} has {most:,} at most.")
    return Choice(group.name, needs)


def _group(engine: Engine, user: User, asked: Document, app: App, path: str) -> ClientGroupSettings:
    groups, of_app = engine.settings.client_groups, app.placement.client_group
    name: str = asked.get("client_group") or of_app or engine.settings.default_client_group
    if name not in groups:
        there = f"there are {', '.join(sorted(groups))}"
        if "client_group" in asked:
            raise ClientGroupNotFound(f"{path}.client_group: there is no client group {name!r}; {there}.")
        raise ClientGroupNotFound(
            f"{path}: the Catalog sends {app.method} to the client group {name!r}, which this engine does not have; "
            f"{there}. Name one of them in client_group, or ask the administrators to add a section "
            f"[client_group:{name}] or to correct the Catalog."
        )
    if name != of_app and not may_choose(user, groups[name]):
        names = ", ".join(group.name for group in open_groups(engine.settings, user)) or "none"
        raise PermissionDenied(f"{path}: the client group {name} is not open to you; open to you: {names}.")
    return groups[name]


def _most(amount: str, group: str, reports: list[Document]) -> int | None:
    """The most that one of the backends has for the group; None if one of them has not said."""
    if amount not in _TOTALS or not reports:
        return None
    totals = [_total(report.get("resources", {}), group, _TOTALS[amount]) for report in reports]
    return None if None in totals else max(total for total in totals if total is not None)


def _total(resources: Document, group: str, name: str) -> int | None:
    parts = [part for part in resources.get("groups", ()) if part["client_group"] == group]
    total: int | None = (parts[0] if parts else resources).get(name)
    return total or None  # none now, because no machine has signed on, is not none ever
