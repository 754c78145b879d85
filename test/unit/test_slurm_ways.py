"""Both ways read the answers of one real cluster, and say alike what they tell."""

import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from slurm_recorded import COMMANDS, IDS, REST, body

from execution_engine.backends.slurm import accounting
from execution_engine.backends.slurm.accounting import JobCompletionFile, Sacct
from execution_engine.backends.slurm.capacity import is_usable
from execution_engine.backends.slurm.command_line import CommandLine
from execution_engine.backends.slurm.commands import Commands
from execution_engine.backends.slurm.refusals import refused
from execution_engine.backends.slurm.rest import RestSession
from execution_engine.backends.slurm.rest_v0_0_38 import V0038
from execution_engine.backends.slurm.session import JobRequest, Rejection, Session, Trouble
from execution_engine.backends.slurm.states import sighting

REQUEST = JobRequest(
    "ee.68e5f0a1b2c3d4e5f6a7ffff.1",
    "user=alice",
    "#!/bin/sh\n",
    9,
    99999,
    None,
    99999,
    "nope",
    "nope",
    "nope",
    "/dev/null",
)
TAGS = {what: it.partition(":")[2] for what, it in IDS.items()}


class Recorded:
    """A connection that gives one recorded answer."""

    token = "TOKEN"

    def __init__(self, name: str) -> None:
        self.name = name
        self.asked: list[tuple[str, str, Any]] = []

    def ask(self, method: str, path: str, content: Any = None) -> Any:
        self.asked.append((method, path, content))
        return body(self.name)


def rest(name: str) -> RestSession:
    return RestSession(Recorded(name), "/slurm/v0.0.38", V0038(), "root")  # type: ignore[arg-type]


def commands(monkeypatch: pytest.MonkeyPatch, answer: str = "", code: int = 0, error: str = "") -> list[list[str]]:
    """From now on every command answers this; the commands that were run."""
    run: list[list[str]] = []

    def play(command: list[str], **_: Any) -> Any:
        run.append(command)
        return subprocess.CompletedProcess(command, code, answer.encode(), error.encode())

    monkeypatch.setattr(subprocess, "run", play)
    return run


def command_line() -> CommandLine:
    return CommandLine(Commands("", 5))


def test_both_see_the_same_jobs(monkeypatch: pytest.MonkeyPatch) -> None:
    run = commands(monkeypatch, COMMANDS["squeue"])
    seen = {row.id: row for row in command_line().own_jobs()}
    assert "--me" in run[0]
    # Asked some seconds later, and after some more submissions.
    assert {number: seen[number] for number in range(1, 13)} == {row.id: row for row in rest("jobs").own_jobs()}


def test_both_see_the_same_nodes_and_partitions(monkeypatch: pytest.MonkeyPatch) -> None:
    commands(monkeypatch, COMMANDS["sinfo nodes"])
    # Their words for how much of a node is in use differ.
    first, second = (
        [(replace(node, state=""), is_usable(node)) for node in way.nodes()] for way in (command_line(), rest("nodes"))
    )
    assert first == second
    assert [(node.name, node.reason, usable) for node, usable in first] == [
        ("db1", "", True),
        ("db2", "disk | broken", False),
    ]
    commands(monkeypatch, COMMANDS["sinfo partitions"])
    assert command_line().partitions() == rest("partitions").partitions()


@pytest.mark.parametrize(
    ("what", "words"),
    [
        ("too many cpus", "no node of the partition nope can give 9 CPUs"),
        ("too much memory", "no node of the partition nope has 9 CPUs and 99999 MiB of memory"),
        ("no partition", "there is no such partition as nope"),
        ("too long", "99999 minutes are longer than the partition nope allows"),
    ],
)
def test_both_understand_why_a_job_is_refused(monkeypatch: pytest.MonkeyPatch, what: str, words: str) -> None:
    told = COMMANDS[f"sbatch {what}"]
    commands(monkeypatch, "", told["code"], told["stderr"])
    ways: list[Session] = [command_line(), rest(what)]
    for way in ways:
        with pytest.raises(Rejection) as caught:
            way.submit(REQUEST)
        answer = refused(caught.value, REQUEST)
        assert (answer.message, answer.transient) == (f"Slurm refuses the job: {words}.", False)


def test_what_may_pass_is_no_refusal_for_good() -> None:
    answer = refused(Rejection("Job violates accounting/QOS policy", 2050), REQUEST)
    assert (answer.message, answer.transient) == (
        "Slurm does not take the job now: Job violates accounting/QOS policy.",
        True,
    )


def test_a_submission_carries_no_more_than_it_should(monkeypatch: pytest.MonkeyPatch) -> None:
    run = commands(monkeypatch, "4711;cluster\n")
    modest = replace(REQUEST, partition=None, account=None, qos=None, minutes=None)
    assert command_line().submit(modest) == 4711
    assert {"--no-requeue", "--export=ALL", "--mem=99999M"} <= set(run[0])
    assert not [
        option for option in run[0] if option.startswith(("--partition", "--account", "--qos", "--time", "--tmp"))
    ]
    job = V0038().submission(modest)["job"]
    assert job["no_requeue"] is True
    assert not job.keys() & {"partition", "account", "qos", "time_limit", "temporary_disk_per_node"}
    assert rest("submitted").submit(modest) == body("submitted")["job_id"]


