"""The environment of the app: a clean one, in which only what is listed here is set."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .folder import JobFolder
    from .work import Work


def app_environment(work: Work, folder: JobFolder, attempt: int) -> dict[str, str]:
    """The variables by name. Of the runner's own environment only PATH goes through."""
    environment = {
        **{name: str(value) for name, value in work.app.get("env", {}).items()},
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": str(folder.work),
        "LANG": "C.UTF-8",
        "TMPDIR": str(folder.scratch),
        "PYTHONUNBUFFERED": "1",
        "EE_JOB_ID": work.job_id,
        "EE_ATTEMPT_TAG": f"ee.{work.job_id}.{attempt}",
        "EE_APP_DIR": work.app.get("directory", ""),
        "EE_PROGRESS": str(folder.progress),
        "EE_SCRATCH": str(folder.scratch),
    }
    if work.wsid is not None:
        environment["EE_WSID"] = str(work.wsid)
    if work.token:
        environment["KB_AUTH_TOKEN"] = work.token
    for name, url in work.services.items():
        environment[f"EE_{name.upper().replace('-', '_')}_URL"] = url
    return environment
