"""What the backends have and what is taken of it, by backend and by client group, as last reported."""

from collections.abc import Iterable, Mapping
from typing import Any

from execution_engine.config import ClientGroupSettings
from execution_engine.jobs.backend_states import DOWN, DRAINING, UP, state_of
from execution_engine.jobs.engine import Engine
from execution_engine.jobs.holds import closed_group
from execution_engine.store.database import Document

_AMOUNTS = ("cpus", "memory_mb", "slots")
_NODES = ("nodes_total", "nodes_usable")


def backend_resources(engine: Engine) -> list[Document]:
    """Each backend of the configuration: its state, what it has, what of our jobs it has; in the configuration's order.

    The times are datetimes; what a system does not say is left out.
    """
    reports, flight = engine.backends.all(), engine.queues.flight()
    found = []
    for name, section in engine.settings.backends.items():
        report = reports.get(name, {})
        state = state_of(report)
        told = report.get("resources", {})
        parts = {part["client_group"]: part for part in told.get("groups", ())}
        groups = [group for place, group in [*flight.running_in, *flight.inside_of] if place == name]
        view: Document = {
            "backend": name,
            "kind": section.kind,
            "state": state.state,
            "message": state.message,
            "capacity": _capacity(told),
            "parts": [
                {
                    "client_group": group,
                    "running": flight.running_in[name, group],
                    "inside": flight.inside_of[name, group],
                    **_blocked(parts.get(group, {})),
                    **({"capacity": _capacity(parts[group])} if group in parts else {}),
                }
                for group in dict.fromkeys([*parts, *sorted(groups)])
            ],
        }
        view |= {"running": sum(it["running"] for it in view["parts"])}
        view |= {"inside": sum(it["inside"] for it in view["parts"])}
        view |= {f"all_{key}": told[key] for key in ("running", "waiting") if told.get(key) is not None}
        known = {"since": state.since, "reported": report.get("at"), "notice": report.get("notice")}
        found.append(view | {key: value for key, value in known.items() if value})
    return found


def group_resources(engine: Engine) -> list[Document]:
    """Each client group: what serves it (perhaps others too), how many jobs wait and run; without anybody's name."""
    return [_group(engine, group) for group in engine.settings.client_groups.values()]


def _group(engine: Engine, group: ClientGroupSettings) -> Document:
    queue = engine.queues.read(group.name)
    closed = closed_group(group.backends, queue.backends)
    view: Document = {
        "client_group": group.name,
        "backends": list(group.backends),
        "state": UP if closed is None else DOWN if closed["code"] == "backend_down" else DRAINING,
        "capacity": _sum(_serving(queue.backends.get(name, {}), group.name) for name in group.backends),
        "waiting": queue.ready + sum(queue.held.values()),
        "inside": len(queue.inside),
        "running": sum(queue.running.values()),
    }
    if closed:
        view["closed"] = closed
    return view if queue.oldest is None else view | {"oldest": queue.oldest}


def _serving(report: Document, group: str) -> Document:
    """What of a backend serves the group: the part that is the group's, or all of it; nothing while it is down."""
    if state_of(report).state == DOWN:
        return {}
    told: Document = report.get("resources", {})
    own = [part for part in told.get("groups", ()) if part["client_group"] == group]
    return _capacity(own[0] if own else told)


def _capacity(told: Mapping[str, Any]) -> Document:
    """Totals, what is used and what is free."""
    capacity: Document = {}
    for name in _AMOUNTS:
        total, used = told.get(f"{name}_total"), told.get(f"{name}_used")
        known = {f"{name}_total": total, f"{name}_used": used}
        if total is not None and used is not None:
            known[f"{name}_free"] = max(0, total - used)
        capacity |= {key: value for key, value in known.items() if value is not None}
    return capacity | {key: told[key] for key in _NODES if told.get(key) is not None}


def _sum(capacities: Iterable[Document]) -> Document:
    total: Document = {}
    for capacity in capacities:
        for key, value in capacity.items():
            total[key] = total.get(key, 0) + value
    return total


def _blocked(part: Document) -> Document:
    return {"blocked": part["reason"]} if part.get("reason") else {}
