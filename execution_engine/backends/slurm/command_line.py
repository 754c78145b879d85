"""Slurm by its commands: squeue, sbatch, scancel, sinfo."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from execution_engine.backends.slurm.commands import Commands, Failure
from execution_engine.backends.slurm.session import (
    JobRequest,
    JobRow,
    Node,
    Partition,
    Rejection,
    Session,
    Trouble,
    decode,
)

_SUBMISSION_FAILED = "Batch job submission failed: "
# What sbatch says if the controller was not reached or its answer did not come.
_NO_ANSWER = (
    "Unable to contact slurm controller",
    "Socket timed out",
    "Zero Bytes",
    "Communication",
    "Message receive",
)
_JOB_FIELDS = [
    *("JobID", "State", "Reason", "NodeList", "Partition"),
    *("PriorityLong", "exit_code", "restartcnt", "Comment", "Name"),
]
_NODE_FIELDS = ["NodeList", "PartitionName", "CPUsState", "Memory", "AllocMem", "StateComplete", "Reason"]
_PARTITION_FIELDS = ["PartitionName", "Partition", "Available"]
_IDS_PER_CALL = 500


class CommandLine(Session):
    """Each question is one command."""

    def __init__(self, commands: Commands) -> None:
        self._commands = commands

    @contextmanager
    def begin(self) -> Iterator[Session]:
        """The session; commands keep nothing between them."""
        yield self

    def own_jobs(self) -> list[JobRow]:
        """One ``squeue`` for all."""
        return self._jobs("--me", "--states=all")

    def waiting_jobs(self) -> list[JobRow]:
        """One ``squeue`` for all accounts."""
        return self._jobs("--states=PENDING")

    def submit(self, request: JobRequest) -> int:
        """One ``sbatch``, with the script as its input."""
        options = {
            "job-name": request.name,
            "comment": request.comment,
            "output": request.output,
            "chdir": "/",
            "export": "ALL",
            "nodes": "1",
            "ntasks": "1",
            "cpus-per-task": str(request.cpus),
            "mem": f"{request.memory_mb}M",
            "tmp": request.disk_mb and f"{request.disk_mb}M",
            "time": request.minutes and str(request.minutes),
            "partition": request.partition,
            "account": request.account,
            "qos": request.qos,
        }
        given = [f"--{name}={value}" for name, value in options.items() if value]
        try:
            answer = self._commands.run(["sbatch", "--parsable", "--no-requeue", *given], request.script)
            return int(answer.partition(";")[0])
        except Failure as failure:
            _, told, text = failure.text.partition(_SUBMISSION_FAILED)
            if not told or text.startswith(_NO_ANSWER):
                raise Trouble(f"sbatch: {text or failure.text}") from failure
            raise Rejection(text) from failure
        except ValueError as error:
            raise Trouble(f"sbatch answered {answer[:100]!r} instead of a job's number") from error

    def cancel(self, job_ids: Sequence[int]) -> None:
        """``scancel``, which does not mind ids of ended jobs."""
        for first in range(0, len(job_ids), _IDS_PER_CALL):
            self._ask(["scancel", *map(str, job_ids[first : first + _IDS_PER_CALL])])

    def nodes(self) -> list[Node]:
        """One ``sinfo``; a node has a line for each of its partitions."""
        found: dict[str, Node] = {}
        for line in self._table(["sinfo", "--noheader", "--Node"], _NODE_FIELDS):
            name, partition, cpus, memory, memory_used, state, reason = line
            partitions = (*(found[name].partitions if name in found else ()), partition)
            reason = "" if reason == "none" else reason
            try:
                used, _, _, total = map(int, cpus.split("/"))
                found[name] = Node(name, partitions, total, used, int(memory), int(memory_used), state, reason)
            except ValueError as error:
                raise Trouble(f"sinfo answered something that is no table of nodes: {error}") from error
        return list(found.values())

    def partitions(self) -> list[Partition]:
        """One ``sinfo``; the default partition's name has a star."""
        lines = self._table(["sinfo", "--noheader", "--summarize"], _PARTITION_FIELDS)
        return [Partition(name, label.endswith("*"), state.upper()) for name, label, state in lines]

    def _jobs(self, *options: str) -> list[JobRow]:
        lines = self._table(["squeue", "--noheader", "--array", *options], _JOB_FIELDS)
        return [_job(line) for line in lines]

    def _table(self, command: list[str], fields: Sequence[str]) -> list[list[str]]:
        """The lines of a table; the last field may hold any character.

        Names and comments of other people's jobs may hold line breaks, and so make lines that are no lines of ours.
        """
        separated = ",".join(f"{name}:|" for name in fields[:-1])
        answer = self._ask([*command, f"--Format={separated},{fields[-1]}:\t"])
        lines = [line.removesuffix("\t").split("|", len(fields) - 1) for line in answer.splitlines() if line]
        whole = [line for line in lines if len(line) == len(fields)]
        if lines and not whole:
            raise Trouble(f"{command[0]} answered something that is no table of jobs or nodes: {answer[:100]!r}")
        return whole

    def _ask(self, command: list[str]) -> str:
        try:
            return self._commands.run(command)
        except Failure as failure:
            raise Trouble(f"{failure.command}: {failure.text}") from failure


def _job(line: Sequence[str]) -> JobRow:
    number, state, reason, nodes, partition, priority, status, restarts, comment, name = line
    try:
        exit_code, signal = decode(int(status))
        return JobRow(
            id=int(number.partition("_")[0]),
            name=name,
            state=state,
            reason=reason,
            nodes=nodes,
            partition=partition,
            priority=int(priority),
            exit_code=exit_code,
            signal=signal,
            restarts=int(restarts),
            comment=comment,
        )
    except ValueError as error:
        raise Trouble(f"squeue answered something that is no table of jobs: {error}") from error
