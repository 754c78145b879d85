import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests

from execution_engine.cli import main as program
from execution_engine.cli.exit_codes import Exit
from execution_engine.cli.reference import render_reference

URL = "http://engine.example/services/ee"
JOB = "6500000000000000000000aa"
OTHER = "6500000000000000000000bb"
DONE = {
    "job_id": JOB,
    "user": "alice",
    "method": "sequence_tools.assembly_stats",
    "status": "completed",
    "created": 1_780_000_000_000,
    "running": 1_780_000_001_000,
    "finished": 1_780_000_003_500,
    "wsid": 5,
    "params": [{"sequence": "NC_005816"}],
    "output": [{"contigs": 1, "length": 9609, "gc": 0.4748}],
}
FAILED = DONE | {
    "status": "error",
    "cause": {
        "code": "app_error",
        "message": "The app reported an error.",
        "advice": "Read the log.",
        "detail": "bad FASTA",
    },
}
LINES = [{"n": n, "line": f"[step] {n}", "stream": "stdout", "ts": 1_780_000_001_000} for n in range(3)]


@dataclass
class Refusal(Exception):
    code: int
    reason: str
    message: str


class FakeEngine:
    """Answers in place of the network; every request is kept."""

    def __init__(self) -> None:
        self.answers: dict[str, Any] = {}
        self.requests: list[tuple[str, dict[str, Any]]] = []
        self.tokens: list[str | None] = []

    def send(self, request: requests.PreparedRequest) -> requests.Response:
        assert request.url == URL
        body = json.loads(request.body or b"")
        method = body["method"].removeprefix("ExecutionEngine.")
        self.requests.append((method, body["params"]))
        self.tokens.append(request.headers.get("Authorization"))
        answer = self.answers[method]
        try:
            result = answer(body["params"]) if callable(answer) else answer
            content = {"jsonrpc": "2.0", "id": body["id"], "result": result}
        except Refusal as refusal:
            error = {"code": refusal.code, "message": refusal.message, "data": {"reason": refusal.reason}}
            content = {"jsonrpc": "2.0", "id": body["id"], "error": error}
        response = requests.Response()
        response.status_code = 200
        response.url = URL
        response.headers["X-Request-Id"] = "4f2a"
        response._content = json.dumps(content).encode()
        return response

    def has_job(self, record: dict[str, Any], lines: list[dict[str, Any]]) -> None:
        def logs(params: dict[str, Any]) -> dict[str, Any]:
            found = lines[-params["tail"] :] if "tail" in params else lines[params.get("skip", 0) :]
            return {"lines": found, "next_line": len(lines), "total_lines": len(lines), "ended": 1}

        self.answers |= {"run_job": JOB, "get_logs": logs, "check_job": record}


@dataclass
class Outcome:
    code: int
    out: str
    err: str


Cli = Callable[..., Outcome]


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> FakeEngine:
    fake = FakeEngine()
    monkeypatch.setattr(requests.adapters.HTTPAdapter, "send", lambda _self, request, **_options: fake.send(request))
    return fake


