"""HTCondor's GlobalJobId: ``SCHEDD#CLUSTER.PROC#TIME``, with the Unix time at which the job was submitted.

Cluster numbers begin anew when a schedd loses its spool; this id does not come again.
"""

import re

_FORM = re.compile(r"([^#\s]+)#[0-9]+\.[0-9]+#([0-9]+)")


def is_id(text: str) -> bool:
    """Whether it has the form of a GlobalJobId."""
    return _FORM.fullmatch(text) is not None


def schedd(job_id: str) -> str:
    """The name of the schedd that the job was submitted to."""
    return job_id.partition("#")[0]


def submitted_at(job_id: str) -> int:
    """When the job was submitted, Unix time."""
    return int(job_id.rpartition("#")[2])
