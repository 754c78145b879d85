"""Jobs and workers of AWE for unit tests, in the form of either version."""

import uuid
from typing import Any

from execution_engine.backends.awe.documents import AweJob, Worker, read_job, read_worker
from test.awe_simulator.documents import client_document, job_document
from test.awe_simulator.model import Client, Job, Version


def document(version: Version, **changes: Any) -> Any:
    info = {
        "submittime": "2026-11-22T17:57:08.638Z",
        "clientgroups": "kbase",
        "userattr": {"ee_tag": "ee.0123456789abcdef01234567.1", "ee_client_group": "njs"},
        **changes.pop("info", {}),
    }
    job = Job(str(uuid.uuid4()), 10001, info, {"name": "ee-runner"}, {}, "public", **changes)
    return job_document(job, version, listed=True)


def job(version: Version = Version.LAST, **changes: Any) -> AweJob:
    return read_job(document(version, **changes))


def worker(version: Version = Version.LAST, group: str = "kbase", **changes: Any) -> Worker:
    return read_worker(client_document(Client(str(uuid.uuid4()), "worker_1", group, 4, ["*"], **changes), version))
