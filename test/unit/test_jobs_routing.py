import itertools
from typing import Any

import pytest
from store_engine import METHOD, settings

from execution_engine.config import BackendSettings, ClientGroupSettings
from execution_engine.jobs.routing import Routing

BACKENDS = {name: BackendSettings(name, "local", {}) for name in ("local", "slurm", "condor")}
GROUPS = {
    "njs": ClientGroupSettings("njs", ("local", "condor")),
    "bigmem": ClientGroupSettings("bigmem", ("condor",)),
}


def routing(*routes: dict[str, Any]) -> Routing:
    return Routing(settings(backends=BACKENDS, client_groups=GROUPS), routes)


def route(*backends: str, **about: str) -> dict[str, Any]:
    return {"backends": list(backends), **about}


def test_without_routes_the_configuration_decides() -> None:
    assert routing().backends("njs", "alice", METHOD) == ("local", "condor")
    assert routing().backends("bigmem", "alice", METHOD) == ("condor",)


ABOUT: tuple[dict[str, str], ...] = (
    {"method": METHOD, "user": "alice", "client_group": "njs"},
    {"method": METHOD, "user": "alice"},
    {"method": METHOD, "client_group": "njs"},
    {"method": METHOD},
    {"user": "alice", "client_group": "njs"},
    {"user": "alice"},
    {"client_group": "njs"},
)


@pytest.mark.parametrize(("first", "second"), list(itertools.combinations(ABOUT, 2)))
def test_the_most_specific_route_decides(first: dict[str, str], second: dict[str, str]) -> None:
    both = (route("local", **second), route("slurm", **first))
    assert routing(*both).backends("njs", "alice", METHOD) == ("slurm",)
    assert routing(*reversed(both)).backends("njs", "alice", METHOD) == ("slurm",)


def test_the_module_of_a_method_is_written_in_any_case() -> None:
    for written in ("Kb_Tools.run", "kb_tools.run"):
        known = routing(route("slurm", method=written))
        assert known.backends("njs", "alice", "KB_TOOLS.run") == ("slurm",)
        assert known.backends("njs", "alice", "kb_tools.Run") == ("local", "condor")


@pytest.mark.parametrize("about", ABOUT)
def test_a_route_about_others_changes_nothing(about: dict[str, str]) -> None:
    for name in about:
        other = routing(route("slurm", **about | {name: "another"}))
        assert other.backends("njs", "alice", METHOD) == ("local", "condor")


def test_backends_that_are_not_configured_are_passed_over() -> None:
    some = routing(route("gone", "slurm", user="alice"))
    assert some.backends("njs", "alice", METHOD) == ("slurm",)
    assert some.passed_over("njs", "alice", METHOD) == []


def test_a_route_without_configured_backends_is_passed_over() -> None:
    none = routing(route("gone", method=METHOD, user="alice"), route("gone", "lost", method=METHOD))
    assert none.backends("njs", "alice", METHOD) == ("local", "condor")
    assert none.passed_over("njs", "alice", METHOD) == ["gone", "lost"]
    assert none.passed_over("njs", "bob", "another.method") == []
    next_best = routing(route("gone", method=METHOD, user="alice"), route("slurm", user="alice"))
    assert next_best.backends("njs", "alice", METHOD) == ("slurm",)
    assert next_best.passed_over("njs", "alice", METHOD) == ["gone"]


def test_a_client_group_that_is_not_configured_has_no_backends_whatever_the_routes_say() -> None:
    for known in (routing(), routing(route("slurm", user="alice"))):
        assert known.backends("gone", "alice", METHOD) == ()
        assert known.passed_over("gone", "alice", METHOD) == []
