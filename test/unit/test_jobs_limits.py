from typing import Any

import pytest

from execution_engine.core.errors import InvalidParams
from execution_engine.jobs.limits import Kind, Limits, Target, target_of


def limits(*asked: dict[str, Any]) -> Limits:
    records = []
    for it in asked:
        target = target_of(it)
        records.append({"_id": target.name, **target.fields(), "value": it["value"]})
    return Limits(records)


def running(value: int, **target: Any) -> dict[str, Any]:
    return {"kind": "running", "value": value, **target}


def bounds(found: Limits, user: str, group: str) -> dict[str, int]:
    return {bound.counter: bound.most for bound in found.running(user, group)}


def test_without_limits_nothing_is_bounded() -> None:
    assert limits().running("ann", "njs") == []
    assert limits().queued("ann") is None
    assert limits().run_time("m.f", "ann", "njs") is None


def test_of_concurrent_jobs_every_limit_holds_at_once() -> None:
    found = limits(
        running(10, each_user=1),
        running(100, client_group="njs"),
        running(5, client_group="njs", each_user=1),
        running(7, client_group="bigmem"),
    )
    assert bounds(found, "ann", "njs") == {"group=njs": 100, "user=ann": 10, "group=njs/user=ann": 5}
    assert bounds(found, "ann", "bigmem") == {"group=bigmem": 7, "user=ann": 10}
    assert bounds(found, "ann", "hpc") == {"user=ann": 10}


def test_a_named_user_has_the_own_limit_in_place_of_everybodys_in_the_same_place() -> None:
    found = limits(
        running(10, each_user=1),
        running(50, user="ann"),
        running(5, client_group="njs", each_user=1),
        running(0, client_group="njs", user="bob"),
    )
    assert bounds(found, "ann", "njs") == {"user=ann": 50, "group=njs/user=ann": 5}
    assert bounds(found, "bob", "njs") == {"user=bob": 10, "group=njs/user=bob": 0}


def test_of_queued_jobs_it_is_the_named_users_or_everybodys() -> None:
    found = limits({"kind": "queued", "each_user": 1, "value": 100}, {"kind": "queued", "user": "ann", "value": 3})
    assert [found.queued(user).most for user in ("ann", "bob")] == [3, 100]  # type: ignore[union-attr]
    assert found.running("ann", "njs") == []


def test_of_run_time_the_lowest_holds() -> None:
    found = limits(
        {"kind": "run_time", "method": "m.f", "value": 100},
        {"kind": "run_time", "method": "m.f", "by_owner": 1, "value": 50},
        {"kind": "run_time", "method": "m.f", "user": "ann", "value": 200},
        {"kind": "run_time", "method": "m.f", "user": "bob", "value": 20},
        {"kind": "run_time", "client_group": "short", "value": 40},
    )
    assert found.run_time("m.f", "ann", "njs") == 50
    assert found.run_time("m.f", "bob", "njs") == 20
    assert found.run_time("m.f", "ann", "short") == 40
    assert found.run_time("m.g", "ann", "short") == 40
    assert found.run_time("m.g", "ann", "njs") is None


def test_a_module_in_another_case_is_the_same_and_another_function_is_not() -> None:
    found = limits({"kind": "run_time", "method": "My_Module.f", "value": 9})
    assert found.run_time("MY_MODULE.f", "ann", "njs") == 9
    assert found.run_time("my_module.F", "ann", "njs") is None


@pytest.mark.parametrize(
    "asked",
    [
        {"kind": "running"},
        {"kind": "running", "user": "ann", "each_user": 1},
        {"kind": "running", "method": "m.f"},
        {"kind": "queued", "user": "ann", "client_group": "njs"},
        {"kind": "run_time", "user": "ann"},
        {"kind": "run_time", "method": "m.f", "client_group": "njs"},
        {"kind": "run_time", "method": "m.f", "user": "ann", "by_owner": 1},
    ],
)
def test_combinations_that_mean_nothing_are_refused(asked: dict[str, Any]) -> None:
    with pytest.raises(InvalidParams, match=f"a limit of kind {asked['kind']} is for one of: "):
        target_of(asked)


def test_what_was_not_said_is_named() -> None:
    with pytest.raises(InvalidParams, match=r"one of: user; each_user\. Found: client_group"):
        target_of({"kind": "queued", "client_group": "njs", "each_user": 0})


def test_every_target_has_a_name_of_its_own() -> None:
    targets = [
        Target(Kind.RUNNING, user="ann"),
        Target(Kind.RUNNING, each_user=True),
        Target(Kind.RUNNING, client_group="ann"),
        Target(Kind.RUNNING, client_group="njs", user="ann"),
        Target(Kind.RUNNING, client_group="njs", each_user=True),
        Target(Kind.QUEUED, user="ann"),
        Target(Kind.RUN_TIME, method="m.f"),
        Target(Kind.RUN_TIME, method="m.f", by_owner=True),
        Target(Kind.RUN_TIME, method="m.f", user="owner"),
        Target(Kind.RUN_TIME, client_group="m.f"),
    ]
    assert len({target.name for target in targets}) == len(targets)
    assert all(target_of(target.fields()) == target for target in targets)
