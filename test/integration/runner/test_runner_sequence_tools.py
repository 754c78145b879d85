"""The example apps, executed by the real runner, with reports in the embedded Workspace."""

import json
import threading
import urllib.request
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import mongomock
import pytest
from runner_engine import RunnerEngine
from werkzeug.serving import make_server

from execution_engine import examples
from execution_engine.embedded.workspace import create_workspace_app

Start = Callable[..., Any]
FOLDER = Path(examples.__path__[0]) / "sequence_tools"
TOKENS = {"token-of-alice": "alice", "token-of-bob": "bob"}


class Workspace:
    """The embedded Workspace over HTTP. ``outages``: so many requests are answered as by a proxy without it."""

    def __init__(self) -> None:
        database = mongomock.MongoClient(tz_aware=True)["kbase"]
        self._app = create_workspace_app(database, TOKENS.get, lambda _: [], set(TOKENS.values()).__contains__)
        self.outages = 0
        self.server = make_server("127.0.0.1", 0, self)
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def __call__(self, environ: Any, start_response: Any) -> Iterable[bytes]:
        if self.outages:
            self.outages -= 1
            environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
            start_response("502 Bad Gateway", [("Content-Type", "text/html")])
            return [b"<html>Bad Gateway</html>"]
        return self._app(environ, start_response)

    def call(self, method: str, params: dict[str, Any]) -> Any:
        body = {"version": "1.1", "id": "1", "method": f"Workspace.{method}", "params": [params]}
        request = urllib.request.Request(  # noqa: S310 - our own server
            self.url, json.dumps(body).encode(), {"Authorization": "token-of-alice"}
        )
        with urllib.request.urlopen(request) as response:  # noqa: S310 - as above
            return json.load(response)["result"][0]


@pytest.fixture
def workspace(engine: RunnerEngine) -> Iterator[Workspace]:
    workspace = Workspace()
    thread = threading.Thread(target=workspace.server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    engine.work["services"] = {"workspace": workspace.url}
    engine.work["wsid"] = workspace.call("create_workspace", {"workspace": "narrative"})[0]
    engine.work["token"] = "token-of-alice"
    yield workspace
    workspace.server.shutdown()
    thread.join()
    workspace.server.server_close()


@pytest.fixture
def call(engine: RunnerEngine, start_runner: Start) -> Callable[..., Any]:
    """Runs a function as its manifest says; the job's one output value."""

    def run(function: str, params: dict[str, Any]) -> Any:
        manifest = json.loads((FOLDER / "manifest.json").read_text())
        command = manifest["functions"][function]["command"]
        engine.work["app"] = {"kind": "command", "command": command, "directory": str(FOLDER)}
        engine.work.update(method=f"sequence_tools.{function}", params=[params])
        assert start_runner().exit_code() == 0
        return engine.finishes[0].get("output", [None])[0]

    return run


@pytest.mark.parametrize(
    ("function", "params", "expected", "line"),
    [
        ("assembly_stats", {"sequence": "NC_005816"}, {"total_length": 9609, "n50": 9609}, "Total length: 9,609 bp"),
        ("find_orfs", {"sequence": "NC_005816", "min_length": 300}, {"count": 3}, "amino acids"),
        ("count_kmers", {"sequence": "NC_005816", "k": 1}, {"total": 9609, "distinct": 4}, "different ones: 4"),
        ("long_task", {"seconds": 0.2, "lines_per_second": 50}, {"lines": 10}, "line 10 of 10"),
    ],
)
def test_a_function_of_the_module(
    engine: RunnerEngine, call: Start, function: str, params: dict[str, Any], expected: dict[str, Any], line: str
) -> None:
    output = call(function, params)
    assert {name: output[name] for name in expected} == expected
    assert any(line in printed for printed in engine.lines())
    assert engine.lines("stderr") == []
    assert "report_ref" not in output


def test_a_report_in_the_workspace(engine: RunnerEngine, call: Start, workspace: Workspace) -> None:
    output = call("assembly_stats", {"sequence": "NC_005816"})
    assert output["report_name"] == f"assembly_stats_report_{engine.job_id}"
    assert output["report_ref"] == f"{engine.work['wsid']}/1/1"
    (saved,) = workspace.call("get_objects2", {"objects": [{"ref": output["report_ref"]}]})["data"]
    assert saved["info"][2].startswith("KBaseReport.Report")
    assert saved["data"]["text_message"].splitlines() == [
        "Contigs: 1",
        "Total length: 9,609 bp",
        "Longest contig: 9,609 bp",
        "N50: 9,609 bp",
        "GC: 45.26 %",
    ]
    assert saved["data"]["objects_created"] == []
    assert saved["provenance"][0]["method"] == "assembly_stats"
    assert saved["provenance"][0]["service_ver"] == "0f0f0f"


def test_a_workspace_that_is_away_for_a_moment(call: Start, workspace: Workspace) -> None:
    workspace.outages = 2
    assert call("count_kmers", {"fasta": ">a\nACGT"})["report_ref"]


def test_a_workspace_that_the_user_can_not_write(engine: RunnerEngine, call: Start, workspace: Workspace) -> None:
    engine.work["token"] = "token-of-bob"
    assert call("count_kmers", {"fasta": ">a\nACGT"}) is None
    assert engine.cause()["message"] == (
        "The result was computed, but its report could not be saved: User bob may not write to workspace"
        f" {engine.work['wsid']}"
    )
    assert workspace.outages == 0


def test_a_job_in_a_workspace_without_a_token(engine: RunnerEngine, call: Start, workspace: Workspace) -> None:
    del engine.work["token"]
    assert call("count_kmers", {"fasta": ">a\nACGT"}) is None
    assert engine.cause()["message"].startswith("The report can't be saved: the engine gave the app no Workspace")
    assert workspace.outages == 0


def test_bad_input_is_the_apps_own_error(engine: RunnerEngine, call: Start) -> None:
    assert call("find_orfs", {"fasta": "ACGT"}) is None
    message = "Line 1 of the FASTA text comes before any header: begin with a line like >contig1."
    assert engine.cause() == {"code": "app_error", "message": message, "exit_code": 1}
