"""Slurm by its REST daemon."""

import base64
import binascii
import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from execution_engine.backends.slurm.rest_connection import Connection, Door
from execution_engine.backends.slurm.rest_version import Answer, RestVersion
from execution_engine.backends.slurm.session import JobRequest, JobRow, Node, Partition, Rejection, Session, Trouble

T = TypeVar("T")
_UNSPECIFIED = -1
_UNKNOWN_JOB, _ENDED_JOB = 2017, 2021
_NO_ANSWER = frozenset({None, _UNSPECIFIED, 2027, 2131, *range(1000, 2000), *range(5000, 6000)})
"""Numbers of errors between Slurm's parts, or of a controller that stands by; all others are about the request."""


class Rest:
    """The way to a daemon; each session has a connection of its own."""

    def __init__(self, door: Door, name: str, version: RestVersion, user: str) -> None:
        self._door = door
        self._name = name
        self._version = version
        self._user = user

    @contextmanager
    def begin(self) -> Iterator[Session]:
        """A session over one connection."""
        with self._door.open() as connection:
            yield RestSession(connection, f"/slurm/{self._name}", self._version, self._user)


class RestSession(Session):
    """Questions over one connection."""

    def __init__(self, connection: Connection, root: str, version: RestVersion, user: str) -> None:
        self._connection = connection
        self._root = root
        self._version = version
        self._user = user

    def own_jobs(self) -> list[JobRow]:
        """This interface lists the jobs of all; ours are picked here."""
        return self._listing("jobs", lambda answer: self._version.jobs(answer, self._user))

    def waiting_jobs(self) -> list[JobRow]:
        """Those of all accounts."""
        jobs = self._listing("jobs", lambda answer: self._version.jobs(answer, None))
        return [job for job in jobs if job.state == "PENDING"]

    def submit(self, request: JobRequest) -> int:
        """One request."""
        answer, error = self._ask("POST", "job/submit", self._version.submission(request))
        job_id = self._read(self._version.job_id, answer)
        if job_id is not None:  # an error beside it only says why the job can't start at once
            return job_id
        number, text = error or (None, "neither a number nor an error")
        raise self._trouble(number, text) if number in _NO_ANSWER else Rejection(text, number)

    def cancel(self, job_ids: Sequence[int]) -> None:
        """One request for each job."""
        for job_id in job_ids:
            _, error = self._ask("DELETE", f"job/{job_id}")
            if error and error[0] not in (_UNKNOWN_JOB, _ENDED_JOB):
                raise self._trouble(*error)

    def nodes(self) -> list[Node]:
        """One request."""
        return self._listing("nodes", self._version.nodes)

    def partitions(self) -> list[Partition]:
        """One request."""
        return self._listing("partitions", self._version.partitions)

    def _listing(self, path: str, read: Callable[[Answer], T]) -> T:
        answer, error = self._ask("GET", path)
        if error:
            raise self._trouble(*error)
        return self._read(read, answer)

    def _ask(
        self, method: str, path: str, body: dict[str, Any] | None = None
    ) -> tuple[Answer, tuple[int | None, str] | None]:
        answer = self._connection.ask(method, f"{self._root}/{path}", body)
        return answer, self._read(self._version.error, answer)

    def _read(self, read: Callable[[Answer], T], answer: Answer) -> T:
        try:
            return read(answer)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise Trouble(f"its REST daemon answered something else than was asked for ({error!r})") from error

    def _trouble(self, number: int | None, text: str) -> Trouble:
        if number != _UNSPECIFIED:
            return Trouble(f"its REST daemon says: {text}")
        # What the daemon says if the controller does not answer it, and also if the token is not accepted.
        if expired := _expired(self._connection.token):
            return Trouble(f"the engine's token has expired {expired:.0f} s ago; put a new one into its token-file")
        return Trouble(f"its controller does not answer the REST daemon, or does not accept the token ({text})")


def _expired(token: str) -> float | None:
    """For how many seconds a JSON web token has expired; None if it has not, or says nothing about it."""
    try:
        claims = token.split(".")[1]
        expires = float(json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))["exp"])
    except (IndexError, KeyError, TypeError, ValueError, binascii.Error):
        return None
    late = time.time() - expires
    return late if late > 0 else None