def test_a_remark_beside_a_number_is_no_refusal() -> None:
    assert body("accepted with a remark")["errors"]
    assert rest("accepted with a remark").submit(REQUEST) == 1


@pytest.mark.parametrize("name", ["controller down: jobs", "controller down: submit"])
def test_a_controller_that_is_down_is_trouble_by_rest(name: str) -> None:
    with pytest.raises(Trouble, match="controller"):
        rest(name).submit(REQUEST) if name.endswith("submit") else rest(name).own_jobs()


def test_a_controller_that_is_down_is_trouble_by_commands(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, call in (("squeue", command_line().own_jobs), ("sbatch", lambda: command_line().submit(REQUEST))):
        told = COMMANDS[f"{name} controller down"]
        commands(monkeypatch, "", told["code"], told["stderr"])
        with pytest.raises(Trouble, match="Unable to contact slurm controller"):
            call()


def test_jobs_that_are_not_there_can_be_cancelled() -> None:
    assert REST["cancel unknown"]["status"] == 500
    rest("cancel unknown").cancel([999999])
    rest("cancel ended").cancel([1])


@pytest.mark.parametrize("answer", ["Segmentation fault", "a|b\n" * 3, "1|RUNNING|None|n1|p|high|0|0||x\t\n"])
def test_nonsense_of_commands_is_trouble(monkeypatch: pytest.MonkeyPatch, answer: str) -> None:
    commands(monkeypatch, answer)
    for call in (command_line().own_jobs, command_line().nodes, lambda: command_line().submit(REQUEST)):
        with pytest.raises(Trouble, match="answered"):
            call()


@pytest.mark.parametrize("answer", [{}, {"errors": None}, {"errors": [], "jobs": [{}]}, {"errors": [], "jobs": 5}])
def test_nonsense_by_rest_is_trouble(monkeypatch: pytest.MonkeyPatch, answer: Any) -> None:
    monkeypatch.setitem(REST, "nonsense", {"body": answer})
    for call in (rest("nonsense").own_jobs, lambda: rest("nonsense").submit(REQUEST)):
        with pytest.raises(Trouble, match=r"answered something else|neither a number nor an error"):
            call()


def test_names_of_others_break_no_table(monkeypatch: pytest.MonkeyPatch) -> None:
    line = "5|PENDING|Priority||main|3|0|0|a|b|we|ird\nx\t\n"
    commands(monkeypatch, line + COMMANDS["squeue"])
    assert {row.id for row in command_line().waiting_jobs()} >= {5, 12}


def test_accounting_knows_what_has_ended(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    run = commands(monkeypatch, COMMANDS["sacct"])
    file = tmp_path / "jobcomp.log"
    file.write_text(COMMANDS["jobcomp"])
    for history in (Sacct(Commands("", 5), "root"), JobCompletionFile(file, "root")):
        ended = history.ended(set(TAGS.values()))
        reasons = {what: sighting(ended[tag]).reason for what, tag in TAGS.items() if tag in ended}
        assert reasons == {
            "completed": None,
            "failed": None,
            "killed": None,
            "oom": "out_of_memory",
            "timeout": "time_limit",
            "cancelled": "removed",
            "cancelled_waiting": "removed",
            "node": "node_died",
        }
        assert (ended[TAGS["failed"]].exit_code, ended[TAGS["failed"]].signal) == (3, None)
        assert not history.ended({"ee.68e5f0a1b2c3d4e5f6a7eeee.1"}) or run
    assert f"--name={','.join(sorted(TAGS.values()))}" in run[0]


def test_accounting_that_can_not_be_asked_is_trouble(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(Trouble, match=r"its file of finished jobs .*jobcomp.log can't be read: No such file"):
        accounting.ask([JobCompletionFile(tmp_path / "jobcomp.log", "root")], {"x"})
    commands(monkeypatch, "", 1, "Slurm accounting storage is disabled\n")
    with pytest.raises(Trouble, match="sacct: Slurm accounting storage is disabled"):
        accounting.ask([Sacct(Commands("", 5), "root")], {"x"})


def test_a_command_that_is_missing_or_slow_is_trouble() -> None:
    with pytest.raises(Trouble, match="no-such-command can't be started: No such file"):
        Commands("", 5).run(["no-such-command"])
    with pytest.raises(Trouble, match=r"sleep did not answer within 0\.05 s"):
        Commands("", 0.05).run(["sleep", "5"])


def test_commands_get_nothing_of_the_engines_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EE_TOKEN_KEY", "secret")
    assert "secret" not in Commands("/etc/slurm.conf", 5).run(["env"])
