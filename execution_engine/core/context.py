"""What this thread works on at the moment: for log lines and the audit, which stand far from where it is known."""

from contextvars import ContextVar

request_id: ContextVar[str] = ContextVar("request_id", default="")
"""The id of the HTTP request that is being answered, the same as in its X-Request-Id header; empty: there is none."""

user: ContextVar[str] = ContextVar("user", default="")
"""The checked user whose call is carried out; empty while nobody is known."""

job: ContextVar[str] = ContextVar("job", default="")
"""The id of the job, or batch, that the call names or makes; empty if there is none, or more than one."""


def begin_call() -> None:
    """From here on nothing is known of the call but its request id."""
    user.set("")
    job.set("")
