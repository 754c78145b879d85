"""What the backend makes of Slurm's answers, of a Slurm that is told what to answer."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from execution_engine.backends.base import (
    Absent,
    Accepted,
    Found,
    Refused,
    Requirements,
    SightingState,
    Submission,
    Unknown,
)
from execution_engine.backends.slurm import SlurmBackend
from execution_engine.backends.slurm.session import JobRequest, JobRow, Node, Partition, Rejection, Session, Trouble
from execution_engine.backends.slurm.settings import ByGroup, SlurmSettings
from execution_engine.config import BackendSettings, ClientGroupSettings, Settings
from execution_engine.core.errors import BackendUnavailable, ConfigurationError


class ToldSlurm(Session):
    """Lists ``rows``, answers submissions by ``on_submit``."""

    def __init__(self) -> None:
        self.rows: list[JobRow] = []
        self.others: list[JobRow] = []
        self.requests: list[JobRequest] = []
        self.cancelled: list[int] = []
        self.on_submit: Callable[[JobRequest], int] = lambda _: len(self.requests)
        self.machines = [Node("n1", ("main",), 8, 2, 16000, 200, "mixed", "")]
        self.queues = [Partition("main", True, "UP"), Partition("big", False, "DOWN")]

    @contextmanager
    def begin(self) -> Iterator[Session]:
        yield self

    def own_jobs(self) -> list[JobRow]:
        return self.rows

    def waiting_jobs(self) -> list[JobRow]:
        return [row for row in [*self.rows, *self.others] if row.state == "PENDING"]

    def submit(self, request: JobRequest) -> int:
        self.requests.append(request)
        return self.on_submit(request)

    def cancel(self, job_ids: Sequence[int]) -> None:
        self.cancelled += job_ids

    def nodes(self) -> list[Node]:
        return self.machines

    def partitions(self) -> list[Partition]:
        return self.queues


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def slurm() -> ToldSlurm:
    return ToldSlurm()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def backend(slurm: ToldSlurm, clock: Clock, tmp_path: Path) -> SlurmBackend:
    settings = SlurmSettings(
        user="kbase",
        partition=ByGroup(None, {"bigmem": "big"}),
        account=ByGroup("kb"),
        jobcomp_file=str(tmp_path / "jobcomp.log"),
    )
    (tmp_path / "jobcomp.log").touch()
    made = SlurmBackend("hpc", settings, b"", "http://x", client_groups=["njs", "bigmem"], clock=clock)
    made._way = slurm.begin
    return made


def job(number: int, **changes: object) -> Submission:
    job_id = f"{number:024x}"
    values = {
        "tag": f"ee.{job_id}.1",
        "job_id": job_id,
        "attempt": 1,
        "ticket": "eet_secret",
        "requirements": Requirements(2, 300, 1),
        "client_group": "njs",
        "user": "alice",
        **changes,
    }
    return Submission(**values)  # type: ignore[arg-type]


def row(number: int, of: Submission, state: str = "RUNNING", **values: object) -> JobRow:
    return JobRow(number, of.tag, state, **values)  # type: ignore[arg-type]


def test_what_a_job_asks_for(backend: SlurmBackend, slurm: ToldSlurm) -> None:
    asked = job(1, client_group="bigmem", time_limit_s=3601, user="al ice|é")
    assert backend.submit([asked, job(2)]).keys() == {asked.tag, job(2).tag}
    first, second = slurm.requests
    assert (first.partition, first.account, first.qos) == ("big", "kb", None)
    assert (first.cpus, first.memory_mb, first.disk_mb, first.minutes) == (2, 300, None, 63)
    assert first.comment == "client_group=bigmem&user=al+ice%7C%C3%A9"
    assert (second.partition, second.minutes) == (None, None)
    assert "eet_secret" in first.script
    assert "eet_secret" not in repr(replace(first, script=""))


def test_the_margin_of_the_time_limit_gives_way(backend: SlurmBackend, slurm: ToldSlurm) -> None:
    def at_most_an_hour(request: JobRequest) -> int:
        if (request.minutes or 0) > 60:
            raise Rejection("Requested time limit is invalid (missing or exceeds some limit)")
        return 7

    slurm.on_submit = at_most_an_hour
    fits, longer = job(1, time_limit_s=3600), job(2, time_limit_s=3660)
    outcome = backend.submit([fits, longer])
    assert outcome[fits.tag] == Accepted(f"7:{fits.tag}")
    assert outcome[longer.tag] == Refused(
        "Slurm refuses the job: 63 minutes are longer than the default partition allows.", transient=False
    )


def test_an_answer_that_does_not_come_leaves_one_job_unknown_and_the_rest_for_later(
    backend: SlurmBackend, slurm: ToldSlurm
) -> None:
    def second_time_silent(_: JobRequest) -> int:
        if len(slurm.requests) == 2:
            raise Trouble("no answer")
        return len(slurm.requests)

    slurm.on_submit = second_time_silent
    jobs = [job(number) for number in range(1, 5)]
    outcome = list(backend.submit(jobs).values())
    assert outcome[0] == Accepted(f"1:{jobs[0].tag}")
    assert outcome[1] == Unknown("Slurm did not say whether it took the job: no answer.")
    assert outcome[2:] == [Refused("Slurm stopped answering: no answer.", transient=True)] * 2
    assert len(slurm.requests) == 2


def test_a_slow_slurm_does_not_hold_up_the_dispatcher(backend: SlurmBackend, slurm: ToldSlurm, clock: Clock) -> None:
    def slow(_: JobRequest) -> int:
        clock.now += 15
        return 1

    slurm.on_submit = slow
    outcome = backend.submit([job(number) for number in range(1, 5)])
    assert [type(answer) for answer in outcome.values()] == [Accepted, Accepted, Refused, Refused]
    assert list(outcome.values())[3] == Refused("Slurm takes jobs too slowly.", transient=True)


def test_a_tag_that_slurm_has_is_not_submitted_again(backend: SlurmBackend, slurm: ToldSlurm) -> None:
    known = job(1)
    slurm.rows = [row(7, known), row(8, known, "FAILED")]
    assert backend.submit([known, known]) == {known.tag: Accepted(f"7:{known.tag}")}
    assert slurm.requests == []


def test_of_two_jobs_of_one_tag_the_one_that_lives_counts(backend: SlurmBackend, slurm: ToldSlurm) -> None:
    twice = job(1)
    slurm.rows = [row(8, twice), row(7, twice, "FAILED", exit_code=3, nodes="n1")]
    assert backend.poll([f"7:{twice.tag}"])[f"7:{twice.tag}"].state is SightingState.RUNNING
    backend.cancel([f"7:{twice.tag}"])
    assert slurm.cancelled == [8]


def test_a_number_that_another_job_has_got_proves_nothing(
    backend: SlurmBackend, slurm: ToldSlurm, clock: Clock
) -> None:
    forgotten, other = job(1), job(2)
    it = f"7:{forgotten.tag}"
    slurm.rows = [row(7, other)]
    backend.cancel([it])
    assert slurm.cancelled == []
    seen = backend.poll([it])[it]
    assert (seen.state, seen.reason) == (SightingState.UNKNOWN, "Slurm does not list it; a node may still report it.")
    clock.now += backend.settle_seconds
    assert backend.poll([it])[it].state is SightingState.GONE
    slurm.rows = [row(7, other), row(9, forgotten)]
    assert backend.poll([it])[it].state is SightingState.RUNNING
    slurm.rows = []
    assert backend.poll([it])[it].state is SightingState.UNKNOWN


def test_where_the_accounting_is_silent_nothing_is_gone(backend: SlurmBackend, tmp_path: Path, clock: Clock) -> None:
    (tmp_path / "jobcomp.log").unlink()
    it = f"7:{job(1).tag}"
    backend.poll([it])
    clock.now += 1000
    seen = backend.poll([it, "x:y"])
    assert seen[it].state is SightingState.UNKNOWN
    assert "jobcomp.log can't be read: No such file" in (seen[it].reason or "")
    found = backend.find([job(1).tag, "no tag"])
    assert isinstance(found[job(1).tag], Unknown)
    assert found["no tag"] == Absent()


def test_a_job_that_slurm_lists_no_more_is_found_in_the_accounting(backend: SlurmBackend, tmp_path: Path) -> None:
    old = job(1)
    (tmp_path / "jobcomp.log").write_text(
        f"JobId=7 UserId=kbase(900) GroupId=kbase(900) Name={old.tag} JobState=FAILED Partition=main TimeLimit=10 "
        "StartTime=x EndTime=y NodeList=n1 NodeCnt=1 WorkDir=/ Tres=cpu=1 DerivedExitCode=0:0 ExitCode=3:0 \n"
        f"JobId=8 UserId=mallory(901) GroupId=x(1) Name={job(2).tag} JobState=COMPLETED Partition=main TimeLimit=10 "
        "StartTime=x EndTime=y NodeList=n1 NodeCnt=1 WorkDir=/ Tres=cpu=1 DerivedExitCode=0:0 ExitCode=0:0 \n"
    )
    it = f"7:{old.tag}"
    assert backend.find([old.tag, job(2).tag]) == {old.tag: Found(it), job(2).tag: Absent()}
    seen = backend.poll([it])[it]
    assert (seen.state, seen.exit_code) == (SightingState.GONE, 3)


def test_positions_are_among_all_peoples_jobs_of_a_partition(backend: SlurmBackend, slurm: ToldSlurm) -> None:
    low, high, big, runs, held = (job(number) for number in range(1, 6))
    pending = {"partition": "main", "reason": "Priority"}
    slurm.rows = [
        row(1, low, "PENDING", priority=5, **pending),
        row(2, high, "PENDING", priority=9, comment="client_group=n+j%7C&user=alice", **pending),
        row(3, big, "PENDING", priority=1, **{**pending, "partition": "big"}),
        row(4, runs),
        row(5, held, "PENDING", priority=0, partition="main", reason="JobHeldUser"),
        JobRow(6, "somebody's own job of our account", "PENDING", partition="main", priority=7),
        row(7, job(9), "COMPLETED"),
    ]
    slurm.others = [JobRow(8, "x", "PENDING", partition="main", priority=8)]
    entries = backend.queue()
    assert [(entry.tag, entry.position) for entry in entries] == [
        (high.tag, 1),
        (big.tag, 1),
        (low.tag, 4),
        (runs.tag, None),
        (held.tag, None),
    ]
    assert (entries[0].backend_id, entries[0].client_group) == (f"2:{high.tag}", "n j|")


def test_resources_of_groups_say_why_nothing_can_start(backend: SlurmBackend, slurm: ToldSlurm) -> None:
    slurm.machines += [
        Node("n2", ("main",), 8, 0, 16000, 0, "down*", "no answer"),
        Node("n3", ("other",), 8, 0, 16000, 0, "idle", ""),
    ]
    resources = backend.resources()
    njs, bigmem = resources.groups
    assert (resources.cpus_total, resources.cpus_used, resources.slots_total) == (16, 2, 8)
    assert (njs.client_group, njs.nodes_total, njs.nodes_usable, njs.reason) == ("njs", 2, 1, None)
    assert bigmem.reason == "The partition big is closed (its state is DOWN)."
    slurm.machines = [Node("n1", ("main",), 8, 0, 16000, 0, "idle+drain", "disk broken")]
    assert (
        backend.resources().groups[0].reason == "No node of the partition main can be used (idle+drain: disk broken)."
    )
    slurm.queues = []
    assert [group.reason for group in backend.resources().groups] == [
        "Slurm has no default partition, and none is set.",
        "Slurm has no partition big.",
    ]


def test_a_size_that_does_not_fit_is_said_with_what_there_is(backend: SlurmBackend, slurm: ToldSlurm) -> None:
    def refuse(_: JobRequest) -> int:
        raise Rejection("Requested node configuration is not available", 2014)

    slurm.on_submit = refuse
    assert backend.submit([job(1)])[job(1).tag] == Refused(
        "Slurm refuses the job: no node of the default partition has 2 CPUs and 300 MiB of memory. "
        "The most that a node there has: 8 CPUs, 16000 MiB of memory.",
        transient=False,
    )


def test_trouble_is_told_with_the_backends_name(
    backend: SlurmBackend, slurm: ToldSlurm, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> list[JobRow]:
        raise Trouble("squeue did not answer within 10 s")

    monkeypatch.setattr(slurm, "own_jobs", fail)
    with pytest.raises(BackendUnavailable) as caught:
        backend.poll([])
    assert caught.value.message == "the backend hpc can't be used: squeue did not answer within 10 s."


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rest-url": "ftp://x", "token-file": "t"}, "rest-url is 'ftp://x'; expected http://HOST:PORT, "),
        ({"rest-url": "http://x:1"}, r"\[backend:hpc\] has rest-url but no token-file; name the file "),
        ({"rest-version": "v0.0.1"}, r"rest-version is 'v0.0.1'; expected one of v0\.0\.38\."),
        ({"request-disk": "maybe"}, "request-disk is 'maybe'; expected one of no, yes"),
        ({"timeout-seconds": "soon"}, "timeout-seconds is 'soon'; expected a whole number"),
        ({"partitoin": "x"}, r"has no option partitoin; the kind slurm knows user, .*partition, partition\.GROUP"),
    ],
)
def test_options_that_can_not_be_used(options: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        SlurmBackend.from_settings(BackendSettings("hpc", "slurm", options), Settings())


def test_options_by_group_and_the_groups_that_are_served() -> None:
    section = BackendSettings("hpc", "slurm", {"partition": "main", "partition.bigmem": "big", "qos.njs": "high"})
    groups = {name: ClientGroupSettings(name, ("hpc",)) for name in ("njs", "bigmem")}
    groups["local"] = ClientGroupSettings("local", ("local",))
    made = SlurmBackend.from_settings(section, Settings(client_groups=groups))
    assert made._partitions == {"njs": "main", "bigmem": "big"}
    assert (made._settings.qos.of("njs"), made._settings.qos.of("bigmem")) == ("high", None)
    assert "Slurm's commands" in made.notice
