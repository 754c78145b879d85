from typing import Any

import pytest
from store_engine import METHOD, KBase, make_engine, person

from execution_engine.config import BackendSettings
from execution_engine.core.errors import (
    BackendNotFound,
    Busy,
    ClientGroupNotFound,
    InvalidParams,
    RouteNotFound,
    UserNotFound,
)
from execution_engine.jobs.audit_pages import list_audit
from execution_engine.jobs.engine import Engine
from execution_engine.jobs.identity import Admin
from execution_engine.jobs.routes import get_routes, remove_route, set_route

ROOT = person("root", Admin.FULL)
BACKENDS = {name: BackendSettings(name, "local", {}) for name in ("local", "slurm")}


@pytest.fixture
def engine(mock_database: Any, kbase: KBase) -> Engine:
    return make_engine(mock_database, kbase, backends=BACKENDS)


def kept(engine: Engine) -> list[dict[str, Any]]:
    names = ("client_group", "method", "user", "backends", "reason", "missing")
    return [{name: route[name] for name in names if name in route} for route in get_routes(engine)]


def notes(engine: Engine) -> list[tuple[Any, ...]]:
    entries = list_audit(engine, {})[0][::-1]
    return [tuple(entry.get(name) for name in ("act", "subject", "before", "after", "reason")) for entry in entries]


def test_a_route_is_set_replaced_and_removed_and_the_audit_knows(engine: Engine) -> None:
    about = {"method": METHOD, "user": "bob"}
    first = set_route(engine, ROOT, about | {"backends": ["slurm", "local", "slurm"], "reason": "more memory"})
    assert (first["backends"], first["set_by"]) == (["slurm", "local"], "root")
    set_route(engine, ROOT, about | {"backends": ["local"]})
    assert kept(engine) == [about | {"backends": ["local"]}]
    assert remove_route(engine, ROOT, about | {"reason": "done"})["backends"] == ["local"]
    assert kept(engine) == []
    set_route(engine, ROOT, about | {"backends": ["slurm"]})
    assert kept(engine) == [about | {"backends": ["slurm"]}]
    named = f"route method {METHOD}, user bob"
    assert notes(engine) == [
        ("set_route", named, None, {"backends": ["slurm", "local"]}, "more memory"),
        ("set_route", named, {"backends": ["slurm", "local"]}, {"backends": ["local"]}, None),
        ("remove_route", named, {"backends": ["local"]}, None, "done"),
        ("set_route", named, None, {"backends": ["slurm"]}, None),
    ]
    assert "jobs" not in list_audit(engine, {})[0][0]


def test_a_method_has_one_route_however_it_is_written(engine: Engine) -> None:
    set_route(engine, ROOT, {"method": "Kb_Tools.run", "backends": ["slurm"]})
    set_route(engine, ROOT, {"method": "kb_tools.run", "backends": ["local"]})
    assert kept(engine) == [{"method": "kb_tools.run", "backends": ["local"]}]


def test_routes_are_listed_from_the_most_specific(engine: Engine) -> None:
    abouts = [
        {"method": "a.b", "user": "bob"},
        {"method": "a.b"},
        {"method": "c.d"},
        {"client_group": "local", "user": "alice"},
        {"user": "alice"},
        {"client_group": "bigmem"},
    ]
    for about in reversed(abouts):
        set_route(engine, ROOT, about | {"backends": ["slurm"]})
    assert kept(engine) == [about | {"backends": ["slurm"]} for about in abouts]


def test_backends_that_the_configuration_has_no_more_are_named(mock_database: Any, kbase: KBase) -> None:
    set_route(
        make_engine(mock_database, kbase, backends=BACKENDS), ROOT, {"user": "bob", "backends": ["slurm", "local"]}
    )
    assert kept(make_engine(mock_database, kbase)) == [
        {"user": "bob", "backends": ["slurm", "local"], "missing": ["slurm"]}
    ]


def test_a_route_to_nowhere_is_refused_with_what_there_is(engine: Engine) -> None:
    with pytest.raises(BackendNotFound, match=r"^params.backends: there is no backend 'slrum'; there are local, slurm"):
        set_route(engine, ROOT, {"user": "bob", "backends": ["local", "slrum"]})
    with pytest.raises(ClientGroupNotFound, match="there are bigmem, local"):
        set_route(engine, ROOT, {"client_group": "big", "backends": ["local"]})
    with pytest.raises(UserNotFound, match="knows no nobody"):
        set_route(engine, ROOT, {"user": "nobody", "backends": ["local"]})
    with pytest.raises(InvalidParams, match="at least one of client_group, method, user"):
        set_route(engine, ROOT, {"backends": ["local"]})
    assert kept(engine) == []


def test_only_a_route_that_there_is_can_be_removed(engine: Engine) -> None:
    set_route(engine, ROOT, {"user": "bob", "backends": ["local"]})
    for about in ({"user": "alice"}, {"user": "bob", "client_group": "local"}):
        with pytest.raises(RouteNotFound, match="get_routes lists"):
            remove_route(engine, ROOT, about)
    remove_route(engine, ROOT, {"user": "bob"})
    with pytest.raises(RouteNotFound, match="There is no route user bob"):
        remove_route(engine, ROOT, {"user": "bob"})


def test_what_somebody_else_wrote_in_between_is_in_the_audit(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    read = engine.routes.get
    others = [["slurm"], ["local"]]

    def overtaken(subject: Any) -> Any:
        held = read(subject)
        if others:
            backends = others.pop()
            engine.routes.write(subject, held, {"backends": backends}, {"id": backends[0], "at": None})
        return held

    monkeypatch.setattr(engine.routes, "get", overtaken)
    set_route(engine, ROOT, {"user": "bob", "backends": ["local", "slurm"]})
    outbox = engine.database.routes.find_one({})["outbox"]
    assert [note.get("before") for note in outbox] == [None, None, {"backends": ["slurm"]}]


def test_a_route_that_is_changed_all_the_time_is_given_up(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine.routes, "write", lambda *_: False)
    with pytest.raises(Busy):
        set_route(engine, ROOT, {"user": "bob", "backends": ["local"]})


def test_the_routing_is_read_again_after_a_second(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("execution_engine.jobs.routing.FRESH_SECONDS", 0.0)
    assert engine.routing.read().backends("local", "bob", METHOD) == ("local",)
    set_route(engine, ROOT, {"user": "bob", "backends": ["slurm"]})
    assert engine.routing.read().backends("local", "bob", METHOD) == ("slurm",)
