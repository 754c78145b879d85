"""Jobs that the controller has forgotten: what sacct, and the file of finished jobs, still know of them."""

import re
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Protocol

from execution_engine.backends.slurm.commands import Commands, Failure
from execution_engine.backends.slurm.session import JobRow, Trouble
from execution_engine.backends.slurm.states import is_alive

_SINCE = "now-30days"
_TAGS_PER_CALL = 500
_TAIL_BYTES = 16 << 20
_FIELDS = "JobIDRaw,State,ExitCode,NodeList,Partition,JobName"
_LINE = re.compile(
    r"JobId=(?P<id>\d+) UserId=(?P<user>[^( ]+)\(\d+\) GroupId=\S+ Name=(?P<name>\S+) JobState=(?P<state>\S+) "
    r"Partition=(?P<partition>\S+) .* NodeList=(?P<nodes>\S+) .* ExitCode=(?P<exit>\d+:\d+)\s*"
)
_NO_NODES = frozenset({"None assigned", "(null)"})


class History(Protocol):
    """Something that remembers ended jobs."""

    def ended(self, tags: Collection[str]) -> dict[str, JobRow]:
        """Those of the jobs with these names that it knows.

        Raises:
            Trouble: it can't be asked.
        """


class Sacct:
    """Slurm's database, by its command, some seconds behind the controller."""

    def __init__(self, commands: Commands, user: str) -> None:
        self._commands = commands
        self._user = user

    def ended(self, tags: Collection[str]) -> dict[str, JobRow]:
        """Asks for names, since a number may be given to a second job, and for text, whose exit codes are right."""
        names = sorted(tags)
        options = ["--noheader", "--parsable2", "--allocations", "--duplicates", f"--starttime={_SINCE}"]
        found: dict[str, JobRow] = {}
        for first in range(0, len(names), _TAGS_PER_CALL):
            wanted = ",".join(names[first : first + _TAGS_PER_CALL])
            command = ["sacct", *options, f"--format={_FIELDS}", f"--user={self._user}", f"--name={wanted}"]
            try:
                answer = self._commands.run(command)
            except Failure as failure:
                raise Trouble(f"sacct: {failure.text}") from failure
            rows = map(_sacct_row, answer.splitlines())
            # What the controller does not list does not live, whatever the database believes.
            found.update((row.name, row) for row in rows if not is_alive(row))
        return found


class JobCompletionFile:
    """The file that ``jobcomp/filetxt`` appends a line to when a job ends; it has no comments, but names."""

    def __init__(self, path: Path, user: str) -> None:
        self._path = path
        self._user = user

    def ended(self, tags: Collection[str]) -> dict[str, JobRow]:
        """Looks through the last 16 MiB, some 40,000 jobs."""
        try:
            with self._path.open("rb") as file:
                file.seek(max(0, file.seek(0, 2) - _TAIL_BYTES))
                lines = file.read().decode(errors="replace").splitlines()
        except OSError as error:
            raise Trouble(f"its file of finished jobs {self._path} can't be read: {error.strerror}") from error
        return {row.name: row for row in self._rows(lines) if row.name in tags}

    def _rows(self, lines: list[str]) -> Iterator[JobRow]:
        for line in lines:
            match = _LINE.fullmatch(line)
            if match and match["user"] == self._user:
                yield _row(
                    match["id"], match["state"], match["exit"], match["nodes"], match["partition"], match["name"]
                )


def ask(histories: Collection[History], tags: Collection[str]) -> dict[str, JobRow]:
    """What the first that knows a job says.

    Raises:
        Trouble: one can't be asked.
    """
    found: dict[str, JobRow] = {}
    for history in histories:
        if missing := set(tags) - found.keys():
            found |= history.ended(missing)
    return found


def _sacct_row(line: str) -> JobRow:
    parts = line.split("|", 5)
    if len(parts) != 6:
        raise Trouble(f"sacct answered something that is no table of jobs: {line[:100]!r}")
    return _row(*parts)


def _row(job_id: str, state: str, exit_code: str, nodes: str, partition: str, name: str) -> JobRow:
    try:
        code, signal = map(int, exit_code.split(":"))
        state = state.split(maxsplit=1)[0]  # "CANCELLED by 1000"
        known = state != "CANCELLED"  # those have 0:0, whatever they ended with
        return JobRow(
            id=int(job_id),
            name=name,
            state=state,
            nodes="" if nodes in _NO_NODES else nodes,
            partition=partition,
            exit_code=code if known and not signal else None,
            signal=(signal or None) if known else None,
        )
    except (ValueError, IndexError) as error:
        raise Trouble(f"Slurm's accounting answered something that is no job: {error}") from error