@pytest.fixture
def cli(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Cli:
    for name in ("EE_DATA", "EE_PORT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("EE_URL", URL)
    monkeypatch.setenv("EE_TOKEN", "SECRET")
    monkeypatch.chdir(tmp_path)

    def call(*words: str) -> Outcome:
        monkeypatch.setattr("sys.argv", ["execution-engine", *words])
        code = 0
        try:
            program.main()
        except SystemExit as exit_:
            code = int(exit_.code or 0)
        captured = capsys.readouterr()
        return Outcome(code, captured.out, captured.err)

    return call


def test_submit_prints_the_id(cli: Cli, engine: FakeEngine) -> None:
    engine.answers["run_job"] = JOB
    done = cli(
        "submit", "m.f", "sequence=NC_005816", "k=21", "--workspace", "5", "--cpus", "2", "--client-group", "njs"
    )
    assert (done.code, done.out) == (0, f"{JOB}\n")
    [(method, params)] = engine.requests
    assert method == "run_job"
    assert re.fullmatch("[0-9a-f]{32}", params.pop("idempotency_key"))
    assert params == {
        "method": "m.f",
        "params": [{"sequence": "NC_005816", "k": 21}],
        "wsid": 5,
        "client_group": "njs",
        "requirements": {"cpus": 2},
    }
    assert engine.tokens == ["SECRET"]


def test_submit_with_all_parameters_as_json_and_a_key(cli: Cli, engine: FakeEngine) -> None:
    engine.answers["run_job"] = JOB
    done = cli("submit", "m.f", "--params-json", '[1, "x"]', "--idempotency-key", "mine", "--json")
    assert json.loads(done.out) == {"job_id": JOB}
    assert engine.requests == [("run_job", {"method": "m.f", "params": [1, "x"], "idempotency_key": "mine"})]


def test_follow_shows_log_and_result(cli: Cli, engine: FakeEngine) -> None:
    engine.has_job(DONE, LINES)
    done = cli("submit", "m.f", "--follow")
    assert done.code == 0
    assert done.out.splitlines()[:3] == ["[step] 0", "[step] 1", "[step] 2"]
    assert re.search(r"length +9,609", done.out)
    assert f"{JOB} completed in 2.5 s" in done.err


def test_follow_for_programs(cli: Cli, engine: FakeEngine) -> None:
    engine.has_job(DONE, LINES)
    done = cli("submit", "m.f", "--follow", "--json")
    assert [json.loads(line) for line in done.out.splitlines()] == [*LINES, DONE]


@pytest.mark.parametrize(("status", "code"), [("completed", 0), ("error", 1), ("terminated", 5)])
def test_the_exit_code_tells_how_the_job_ended(cli: Cli, engine: FakeEngine, status: str, code: int) -> None:
    engine.has_job(DONE | {"status": status}, LINES)
    assert cli("submit", "m.f", "--wait").code == code
    assert cli("logs", "-f", JOB).code == code


def test_a_failed_job_is_explained(cli: Cli, engine: FakeEngine) -> None:
    engine.has_job({key: value for key, value in FAILED.items() if key != "output"}, LINES)
    done = cli("submit", "m.f", "--wait")
    assert "The app reported an error. Read the log." in done.err
    assert "bad FASTA" in done.err
    assert done.out == ""


def test_a_wait_may_end_early(cli: Cli, engine: FakeEngine) -> None:
    engine.answers = {"run_job": JOB, "check_job": {"job_id": JOB, "status": "running"}}
    done = cli("submit", "m.f", "--wait", "--timeout", "0")
    assert done.code == 6
    assert f"The job {JOB} has not ended within 0 s; it goes on." in done.err


def test_the_log_whole_and_its_end(cli: Cli, engine: FakeEngine) -> None:
    engine.has_job(DONE, LINES)
    assert cli("logs", JOB).out == "[step] 0\n[step] 1\n[step] 2\n"
    assert cli("logs", JOB, "--tail", "2").out == "[step] 1\n[step] 2\n"
    assert [json.loads(line)["n"] for line in cli("logs", JOB, "--json").out.splitlines()] == [0, 1, 2]
    engine.requests.clear()
    assert cli("logs", "-f", JOB, "--tail", "1").out.splitlines()[0] == "[step] 2"
    assert [params.get("skip") for method, params in engine.requests if method == "get_logs"] == [None, 3]


def test_jobs_with_filters(cli: Cli, engine: FakeEngine) -> None:
    engine.answers["list_jobs"] = {"jobs": [DONE, FAILED | {"job_id": OTHER}], "next_cursor": "c1"}
    done = cli(
        "jobs", "--status", "completed", "--status", "error", "--workspace", "5", "--since", "2026-05-01T00:00+00:00"
    )
    assert engine.requests == [
        (
            "list_jobs",
            {
                "status": ["completed", "error"],
                "wsids": [5],
                "created_from": 1_777_593_600_000,
                "sort": "created",
                "order": "desc",
                "limit": 20,
            },
        )
    ]
    assert re.search(rf"{JOB} +completed .* 2\.5 s +sequence_tools\.assembly_stats +5", done.out)
    assert re.search(rf"{OTHER} +error .*The app reported an error\.", done.out)
    assert "--all-pages shows all" in done.err


def test_all_pages_of_jobs(cli: Cli, engine: FakeEngine) -> None:
    pages = {None: {"jobs": [DONE], "next_cursor": "c1"}, "c1": {"jobs": [FAILED | {"job_id": OTHER}]}}
    engine.answers["list_jobs"] = lambda params: pages[params.get("cursor")]
    assert json.loads(cli("jobs", "--json").out) == {"jobs": [DONE], "next_cursor": "c1"}
    assert json.loads(cli("jobs", "--json", "--all-pages").out) == {"jobs": [DONE, FAILED | {"job_id": OTHER}]}


def test_jobs_of_others_by_all_that_can_be_asked(cli: Cli, engine: FakeEngine) -> None:
    engine.answers["list_jobs"] = {"jobs": []}
    cli("jobs", "--all-users", "--of", "bob", "--words", "out of memory", "--app", "kb_a/", "--backend", "slurm")
    cli(
        "jobs",
        "--scope",
        "shared",
        "--id",
        "6b03511f",
        "--client-group",
        "njs",
        "--ended-since",
        "2026-05-01T00:00+00:00",
    )
    cli("jobs", "--shared", "--workspace", "5", "--workspace", "6")
    order = {"sort": "created", "order": "desc", "limit": 20}
    assert [params for _, params in engine.requests] == [
        {"scope": "all", "user": "bob", "words": "out of memory", "app": "kb_a/", "backend": "slurm", **order},
        {"scope": "shared", "job_id": "6b03511f", "client_group": "njs", "finished_from": 1_777_593_600_000, **order},
        {"scope": "shared", "wsids": [5, 6], **order},
    ]


def test_a_search_that_stopped_is_not_taken_for_no_jobs(cli: Cli, engine: FakeEngine) -> None:
    engine.answers["list_jobs"] = {"jobs": [], "next_cursor": "c1", "incomplete": 1}
    done = cli("jobs", "--words", "rare")
    assert done.out == ""
    assert "stopped after reading many jobs, with 0 found; --all-pages searches all" in done.err


def test_no_jobs(cli: Cli, engine: FakeEngine) -> None:
    engine.answers["list_jobs"] = {"jobs": []}
    done = cli("jobs")
    assert (done.code, done.out, done.err) == (0, "", "No jobs.\n")


def test_show_has_everything(cli: Cli, engine: FakeEngine) -> None:
    history = [{"at": 1_780_000_000_000, "event": "submitted", "status": "created", "actor": "alice"}]
    engine.answers["check_job"] = FAILED | {"history": history, "client_group": "njs", "attempt": 1}
    out = cli("show", JOB).out
    for text in (JOB, "app_error", "bad FASTA", "Read the log.", "njs", "submitted: created", "NC_005816", "9,609"):
        assert text in out
    assert json.loads(cli("show", JOB, "--json").out)["cause"] == FAILED["cause"]


def test_cancel_tells_the_effect_on_each_job(cli: Cli, engine: FakeEngine) -> None:
    engine.answers["cancel_jobs"] = {
        "jobs": {JOB: {"job_id": JOB, "status": "running", "cancelled": 1}},
        "errors": {OTHER: {"code": -32100, "reason": "job_not_found", "message": "There is no such job."}},
    }
    done = cli("cancel", JOB, OTHER, "--reason", "wrong input")
    assert engine.requests == [("cancel_jobs", {"job_ids": [JOB, OTHER], "reason": "wrong input"})]
    assert done.code == 4
    assert done.out == f"{JOB} is asked to stop (running)\n"
    assert done.err == f"{OTHER}: There is no such job.\n"


def test_retry_prints_old_and_new(cli: Cli, engine: FakeEngine) -> None:
    engine.answers["retry_jobs"] = [{"job_id": JOB, "retry_id": OTHER}]
    done = cli("retry", JOB)
    assert (done.code, done.out) == (0, f"{JOB} -> {OTHER}\n")


def test_status_needs_no_token(cli: Cli, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EE_TOKEN")
    dependencies = {"workspace": {"state": "down", "message": "no connection"}}
    engine.answers["status"] = {"state": "degraded", "version": "0.1.0", "dependencies": dependencies}
    done = cli("status")
    assert (done.code, engine.tokens) == (0, [None])
    assert "degraded" in done.out
    assert re.search("workspace +down +no connection", done.out)


@pytest.mark.parametrize(
    ("code", "reason", "exit_code"),
    [
        (-32400, "token_invalid", 4),
        (-32403, "permission_denied", 4),
        (-32100, "job_not_found", 4),
        (-32602, "invalid_params", 4),
        (-32012, "busy", 3),
        (-32202, "catalog_unavailable", 3),
        (-32603, "internal_error", 7),
    ],
)
def test_an_error_is_the_engines_own_sentence(
    cli: Cli, engine: FakeEngine, code: int, reason: str, exit_code: int
) -> None:
    def refuse(_params: dict[str, Any]) -> None:
        raise Refusal(code, reason, "What the engine says about it [sic].")

    engine.answers["check_job"] = refuse
    done = cli("show", JOB)
    assert (done.code, done.out, done.err) == (exit_code, "", "Error: What the engine says about it [sic].\n")


def test_verbose_tells_the_request_id(cli: Cli, engine: FakeEngine) -> None:
    engine.answers["check_job"] = DONE
    assert "check_job: request id 4f2a" in cli("show", JOB, "-v").err


def test_text_of_a_job_commands_no_terminal(cli: Cli, engine: FakeEngine) -> None:
    engine.answers["check_job"] = FAILED | {"cause": FAILED["cause"] | {"detail": "\x1b]0;gotcha\x07 red\x1b[31m"}}
    assert "\x1b" not in cli("show", JOB).out


def test_without_an_address_it_says_how_to_give_one(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EE_URL")
    done = cli("jobs")
    assert done.code == 2
    assert "Set EE_URL or --url" in done.err
    assert "data/endpoints.json does not exist" in done.err


def test_without_a_token_it_says_how_to_give_one(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EE_TOKEN")
    done = cli("jobs")
    assert done.code == 2
    assert "No token: set EE_TOKEN, or name a file that holds one with --token-file." in done.err


@pytest.fixture
def local_engine(tmp_path: Path) -> None:
    """The data folder of an engine on this machine, in the working directory."""
    data = tmp_path / "data"
    data.mkdir()
    (data / "endpoints.json").write_text(json.dumps({"execution_engine": URL}))
    (data / "tokens.json").write_text(json.dumps({"alice": "ALICES", "bob": "BOBS"}))


@pytest.mark.usefixtures("local_engine")
def test_an_engine_in_the_working_directory_is_found(
    cli: Cli, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("EE_URL")
    monkeypatch.delenv("EE_TOKEN")
    engine.answers["list_jobs"] = {"jobs": []}
    cli("jobs")
    cli("jobs", "--user", "bob")
    assert engine.tokens == ["ALICES", "BOBS"]
    done = cli("jobs", "--user", "carol")
    assert done.code == 2
    assert "has no token of 'carol'; it has those of alice, bob." in done.err


@pytest.mark.usefixtures("local_engine")
def test_a_local_token_goes_to_no_other_engine(cli: Cli, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EE_TOKEN")
    assert cli("jobs", "--url", "http://elsewhere.example/services/ee").code == 2
    assert engine.requests == []


def test_a_token_file(cli: Cli, engine: FakeEngine, tmp_path: Path) -> None:
    engine.answers["list_jobs"] = {"jobs": []}
    file = tmp_path / "token"
    file.write_text("FROMFILE\n")
    cli("jobs", "--token-file", str(file))
    assert engine.tokens == ["FROMFILE"]
    file.write_text("")
    assert "is empty" in cli("jobs", "--token-file", str(file)).err
    assert "can't be read" in cli("jobs", "--token-file", str(tmp_path / "none")).err


def test_what_is_no_engine_is_said_so(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    page = requests.Response()
    page.status_code = 404
    page._content = b"<html>Not Found</html>"
    monkeypatch.setattr(requests.adapters.HTTPAdapter, "send", lambda *_args, **_options: page)
    done = cli("jobs")
    assert done.code == 3
    assert f"What answers at {URL} is no Execution Engine (HTTP 404)" in done.err


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (requests.ConnectionError("refused"), "nothing answers there"),
        (requests.ConnectTimeout(), "no connection within 5 s"),
        (requests.ReadTimeout(), "no answer within 60 s"),
        (requests.exceptions.SSLError(), "its certificate is not accepted"),
    ],
)
def test_an_engine_out_of_reach(cli: Cli, monkeypatch: pytest.MonkeyPatch, error: Exception, words: str) -> None:
    def fail(*_args: Any, **_options: Any) -> None:
        raise error

    monkeypatch.setattr(requests.adapters.HTTPAdapter, "send", fail)
    done = cli("jobs")
    assert (done.code, done.err) == (3, f"Error: Can't reach the engine at {URL}: {words}.\n")


def test_an_address_that_is_none(cli: Cli) -> None:
    done = cli("jobs", "--url", "engine.example")
    assert done.code == 3
    assert "this is no http or https address" in done.err


@pytest.mark.parametrize("text", ["soon", "2h30", "2026-13-01"])
def test_a_time_that_is_none(cli: Cli, text: str) -> None:
    done = cli("jobs", "--since", text)
    assert done.code == 2
    assert f"{text!r} is no time" in done.err


def test_help_has_the_exit_codes(cli: Cli) -> None:
    out = cli("--help").out
    for code in (0, 1, 2, 3, 4, 5, 6, 7, 130):
        assert re.search(rf"^ +{code}  \w", out, re.MULTILINE)


def test_the_reference_has_every_command_option_and_exit_code() -> None:
    page = render_reference()
    for name, command in program.commands.commands.items():
        assert f"## execution-engine {name}" in page
        for option in command.params:
            assert option.opts[0] in page or option.human_readable_name in page
    for code in Exit:
        assert f"| {int(code)} | " in page
    assert "## execution-engine submit METHOD [KEY=VALUE]..." in page
