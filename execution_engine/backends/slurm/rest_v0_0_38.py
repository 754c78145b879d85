"""Slurm's REST interface v0.0.38, as Slurm 22.05 speaks it."""

from typing import Any

from execution_engine.backends.slurm.rest_version import Answer, RestVersion
from execution_engine.backends.slurm.session import JobRequest, JobRow, Node, Partition, decode


class V0038(RestVersion):
    """The version's habits: an error has ``error_code`` or ``error_number`` or no number; exit codes are raw."""

    def error(self, answer: Answer) -> tuple[int | None, str] | None:
        """The one with a number, if there are several: the others say where it arose."""
        errors = answer["errors"]
        if not errors:
            return None
        found = [(it.get("error_number", it.get("error_code")), it) for it in errors]
        number, told = next(((number, it) for number, it in found if number is not None), found[0])
        return number, str(told.get("error") or told.get("description") or "an error without a text")

    def submission(self, request: JobRequest) -> dict[str, Any]:
        """``no_requeue`` is what works, though only ``requeue`` is documented, which is read and does nothing."""
        job: dict[str, Any] = {
            "name": request.name,
            "comment": request.comment,
            "standard_output": request.output,
            "current_working_directory": "/",
            # An empty environment is refused.
            "environment": {"LC_ALL": "C"},
            "no_requeue": True,
            "nodes": [1, 1],
            "tasks": 1,
            "cpus_per_task": request.cpus,
            "memory_per_node": request.memory_mb,
            "temporary_disk_per_node": request.disk_mb,
            "time_limit": request.minutes,
            "partition": request.partition,
            "account": request.account,
            "qos": request.qos,
        }
        return {"script": request.script, "job": {key: value for key, value in job.items() if value is not None}}

    def job_id(self, answer: Answer) -> int | None:
        """Beside it there may be an error: of a job that is accepted and waits, because its nodes are drained, say."""
        return int(answer["job_id"]) if answer.get("job_id") else None

    def jobs(self, answer: Answer, user: str | None) -> list[JobRow]:
        """All states are listed."""
        return [_job(job) for job in answer["jobs"] if user is None or job["user_name"] == user]

    def nodes(self, answer: Answer) -> list[Node]:
        """``state`` is the basic one, what an operator did to the node is in ``state_flags``."""
        return [_node(node) for node in answer["nodes"]]

    def partitions(self, answer: Answer) -> list[Partition]:
        """The default partition has a flag."""
        return [Partition(str(it["name"]), "default" in it["flags"], str(it["state"])) for it in answer["partitions"]]


def _job(job: dict[str, Any]) -> JobRow:
    exit_code, signal = decode(int(job["exit_code"]))
    return JobRow(
        id=int(job["job_id"]),
        name=str(job["name"]),
        state=str(job["job_state"]),
        reason=str(job["state_reason"]),
        nodes=str(job["nodes"]),
        partition=str(job["partition"]),
        priority=int(job["priority"] or 0),
        exit_code=exit_code,
        signal=signal,
        restarts=int(job["restart_cnt"]),
        comment=str(job["comment"]),
    )


def _node(node: dict[str, Any]) -> Node:
    return Node(
        name=str(node["name"]),
        partitions=tuple(map(str, node["partitions"])),
        cpus=int(node["cpus"]),
        cpus_used=int(node["alloc_cpus"]),
        memory_mb=int(node["real_memory"]),
        memory_mb_used=int(node["alloc_memory"]),
        state="+".join([str(node["state"]), *node["state_flags"]]).lower(),
        reason=str(node["reason"]),
    )
