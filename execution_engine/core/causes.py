"""Why jobs fail or are terminated: one table of stable codes.

Each cause has a sentence for the user, advice, and whether the engine may make another attempt by itself: never where
the app, its input or a person is the reason, nor where the app may have done its work. A cause in a job's record is
:func:`describe`'s answer: the table's texts, or the sentence that the runner or backend gave instead.
"""

from dataclasses import dataclass
from typing import Any

MESSAGE_CHARS = 2_000
DETAIL_CHARS = 20_000


@dataclass(frozen=True, slots=True)
class Cause:
    """One row of the table."""

    code: str
    message: str
    advice: str
    engine_may_retry: bool = False


_ROWS = (
    # -- the app
    Cause("app_error", "The app reported an error.", "Read the log's last lines; correct the input and run it again."),
    Cause(
        "app_no_output",
        "The app ended without leaving a result.",
        "Read the log; if it shows no mistake of yours, tell the app's developers.",
    ),
    Cause("app_bad_output", "The app left a result that is not valid JSON.", "Tell the app's developers."),
    Cause(
        "app_not_executable",
        "The app's program can't be started.",
        "Tell the app's developers or the operators: the program is missing or not executable.",
    ),
    Cause(
        "output_too_large",
        "The app's result is larger than the engine keeps.",
        "Let the app save large results as workspace objects and return their references.",
    ),
    Cause(
        "container_unsupported",
        "The app comes as a container, which this backend does not run.",
        "Run it in another client group, or ask the operators for one that runs containers.",
    ),
    Cause("out_of_memory", "The job used more memory than it had asked for.", "Ask for more memory and run it again."),
    Cause("disk_limit", "The job used more disk than it had asked for.", "Ask for more disk and run it again."),
    Cause("disk_full", "The disk of the machine that ran the job was full.", "Run it again later; tell the operators."),
    Cause("time_limit", "The job ran longer than it may.", "Use smaller input, or ask the admins for a longer limit."),
    # -- the machine and the batch system
    Cause(
        "setup_failed",
        "The job could not be set up on its machine.",
        "Run it again; if it fails again, tell the operators.",
    ),
    Cause("runner_lost", "The job's process on the worker was killed or died.", "Run it again; tell the operators."),
    Cause("runner_stopped", "The job was stopped by the system that ran it.", "Run it again."),
    Cause("engine_stopped", "The engine on this machine was stopped while the job ran.", "Run it again."),
    Cause(
        "machine_rebooted",
        "The machine that ran the job was restarted.",
        "Run it again; tell the operators if it happens often.",
        engine_may_retry=True,
    ),
    Cause(
        "node_died",
        "The machine that ran the job failed, or can't be reached any more.",
        "Run it again; tell the operators if it happens often.",
        engine_may_retry=True,
    ),
    Cause(
        "preempted",
        "The batch system gave the job's place to a more urgent one.",
        "Run it again later, or in a client group whose jobs are not displaced.",
        engine_may_retry=True,
    ),
    Cause(
        "never_started",
        "The batch system ended the job before it began.",
        "Run it again; tell the operators if it happens often.",
        engine_may_retry=True,
    ),
    Cause("backend_lost", "The batch system lost the job before it began.", "Run it again.", engine_may_retry=True),
    Cause("backend_refused", "The batch system refused the job.", "Change what the message names, and run it again."),
    Cause("start_failed", "The job could not be started, several times.", "Tell the operators; run it again later."),
    Cause(
        "held",
        "The batch system held the job and would not run it.",
        "Change what the message names if it is yours; else tell the operators.",
    ),
    Cause(
        "removed",
        "Somebody removed the job from the batch system.",
        "Ask the operators why, and run it again.",
    ),
    Cause(
        "report_lost",
        "The job's runner ended well, but its report never reached the engine.",
        "Look whether the job's results are there before you run it again; tell the operators.",
    ),
    # -- people
    Cause("cancelled", "The job was cancelled while it ran.", "Run it again if that was not intended."),
    Cause("cancelled_before_start", "The job was cancelled before it began.", "Run it again if that was not intended."),
)

CAUSES: dict[str, Cause] = {row.code: row for row in _ROWS}


def describe(
    code: str, message: str | None = None, detail: str | None = None, exit_code: int | None = None
) -> dict[str, Any]:
    """The record's ``cause`` object; an unknown code (from a future runner) is kept, with the advice of app_error."""
    row = CAUSES.get(code)
    cause: dict[str, Any] = {
        "code": code,
        "message": (message or (row.message if row else code))[:MESSAGE_CHARS],
        "advice": row.advice if row else CAUSES["app_error"].advice,
    }
    if detail:
        cause["detail"] = detail[:DETAIL_CHARS]
    if exit_code is not None:
        cause["exit_code"] = exit_code
    return cause
