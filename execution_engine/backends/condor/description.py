"""How an attempt is described to HTCondor: one description for all jobs of a call, and the variables of each.

What an attempt must not do in any pool stands in it: start a second time. HTCondor would start a job again that was
evicted, or whose machine or shadow died; the requirements here are met once only, and a job that has had its start and
is idle or held removes itself. ``NumJobStarts`` would count fewer starts than there were when a daemon dies early.
"""

import re
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from urllib.parse import quote, unquote

from execution_engine.backends.base import TAG_VARIABLE, Submission
from execution_engine.backends.condor import language
from execution_engine.backends.condor.groups import Groups, constraint

TAG, GROUP, ENGINE, LIMIT = "ee_tag", "ee_client_group", "ee_engine", "ee_time_limit_s"
HAS_STARTED = "(NumShadowStarts ?: 0) > 0"
LIMIT_MARGIN_SECONDS = 60  # the runner enforces the limit; this is for one that does not
_SPOOLING_MARGIN_SECONDS = 15  # beyond the time-out of submissions: clocks, and a schedd that is slow to take note
_SPOOLING = 16  # the hold code of a job that waits for its files
_HAD_ITS_START = f"(JobStatus == 1 || JobStatus == 5) && {HAS_STARTED}"
_WAITS_FOR_FILES = f"JobStatus == 5 && HoldReasonCode =?= {_SPOOLING}"
_RUN_TIME = "time() - (JobCurrentStartExecutingDate ?: time())"
_OVER_TIME = f"JobStatus == 2 && {LIMIT} > 0 && {_RUN_TIME} > {LIMIT} + {LIMIT_MARGIN_SECONDS}"
_NOT_IN_A_NAME = re.compile(r"[^A-Za-z0-9_-]")
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True, slots=True)
class Form:
    """What all jobs of a backend have in common.

    ``engine`` tells the jobs of this engine and backend from those of others in the same schedd. ``python`` is the
    interpreter on the workers. ``lease_seconds``: how long a worker may be out of reach before its job counts as lost.
    ``submit_seconds``: after which a submission is given up, so that its files can't come any more.
    """

    runner: Path
    worker_url: str
    engine: str
    groups: Groups
    python: str = "/usr/bin/python3"
    lease_seconds: int = 1200
    submit_seconds: float = 30.0

    def description(self) -> dict[str, str]:
        """The submit description; ``$(…)`` in it are the variables of :meth:`variables`."""
        fixed = ["-I", "-S", self.runner.name, "--url", self.worker_url]
        command = [*map(language.literal, fixed), "--job", "$(job)", "--attempt", "$(attempt)"]
        return {
            "executable": self.python,
            "transfer_executable": "false",
            "arguments": language.arguments([*command, "--ticket-file", "ticket", "--dir", "."]),
            "environment": f'"PATH={_PATH} {TAG_VARIABLE}=$(tag)"',
            "initialdir": "$(folder)",
            "should_transfer_files": "yes",
            "when_to_transfer_output": "on_exit",
            "transfer_input_files": f"{language.literal(str(self.runner))}, ticket",
            "transfer_output_files": "",
            "output": "/dev/null",
            "error": "/dev/null",
            "request_cpus": "$(cpus)",
            "request_memory": "$(memory_mb)",
            "request_disk": "$(disk_kb)",
            "requirements": f"($(slots)) && !({HAS_STARTED})",
            "periodic_remove": f"({_HAD_ITS_START}) || ({self._abandoned()}) || ({_OVER_TIME})",
            "on_exit_remove": "true",
            "leave_in_queue": "false",
            "job_lease_duration": str(self.lease_seconds),
            "kill_sig": "SIGTERM",
            "accounting_group": "$(accounting_group)",
            "accounting_group_user": "$(user)",
            "concurrency_limits": "$(limits)",
            f"My.{TAG}": language.text("$(tag)"),
            f"My.{ENGINE}": language.text(self.engine),
            f"My.{GROUP}": language.text("$(group)"),
            f"My.{LIMIT}": "$(limit_s)",
        }

    def _abandoned(self) -> str:
        """Where the process that handed the job over has died, or was ended, before the job's files were there."""
        patience = ceil(self.submit_seconds) + _SPOOLING_MARGIN_SECONDS
        return f"{_WAITS_FOR_FILES} && time() - EnteredCurrentStatus > {patience}"

    def variables(self, job: Submission) -> dict[str, str]:
        """The variables of one job, and its ``ticket``, which goes into a file.

        Names that somebody chose are written with letters, digits and few other characters only.
        """
        needs = job.requirements
        wanted = (constraint(name, value) for name, value in job.constraints.items())
        slots = [self.groups.slots_of(job.client_group), *filter(None, wanted)]
        return {
            "tag": job.tag,
            "job": job.job_id,
            "attempt": str(job.attempt),
            "ticket": job.ticket,
            "cpus": str(needs.cpus),
            "memory_mb": str(needs.memory_mb),
            "disk_kb": str(needs.disk_gb * 1024 * 1024),
            "slots": language.literal(" && ".join(slots)),
            "accounting_group": self.groups.accounting_group(job.client_group),
            "user": _NOT_IN_A_NAME.sub("_", job.user),
            "limits": self.groups.limits(job.client_group),
            "group": quote(job.client_group, safe=""),
            "limit_s": str(job.time_limit_s or 0),
        }


def client_group(written: str) -> str:
    """The client group as the submission named it."""
    return unquote(written)
