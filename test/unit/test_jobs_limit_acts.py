from typing import Any

import pytest
from store_engine import METHOD, KBase, claim, person, running, submit

from execution_engine.core.errors import (
    Busy,
    CatalogUnavailable,
    ClientGroupNotFound,
    InvalidParams,
    LimitNotFound,
    PermissionDenied,
    UserNotFound,
)
from execution_engine.jobs import limit_reader
from execution_engine.jobs.audit_pages import list_audit
from execution_engine.jobs.engine import Engine
from execution_engine.jobs.identity import Admin
from execution_engine.jobs.limit_acts import remove_limit, set_limit
from execution_engine.jobs.limit_views import get_limits

ROOT, RUTH = person("root", Admin.FULL), person("ruth", Admin.READ)
ANNA = person("anna", Admin.FULL)
ALICE, BOB, OLGA = person("alice"), person("bob"), person("olga")
EACH: dict[str, Any] = {"kind": "running", "each_user": 1}
RUN_TIME: dict[str, Any] = {"kind": "run_time", "method": METHOD}


@pytest.fixture(autouse=True)
def _looks_are_not_shared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limit_reader, "FRESH_SECONDS", 0.0)
    monkeypatch.setattr(limit_reader, "_MARGIN_SECONDS", 0.0)


def brief(limits: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Without who and when, and the kind where it is running."""
    left_out = {"set_by", "set_at", "by_owner"}
    return [
        {name: it for name, it in limit.items() if name not in left_out and (name, it) != ("kind", "running")}
        for limit in limits
    ]


def notes(engine: Engine) -> list[tuple[Any, ...]]:
    entries = list_audit(engine, {})[0][::-1]
    names = ("act", "actor", "role", "subject", "before", "after", "reason")
    return [tuple(entry.get(name) for name in names) for entry in entries]


def test_a_limit_is_set_changed_and_removed_and_the_audit_knows(engine: Engine) -> None:
    kept = set_limit(engine, ROOT, EACH | {"value": 5, "reason": "new cluster"})
    assert (kept["value"], kept["set_by"], kept["reason"]) == (5, "root", "new cluster")
    set_limit(engine, ROOT, EACH | {"value": 3})
    (shown,) = get_limits(engine, ROOT, None)
    assert (shown["value"], "reason" in shown) == (3, False)
    assert remove_limit(engine, ROOT, EACH | {"reason": "enough"})["value"] == 3
    assert get_limits(engine, ROOT, None) == []
    about = "limit running, each user"
    assert notes(engine) == [
        ("set_limit", "root", "admin", about, None, {"value": 5}, "new cluster"),
        ("set_limit", "root", "admin", about, {"value": 5}, {"value": 3}, None),
        ("remove_limit", "root", "admin", about, {"value": 3}, None, "enough"),
    ]


def test_what_does_not_exist_is_not_limited(engine: Engine) -> None:
    with pytest.raises(ClientGroupNotFound, match="no client group 'moon'; there are bigmem, local"):
        set_limit(engine, ROOT, {"kind": "running", "client_group": "moon", "value": 1})
    with pytest.raises(UserNotFound, match="knows no nobody"):
        set_limit(engine, ROOT, {"kind": "queued", "user": "nobody", "value": 1})
    with pytest.raises(LimitNotFound, match="There is no limit queued, user bob; get_limits lists"):
        remove_limit(engine, ROOT, {"kind": "queued", "user": "bob"})
    with pytest.raises(InvalidParams, match=r"params\.value is 0; a run time is at least 1 second"):
        set_limit(engine, ROOT, RUN_TIME | {"value": 0})


@pytest.mark.parametrize("user", [ALICE, RUTH])
def test_others_than_full_administrators_set_none(engine: Engine, user: Any) -> None:
    for target in (EACH, {"kind": "run_time", "client_group": "local"}, RUN_TIME | {"user": "bob"}):
        with pytest.raises(PermissionDenied, match="by full administrators only"):
            set_limit(engine, user, target | {"value": 1})
    with pytest.raises(PermissionDenied, match="by the owners of the module sequence_tools"):
        set_limit(engine, user, RUN_TIME | {"value": 1})
    with pytest.raises(PermissionDenied, match="is removed by full administrators and by the owners of the module no"):
        remove_limit(engine, user, {"kind": "run_time", "method": "no.such"})


def run_time(engine: Engine) -> int | None:
    return engine.limit_reader.read().run_time(METHOD, "bob", "local")


def test_the_owners_of_an_app_lower_its_run_time_and_no_more(engine: Engine, kbase: KBase) -> None:
    kbase.owners_of["sequence_tools"] = ("olga",)
    set_limit(engine, OLGA, RUN_TIME | {"value": 7200})
    assert run_time(engine) == 7200
    set_limit(engine, ROOT, RUN_TIME | {"value": 3600})
    assert run_time(engine) == 3600
    with pytest.raises(InvalidParams, match=r"value is 3,601; the administrators let .* run for 3,600 seconds"):
        set_limit(engine, OLGA, RUN_TIME | {"value": 3601})
    set_limit(engine, OLGA, RUN_TIME | {"value": 60, "method": "sequence_tools.other"})
    assert run_time(engine) == 3600, "another function"
    set_limit(engine, OLGA, RUN_TIME | {"value": 60})
    assert run_time(engine) == 60
    remove_limit(engine, OLGA, RUN_TIME)
    assert run_time(engine) == 3600
    with pytest.raises(LimitNotFound):
        remove_limit(engine, OLGA, RUN_TIME)
    assert next((role, about) for _, actor, role, about, *_ in notes(engine) if actor == "olga") == (
        "app_owner",
        f"limit run_time, of the app's owners, method {METHOD}",
    )


def test_administrators_may_take_back_what_owners_have_set(engine: Engine, kbase: KBase) -> None:
    kbase.owners_of["sequence_tools"] = ("olga",)
    set_limit(engine, OLGA, RUN_TIME | {"value": 1})
    remove_limit(engine, ROOT, RUN_TIME | {"by_owner": 1})
    assert run_time(engine) is None


def test_whose_an_app_is_must_be_known(engine: Engine, kbase: KBase) -> None:
    kbase.down.add("catalog")
    with pytest.raises(CatalogUnavailable):
        set_limit(engine, OLGA, RUN_TIME | {"value": 60})
    set_limit(engine, ROOT, RUN_TIME | {"value": 60})


def test_two_who_set_the_same_limit_at_once_are_both_noted(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    put, others = engine.limits.put, iter([{"value": 9}])

    def raced(name: str, held: int | None, record: dict[str, Any], note: dict[str, Any]) -> bool:
        for other in others:
            set_limit(engine, ANNA, EACH | other)
        return put(name, held, record, note)

    monkeypatch.setattr(engine.limits, "put", raced)
    set_limit(engine, ROOT, EACH | {"value": 5})
    assert [(actor, before, after) for _, actor, _, _, before, after, _ in notes(engine)] == [
        ("anna", None, {"value": 9}),
        ("root", {"value": 9}, {"value": 5}),
    ]


def test_who_always_comes_second_is_told(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    set_limit(engine, ROOT, EACH | {"value": 5})
    monkeypatch.setattr(engine.limits, "put", lambda *_: False)
    monkeypatch.setattr(engine.limits, "remove", lambda *_: False)
    for act in (set_limit, remove_limit):
        with pytest.raises(Busy, match="The limit running, each user is just being changed"):
            act(engine, ROOT, EACH | {"value": 6})


def set_many(engine: Engine) -> None:
    for target, value in (
        (EACH, 5),
        ({"kind": "running", "user": "bob"}, 2),
        ({"kind": "running", "client_group": "local"}, 9),
        ({"kind": "running", "client_group": "bigmem", "each_user": 1}, 1),
        ({"kind": "queued", "each_user": 1}, 50),
        (RUN_TIME, 60),
        (RUN_TIME | {"user": "bob"}, 30),
        ({"kind": "run_time", "client_group": "local"}, 90),
    ):
        set_limit(engine, ROOT, target | {"value": value})


def test_everybody_sees_what_applies_and_what_is_used_of_it(engine: Engine) -> None:
    set_many(engine)
    for group in ("local", "bigmem"):
        running(engine, client_group=group)
    submit(engine)
    claim(engine, submit(engine, "bob"))
    assert brief(get_limits(engine, ALICE, None)) == [
        {"each_user": 1, "value": 5, "in_use": 2},
        {"client_group": "bigmem", "each_user": 1, "value": 1, "in_use": 1},
        {"client_group": "local", "value": 9, "in_use": 2},
        {"kind": "queued", "each_user": 1, "value": 50, "in_use": 1},
        {"kind": "run_time", "method": METHOD, "value": 60},
        {"kind": "run_time", "client_group": "local", "value": 90},
    ]
    mine = get_limits(engine, BOB, "bob")
    assert {"user": "bob", "value": 2, "in_use": 1} in brief(mine)
    assert {"kind": "run_time", "method": METHOD, "user": "bob", "value": 30} in brief(mine)
    assert {"kind": "running", "each_user": 1, "value": 5} not in brief(mine)
    assert not any("set_by" in limit for limit in mine)


def test_others_limits_are_for_administrators(engine: Engine) -> None:
    set_many(engine)
    with pytest.raises(PermissionDenied, match="The limits of bob are shown to bob and to administrators"):
        get_limits(engine, ALICE, "bob")
    assert brief(get_limits(engine, RUTH, "bob")) == brief(get_limits(engine, BOB, None))
    assert {limit["set_by"] for limit in get_limits(engine, RUTH, "bob")} == {"root"}


def test_administrators_see_all_of_them(engine: Engine) -> None:
    set_many(engine)
    running(engine, "bob")
    found = get_limits(engine, RUTH, None)
    assert len(found) == 8
    assert all(limit["set_by"] == "root" and limit["set_at"] for limit in found)
    assert [limit for limit in brief(found) if "in_use" in limit] == [
        {"client_group": "local", "value": 9, "in_use": 1},
        {"user": "bob", "value": 2, "in_use": 1},
    ]
    set_limit(engine, ROOT, {"kind": "queued", "user": "bob", "value": 4})
    submit(engine, "bob")
    assert {"kind": "queued", "user": "bob", "value": 4, "in_use": 1} in brief(get_limits(engine, ROOT, None))
