import json

from test.unit import test_cli_commands as commands
from test.unit.test_cli_commands import Cli, FakeEngine

cli, engine = commands.cli, commands.engine  # the fixtures

ROUTE = {
    "method": "a.b",
    "user": "bob",
    "backends": ["old", "slurm"],
    "missing": ["old"],
    "set_by": "root",
    "set_at": 1_780_000_000_000,
    "reason": "more memory",
}


def test_routes_stand_above_what_is_configured(cli: Cli, engine: FakeEngine) -> None:
    answer = {"routes": [ROUTE], "client_groups": {"njs": ["local", "slurm"]}}
    engine.answers = {"get_routes": answer}
    out = cli("routes").out
    for part in ("a.b", "bob", "old (not configured), slurm", "root", "more memory", "local, slurm"):
        assert part in out
    assert out.index("a.b") < out.index("the configuration")
    assert json.loads(cli("routes", "--json").out) == answer


def test_a_route_is_set_and_removed(cli: Cli, engine: FakeEngine) -> None:
    engine.answers = {"set_route": ROUTE, "remove_route": ROUTE}
    about = ("--method", "a.b", "--for-user", "bob")
    assert cli("set-route", "old", "slurm", *about, "--reason", "x").out == (
        "The route of method a.b, user bob to old, slurm is set.\n"
    )
    assert json.loads(cli("remove-route", *about, "--json").out) == ROUTE
    asked = {"method": "a.b", "user": "bob"}
    assert engine.requests == [
        ("set_route", {"backends": ["old", "slurm"], **asked, "reason": "x"}),
        ("remove_route", asked),
    ]
