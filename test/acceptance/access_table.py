"""Who may call what, cell by cell: the table that the acceptance test plays and docs/reference/access.md prints."""

from dataclasses import dataclass
from enum import StrEnum


class Outcome(StrEnum):
    """What a call comes to; the value is what the page prints."""

    YES = "yes"
    RECORD = "record"
    DENIED = "no"
    UNKNOWN = "–"
    NO_TOKEN = "who?"
    NO_USER = "no user"
    NO_RUNNER = "no runner"


MEANINGS = {
    Outcome.YES: "it is done",
    Outcome.RECORD: "only the first facts of the record are shown",
    Outcome.DENIED: "`permission_denied`: the caller may see that there is such a job, or workspace",
    Outcome.UNKNOWN: "`job_not_found` or `workspace_not_found`, letter for letter as for one that does not exist",
    Outcome.NO_TOKEN: "`token_missing`",
    Outcome.NO_USER: "`token_invalid`: a runner's secret is no user's token",
    Outcome.NO_RUNNER: "`credential_invalid`: not the start ticket, or credential, of the job's current attempt",
}

PEOPLE = {
    "owner": "who has submitted the job, and may write its workspace",
    "reader": "may read the job's workspace",
    "writer": "may write it",
    "ws admin": "administers it",
    "stranger": "has nothing to do with it",
    "public": "a stranger, where the workspace is public",
    "sharee": "named by the owner of a job without a workspace",
    "anonymous": "sends no token",
    "read admin": "has one of the roles of `admin-read-roles`",
    "admin": "has one of the roles of `admin-roles`",
    "runner": "of the job's current attempt",
    "old runner": "of an attempt of the job that was given up",
    "other runner": "of another job",
}


class Subject(StrEnum):
    """What kind of job a method is called for."""

    RUNNING = "running"
    FRESH = "a new one for every call"
    ENDED = "ended"


@dataclass(frozen=True)
class Row:
    """One method: an outcome for each of PEOPLE, in their order.

    ``personal``: those whose call is for a job without a workspace, beside the sharee.
    """

    outcomes: tuple[Outcome, ...]
    subject: Subject = Subject.RUNNING
    personal: frozenset[str] = frozenset()


_LETTERS = {
    "y": Outcome.YES,
    "r": Outcome.RECORD,
    "n": Outcome.DENIED,
    "-": Outcome.UNKNOWN,
    "?": Outcome.NO_TOKEN,
    "u": Outcome.NO_USER,
    "c": Outcome.NO_RUNNER,
}


def _row(letters: str, subject: Subject = Subject.RUNNING, *personal: str) -> Row:
    outcomes = tuple(_LETTERS[letter] for letter in letters.replace(" ", ""))
    return Row(outcomes, subject, frozenset(personal))


_EVERYBODY = "yyyyyyy y yy yyy"
_READS = "yyyy-ny ? yy uuu"
_READS_RECORD = "yyyy-ry ? yy uuu"
_CONTROLS = "ynyy-nn ? ny uuu"
_SUBMITS = "ynyy-n- ? -- uuu"
_SHARES = "ynnn-nn ? ny uuu"
_RUNNER = "ccccccc ? cc ycc"

TABLE: dict[str, Row] = {
    "run_job": _row(_SUBMITS),
    "run_jobs": _row(_SUBMITS),
    # Running a job again needs its workspace; administrators have that right where there is none.
    "retry_jobs": _row(_CONTROLS, Subject.ENDED, "read admin", "admin"),
    "check_job": _row(_READS_RECORD),
    "check_jobs": _row(_READS_RECORD),
    "list_jobs": _row("yyyy-r- ? yy uuu"),
    "get_logs": _row(_READS),
    "get_report": _row(_READS, Subject.ENDED),
    "cancel_job": _row(_CONTROLS, Subject.FRESH),
    "cancel_jobs": _row(_CONTROLS, Subject.FRESH),
    "share_job": _row(_SHARES, Subject.RUNNING, "owner", "read admin", "admin"),
    "unshare_job": _row(_SHARES, Subject.FRESH, "owner", "read admin", "admin"),
    "hide_job": _row(_READS, Subject.ENDED),
    "unhide_job": _row(_READS, Subject.ENDED),
    "start_job": _row(_RUNNER),
    "get_job_params": _row(_RUNNER),
    "add_job_logs": _row(_RUNNER),
    "heartbeat": _row(_RUNNER),
    "finish_job": _row(_RUNNER, Subject.FRESH),
    "get_queue": _row("yyyyyyy ? yy uuu"),
    "get_resources": _row("yyyyyyy ? yy uuu"),
    "get_usage": _row("yyyyyyy ? yy uuu"),
    "set_backend_state": _row("nnnnnnn ? ny uuu"),
    "set_route": _row("nnnnnnn ? ny uuu"),
    "remove_route": _row("nnnnnnn ? ny uuu"),
    "get_routes": _row("nnnnnnn ? yy uuu"),
    "set_limit": _row("nnnnnnn ? ny uuu"),
    "remove_limit": _row("nnnnnnn ? ny uuu"),
    "get_limits": _row("yyyyyyy ? yy uuu"),
    "list_audit": _row("nnnnnnn ? yy uuu"),
    "status": _row(_EVERYBODY),
    "ver": _row(_EVERYBODY),
    "whoami": _row("yyyyyyy ? yy uuu"),
    "list_config": _row(_EVERYBODY),
}


def render(rules: str, methods: dict[str, str]) -> str:
    """The page: the rules, the table with each method's own rule, and what its words mean.

    ``rules``: a list in Markdown; ``methods``: the name of each method's access rule.
    """
    lines = [
        "# Who may do what",
        "",
        "The rules, as they stand in `execution_engine/jobs/access.py`:",
        "",
        rules,
        "",
        "## Every method, everybody",
        "",
        "Each cell is a call over HTTP in `test/acceptance/test_access_table.py`, which plays this very table. The",
        "calls are about a job in a private workspace; those of *public* about one in a public workspace; those of",
        "*sharee* about one without a workspace. The owner and the administrators share, and administrators retry, a",
        "job without a workspace: a job in one is shared by its permissions, and run again by who can write it.",
        "",
        "| method | rule | " + " | ".join(PEOPLE) + " |",
        "|---|---|" + "---|" * len(PEOPLE),
    ]
    lines += [f"| `{name}` | {methods[name]} | {' | '.join(row.outcomes)} |" for name, row in TABLE.items()]
    lines += ["", "| | |", "|---|---|"]
    lines += [f"| *{name}* | {meaning} |" for name, meaning in PEOPLE.items()]
    lines += ["", "| | |", "|---|---|"]
    lines += [f"| {outcome} | {meaning} |" for outcome, meaning in MEANINGS.items()]
    return "\n".join(lines) + "\n"
