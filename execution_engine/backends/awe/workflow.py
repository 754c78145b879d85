"""The workflow document by which AWE gets one attempt."""

from execution_engine.backends.awe.documents import GROUP_ATTRIBUTE, TAG_ATTRIBUTE
from execution_engine.backends.base import Submission
from execution_engine.core.json_text import to_json

URL_VARIABLE = "EE_URL"
TICKET_VARIABLE = "EE_START_TICKET"


def workflow(job: Submission, *, command: str, group: str, pipeline: str, worker_url: str) -> bytes:
    """The document.

    Its arguments are ids: AWE splits them at blanks, replaces ``${…}``, and drops those with an ``@``. The ticket is in
    the private environment, which AWE takes out of the documents that it shows. All of the environment must be text,
    and in 0.9.26 so must the attributes.
    """
    return to_json(
        {
            "info": {
                "pipeline": pipeline,
                "name": job.tag,
                "project": pipeline,
                "user": job.user,
                "clientgroups": group,
                "noretry": True,  # else a runner that fails is run again, on and on
                "priority": 1,
                "userattr": {TAG_ATTRIBUTE: job.tag, GROUP_ATTRIBUTE: job.client_group},
            },
            "tasks": [
                {
                    "taskid": "0",
                    "dependsOn": [],
                    "skip": 0,
                    "totalwork": 1,
                    "cmd": {
                        "name": command,
                        "args": f"{job.job_id} {job.attempt}",
                        "description": "",
                        "environ": {"public": {URL_VARIABLE: worker_url}, "private": {TICKET_VARIABLE: job.ticket}},
                    },
                }
            ],
        }
    )
