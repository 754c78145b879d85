"""HTCondor's own Python library as the questions and orders that the backend has; runs in a process of its own.

A question is asked once more when it fails: after a restart of the schedd the first one fails because the library
still holds the security session of the old one. The schedd is located for each call, since its address changes too.
"""

import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import classad2
import htcondor2

T = TypeVar("T")
Ad = dict[str, Any]
_REASON_CODE = 0  # the library drops a reason that comes without a code
_SPOOLING = 16  # the hold code of a job that waits for its files
_RELEASE_SECONDS, _PAUSE_SECONDS = 5.0, 0.01
_FULL = "but Schedd says -"  # instead of the number of the next job: a limit like MAX_JOBS_PER_OWNER is reached
_NOT_TAKEN = ("Failed to create job ad", "Unable to commit transaction")


class Unreachable(Exception):
    """A daemon does not answer, or nobody knows it; the text says which one, and what the library says."""


class SubmitRefused(Exception):
    """The schedd or the library does not take the jobs; nothing was submitted. ``transient``: it may do so later."""

    def __init__(self, message: str, *, transient: bool) -> None:
        super().__init__(message)
        self.transient = transient


class Pool:
    """One collector and one schedd; an empty name means what the configuration of this machine says."""

    def __init__(self, collector: str, schedd: str) -> None:
        self._collector = collector
        self._schedd = schedd

    def submit(self, description: dict[str, str], jobs: Sequence[dict[str, str]], folder: str) -> dict[str, str]:
        """Hands over all jobs in one transaction; ids by tag. Each job has ``tag``, ``ticket`` and its own variables.

        They are held until their files have arrived, so one that dies in between leaves none that could start.
        ``folder``: an empty one for these files, of no use afterwards.

        Raises:
            SubmitRefused: nothing was submitted.
            Unreachable: nothing is known.
        """
        self._ask(lambda located: located.query("false"))  # a question may be repeated, a submission may not
        schedd = self._locate()
        try:
            result = schedd.submit(htcondor2.Submit(description), itemdata=_items(jobs, Path(folder)), spool=True)
        except htcondor2.HTCondorException as error:
            if _FULL in str(error):
                raise SubmitRefused("the schedd holds as many jobs as it may", transient=True) from error
            if str(error).startswith(_NOT_TAKEN):
                raise SubmitRefused(str(error), transient=False) from error
            raise _unreachable("schedd", error) from error
        cluster = f"ClusterId == {result.cluster()}"
        ids = {ad["ee_tag"]: ad["GlobalJobId"] for ad in self.queue(cluster, ["ee_tag", "GlobalJobId"])}
        try:
            schedd.spool(result)
        except htcondor2.HTCondorException as error:
            raise _unreachable("schedd", error) from error
        self._await_release(cluster)
        return ids

    def queue(self, constraint: str, projection: list[str]) -> list[Ad]:
        """The ads of jobs that the schedd holds."""
        return self._ask(lambda schedd: [_plain(ad, projection) for ad in schedd.query(constraint, projection)])

    def history(self, constraint: str, projection: list[str], until: int, limit: int) -> list[Ad]:
        """The ads of jobs that have left the queue, youngest first, back to the Unix time ``until``."""
        since = f"EnteredCurrentStatus < {until}"
        return self._ask(
            lambda schedd: [_plain(ad, projection) for ad in schedd.history(constraint, projection, limit, since)]
        )

    def remove(self, constraint: str, reason: str) -> None:
        """Takes jobs out of the queue; what runs is asked to end first."""
        expression = classad2.ExprTree(constraint)
        self._ask(lambda schedd: schedd.act(htcondor2.JobAction.Remove, expression, (reason, _REASON_CODE)))

    def schedd_name(self) -> str:
        """The name of the schedd, with which the ids of its jobs begin."""
        return str(self._located()["Name"])

    def slots(self, constraint: str, projection: list[str]) -> list[Ad]:
        """The ads of slots that the collector knows."""
        collector = self._locate_collector()
        try:
            ads = collector.query(htcondor2.AdType.Startd, constraint, projection)
        except htcondor2.HTCondorException as error:
            raise _unreachable("collector", error) from error
        return [_plain(ad, projection) for ad in ads]

    def _await_release(self, constraint: str) -> None:
        """The schedd releases jobs a moment after it has their files."""
        deadline = time.monotonic() + _RELEASE_SECONDS
        while self.queue(f"{constraint} && HoldReasonCode =?= {_SPOOLING}", []) and time.monotonic() < deadline:
            time.sleep(_PAUSE_SECONDS)

    def _ask(self, question: Callable[[Any], T]) -> T:
        try:
            return question(self._locate())
        except htcondor2.HTCondorException:
            try:
                return question(self._locate())
            except htcondor2.HTCondorException as error:
                raise _unreachable("schedd", error) from error

    def _locate(self) -> Any:
        return htcondor2.Schedd(self._located())

    def _located(self) -> Any:
        collector, kind = self._locate_collector(), htcondor2.DaemonType.Schedd
        try:
            ad = collector.locate(kind, self._schedd) if self._schedd else collector.locate(kind)
        except htcondor2.HTCondorException as error:
            raise _unreachable("collector", error) from error
        if ad is None:
            raise Unreachable(f"its collector knows no schedd {self._schedd or 'of this machine'}")
        return ad

    def _locate_collector(self) -> Any:
        return htcondor2.Collector(self._collector) if self._collector else htcondor2.Collector()


def _unreachable(daemon: str, error: Exception) -> Unreachable:
    return Unreachable(f"its {daemon} does not answer ({str(error).rstrip('.')})")


def _items(jobs: Sequence[dict[str, str]], folder: Path) -> Iterable[dict[str, str]]:
    """The variables of each job, with the folder that its ticket was put into."""
    for number, job in enumerate(jobs):
        own = folder / str(number)
        own.mkdir(mode=0o700)
        variables = {**job, "folder": str(own)}
        ticket = own / "ticket"
        ticket.touch(mode=0o600)
        ticket.write_text(variables.pop("ticket"))
        yield variables


def _plain(ad: Any, names: Iterable[str]) -> Ad:
    """The attributes that have a value, as values of Python."""
    plain = {}
    for name in names:
        if name in ad:
            value = ad[name]
            value = ad.eval(name) if isinstance(value, classad2.ExprTree) else value
            if not isinstance(value, classad2.Value):
                plain[name] = value
    return plain
