"""What differs between the versions of Slurm's REST interface: the shape of requests and answers, not the paths."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

from execution_engine.backends.slurm.session import JobRequest, JobRow, Node, Partition

Answer = Mapping[str, Any]


class RestVersion(ABC):
    """Reads and writes JSON objects. Reading raises KeyError, TypeError or ValueError for what is none of this version.

    Listings are read only if :meth:`error` finds none in the answer.
    """

    @abstractmethod
    def error(self, answer: Answer) -> tuple[int | None, str] | None:
        """Number and text of the error that the answer tells; None if it tells none."""

    @abstractmethod
    def submission(self, request: JobRequest) -> dict[str, Any]:
        """The body of a submission."""

    @abstractmethod
    def job_id(self, answer: Answer) -> int | None:
        """The number that a submission was given; None if it was refused."""

    @abstractmethod
    def jobs(self, answer: Answer, user: str | None) -> list[JobRow]:
        """The jobs, of one account or of all."""

    @abstractmethod
    def nodes(self, answer: Answer) -> list[Node]:
        """The machines."""

    @abstractmethod
    def partitions(self, answer: Answer) -> list[Partition]:
        """The queues."""
