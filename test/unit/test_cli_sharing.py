import json

import pytest

from test.unit import test_cli_commands as commands
from test.unit.test_cli_commands import JOB, OTHER, Cli, FakeEngine

cli, engine = commands.cli, commands.engine  # the fixtures


@pytest.mark.parametrize(
    ("words", "method", "said"),
    [
        (("share", JOB, "bob", "carol", "bob"), "share_job", "is shared with bob, carol"),
        (("unshare", JOB, "bob", "carol"), "unshare_job", "is shared with bob, carol"),
    ],
)
def test_share_and_unshare_say_whom_a_job_is_shared_with(
    cli: Cli, engine: FakeEngine, words: tuple[str, ...], method: str, said: str
) -> None:
    engine.answers = {method: {"job_id": JOB, "shared_with": ["bob", "carol"]}}
    assert cli(*words).out == f"{JOB} {said}\n"
    assert engine.requests == [(method, {"job_id": JOB, "users": ["bob", "carol"]})]


def test_a_job_that_nobody_is_left_of(cli: Cli, engine: FakeEngine) -> None:
    engine.answers = {"unshare_job": {"job_id": JOB, "shared_with": []}}
    assert cli("unshare", JOB, "bob").out == f"{JOB} is shared with nobody\n"
    assert json.loads(cli("unshare", JOB, "bob", "--json").out) == {"job_id": JOB, "shared_with": []}


@pytest.mark.parametrize(
    ("word", "method", "said"), [("hide", "hide_job", "is hidden"), ("unhide", "unhide_job", "is in your lists")]
)
def test_hide_and_unhide_say_what_became_of_each_job(
    cli: Cli, engine: FakeEngine, word: str, method: str, said: str
) -> None:
    error = {"code": -32100, "reason": "job_not_found", "message": "There is no such job."}
    engine.answers = {method: {"job_ids": [JOB], "errors": {OTHER: error}}}
    outcome = cli(word, JOB, OTHER, JOB)
    assert outcome.out == f"{JOB} {said}\n"
    assert f"{OTHER}: There is no such job." in outcome.err
    assert outcome.code == 4
    assert engine.requests == [(method, {"job_ids": [JOB, OTHER]})]


def entry(n: int, **more: object) -> dict[str, object]:
    who = {"at": 1_780_000_000_000 + n, "act": "cancel", "actor": "root", "role": "admin"}
    return who | {"job_id": JOB, "request_id": f"f00d{n}", **more}


def test_the_audit_says_who_as_what_and_why(cli: Cli, engine: FakeEngine) -> None:
    change = {"before": {"cancel_requested": 0}, "after": {"cancel_requested": 1}}
    engine.answers = {"list_audit": {"entries": [entry(1, reason="too long", **change)]}}
    out = cli("audit", "--job", JOB, "--act", "cancel", "--since", "1970-01-02T00:00+00:00").out
    for part in (
        "root, as admin",
        "cancel",
        JOB,
        '{"cancel_requested": 0} → {"cancel_requested": 1}',
        "too long",
        "f00d1",
    ):
        assert part in out
    assert engine.requests == [("list_audit", {"job_id": JOB, "act": "cancel", "from": 86_400_000, "limit": 50})]


def test_all_pages_of_the_audit(cli: Cli, engine: FakeEngine) -> None:
    def pages(params: dict[str, object]) -> dict[str, object]:
        return {"entries": [entry(2)]} if "cursor" in params else {"entries": [entry(1)], "next_cursor": "more"}

    engine.answers = {"list_audit": pages}
    assert "The first 1; --all-pages shows all." in cli("audit").err
    found = json.loads(cli("audit", "--all-pages", "--json").out)
    assert [item["request_id"] for item in found["entries"]] == ["f00d1", "f00d2"]


def test_the_history_says_as_what_somebody_acted(cli: Cli, engine: FakeEngine) -> None:
    history = [
        {"at": 1, "event": "created", "status": "created", "actor": "alice", "role": "owner"},
        {"at": 2, "event": "cancel_requested", "actor": "root", "role": "read_admin", "note": "too long"},
    ]
    engine.answers = {"check_job": {"job_id": JOB, "status": "running", "history": history, "hidden": 1}}
    out = cli("show", JOB).out
    assert "root, as read admin" in out
    assert "alice, as" not in out
    assert "from your own lists" in out


def test_hidden_jobs_are_listed_on_demand(cli: Cli, engine: FakeEngine) -> None:
    engine.answers = {"list_jobs": {"jobs": []}}
    cli("jobs", "--hidden")
    cli("jobs")
    assert [params.get("hidden") for _, params in engine.requests] == [1, None]
