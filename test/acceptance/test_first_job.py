"""A first job, as a client of the API lives it."""

from typing import Any

from test.conftest import Stack, wait_until

METHOD = "sequence_tools.assembly_stats"
PLASMID = {"sequence": "NC_005816"}


def follow(stack: Stack, job_id: str) -> list[Any]:
    """The log, fetched piece by piece until the job has ended."""
    lines: list[Any] = []

    def ended() -> bool:
        piece = stack.call("get_logs", {"job_id": job_id, "skip": len(lines), "limit": 2}, "alice")
        lines.extend(piece["lines"])
        assert piece["next_line"] == len(lines)
        return bool(piece["ended"]) and len(lines) == piece["total_lines"]

    wait_until(ended, 60, "the end of the log")
    return lines


def test_from_submission_to_result(stack: Stack) -> None:
    job_id = stack.call("run_job", {"method": METHOD, "params": [PLASMID]}, "alice")
    lines = follow(stack, job_id)
    assert [line["n"] for line in lines] == list(range(len(lines)))
    assert "Total length: 9,609 bp" in [line["line"] for line in lines]
    assert {line["stream"] for line in lines} == {"stdout"}
    job = stack.call("check_job", {"job_id": job_id}, "alice")
    assert (job["status"], job["user"], job["method"], job["attempt"]) == ("completed", "alice", METHOD, 1)
    assert job["params"] == [PLASMID]
    (result,) = job["output"]
    assert (result["contigs"], result["total_length"], result["n50"]) == (1, 9609, 9609)
    assert job["created"] <= job["queued"] <= job["running"] <= job["finished"] == job["updated"]
    events = [entry["event"] for entry in job["history"]]
    assert (events[:2], events[-1], events.count("started")) == (["created", "claimed"], "completed", 1)
    assert [entry["actor"] for entry in job["history"]][:2] == ["alice", "engine"]
    assert "wsid" not in job
    assert stack.call("get_report", {"job_id": job_id}, "alice") == {"reports": []}


def test_version_is_resolved_to_a_commit(stack: Stack) -> None:
    asked = {"method": METHOD, "params": [PLASMID]}
    commits = set()
    for version in ("release", "beta", "dev", "1.0.0"):
        job_id = stack.call("run_job", {**asked, "service_ver": version}, "alice")
        commits.add(stack.wait_for(job_id)["service_ver"])
    (commit,) = commits
    assert len(commit) == 40
    job_id = stack.call("run_job", {**asked, "service_ver": commit}, "alice")
    assert stack.wait_for(job_id)["status"] == "completed"


def test_job_in_a_workspace_leaves_a_report(stack: Stack) -> None:
    wsid = stack.new_workspace("alice", bob="r")
    job_id = stack.call("run_job", {"method": METHOD, "params": [PLASMID], "wsid": wsid}, "alice")
    job = stack.wait_for(job_id)
    assert (job["status"], job["wsid"]) == ("completed", wsid)
    (result,) = job["output"]
    assert job["reports"] == [result["report_ref"]]
    assert result["report_ref"].split("/")[0] == str(wsid)
    for user in ("alice", "bob"):
        (report,) = stack.call("get_report", {"job_id": job_id}, user)["reports"]
        assert report["ref"] == result["report_ref"]
        assert report["name"] == result["report_name"] == f"assembly_stats_report_{job_id}"
        assert "Total length: 9,609 bp" in report["text"]


def test_progress_is_shown_while_a_job_runs(stack: Stack) -> None:
    asked = {"method": "sequence_tools.long_task", "params": [{"seconds": 300, "lines_per_second": 1}]}
    job_id = stack.call("run_job", asked, "alice")

    def shown() -> Any:
        return stack.call("check_job", {"job_id": job_id, "fields": ["progress", "last_contact"]}, "alice").get(
            "progress"
        )

    progress = wait_until(shown, 60, "progress")
    assert 0 <= progress["percent"] < 100
    stack.call("cancel_job", {"job_id": job_id}, "alice")
    job = stack.wait_for(job_id)
    assert job["status"] == "terminated"
    assert "progress" not in job


def test_bad_input_is_the_apps_own_error(stack: Stack) -> None:
    job_id = stack.call("run_job", {"method": METHOD, "params": [{"fasta": "ACGT"}]}, "alice")
    job = stack.wait_for(job_id)
    assert (job["status"], job["cause"]["code"], job["cause"]["exit_code"]) == ("error", "app_error", 1)
    message = "Line 1 of the FASTA text comes before any header: begin with a line like >contig1."
    assert job["cause"]["message"] == message
    assert job["cause"]["advice"] == "Read the log's last lines; correct the input and run it again."
    last = stack.call("get_logs", {"job_id": job_id, "tail": 1}, "alice")["lines"][0]
    assert (last["line"], last["stream"]) == (message, "stderr")


def test_the_app_acts_as_the_user_and_the_token_is_forgotten(drills: Stack) -> None:
    gate = drills.folder / "identity.gate"
    asked = {"method": "drill.identity", "params": [{"gate": str(gate)}]}
    job_id = drills.call("run_job", asked, "bob")
    drills.wait_for(job_id, "running", user="bob")
    inputs = drills.database().job_io

    def kept() -> Any:
        return inputs.find_one({"_id": f"{job_id}.in"}).get("token")

    token = drills.token("bob").encode()
    assert token not in kept()
    assert all(token not in file.read_bytes() for file in (drills.data / "logs").iterdir())
    gate.touch()
    assert drills.wait_for(job_id, user="bob")["output"] == ["bob"]
    wait_until(lambda: kept() is None, what="the end of the token")
    assert not list((drills.data / "local").glob(f"**/ee.{job_id}.1/work/token"))
