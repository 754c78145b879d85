import json

from test.unit import test_cli_commands as commands
from test.unit.test_cli_commands import Cli, FakeEngine

cli, engine = commands.cli, commands.engine  # the fixtures

LIMITS = [
    {"kind": "running", "each_user": 1, "value": 5, "set_by": "root", "set_at": 1_780_000_000_000, "reason": "fair"},
    {"kind": "running", "user": "bob", "client_group": "njs", "value": 2, "in_use": 1},
    {"kind": "run_time", "method": "a.b", "by_owner": 1, "value": 3600},
]


def test_limits_are_listed_with_their_use(cli: Cli, engine: FakeEngine) -> None:
    engine.answers = {"get_limits": {"limits": LIMITS}}
    out = cli("limits").out
    for part in ("each user", "5 jobs", "root", "fair", "bob, client group njs", "a.b, by its owners", "3,600 seconds"):
        assert part in out
    assert json.loads(cli("limits", "--for-user", "bob", "--json").out) == {"limits": LIMITS}
    assert engine.requests == [("get_limits", {}), ("get_limits", {"user": "bob"})]


def test_a_limit_is_set_and_removed(cli: Cli, engine: FakeEngine) -> None:
    engine.answers = {"set_limit": LIMITS[1], "remove_limit": LIMITS[2]}
    out = cli("set-limit", "running", "2", "--for-user", "bob", "--group", "njs", "--reason", "x").out
    assert out == "The limit running of bob, client group njs, 2 jobs, is set.\n"
    out = cli("remove-limit", "run_time", "--method", "a.b", "--by-owner").out
    assert out == "The limit run_time of a.b, by its owners, 3,600 seconds, is removed.\n"
    assert json.loads(cli("set-limit", "queued", "0", "--each-user", "--json").out) == LIMITS[1]
    assert engine.requests == [
        ("set_limit", {"kind": "running", "value": 2, "user": "bob", "client_group": "njs", "reason": "x"}),
        ("remove_limit", {"kind": "run_time", "method": "a.b", "by_owner": 1}),
        ("set_limit", {"kind": "queued", "value": 0, "each_user": 1}),
    ]


def test_of_nothing_else_there_are_limits(cli: Cli) -> None:
    assert cli("set-limit", "disk", "1", "--each-user").code == 2
    assert cli("set-limit", "running", "--each-user", "--", "-1").code == 2
