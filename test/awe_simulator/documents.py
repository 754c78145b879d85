"""Jobs, clients and the server as documents, in the form of each version."""

from typing import Any

from test.awe_simulator.model import UNDEFINED, Client, Job, Version, time_now


def job_document(job: Job, version: Version, *, fresh: bool = False, listed: bool = False) -> dict[str, Any]:
    """``fresh``: in the answer to its submission, where lists are not yet lists. ``listed``: one of many."""
    old = version is Version.OLD
    info = {**_info(job), **({} if old else {"start_at": UNDEFINED})}
    common = {
        "id": job.id,
        "info": info,
        "tasks": [
            _old_task(job, fresh)
            if old
            else _last_task(job, fresh, private=bool(job.private) and not fresh and not listed)
        ],
        "state": job.state,
        "registered": _registered(job, version, listed),
        "remaintasks": job.remaining,
        "expiration": job.expiration,
        "updatetime": job.updated,
        "resumed": job.resumed,
        "shockhost": "",
    }
    if old:
        return common | {"jid": str(job.number), "notes": job.notes, "lastfailed": job.last_failed}
    empty: list[Any] | None = None if fresh else []
    cwl = {"IsCWL": False, "cwl_version": "", "CWL_objects": None, "CWL_job_input": None, "entrypoint": ""}
    return common | cwl | {"error": job.error, "workflow_instances": empty}


def _registered(job: Job, version: Version, listed: bool) -> bool:
    if not job.in_queue:
        return False
    if version is Version.OLD:
        return job.state not in ("completed", "deleted")
    return job.state != "deleted" and (listed or job.state not in ("suspend", "failed-permanent"))


def _info(job: Job) -> dict[str, Any]:
    texts = dict.fromkeys(("name", "xref", "service", "project", "user", "pipeline", "clientgroups", "description"), "")
    given = {key: job.info[key] for key in texts if key in job.info}
    return {
        **texts,
        **given,
        "submittime": job.info["submittime"],
        "startedtime": job.started,
        "completedtime": job.completed,
        "priority": job.info.get("priority", 1),
        "auth": False,
        "noretry": job.info.get("noretry", False),
        "userattr": job.info.get("userattr"),
        "tracking": False,
    }


def _command(job: Job, has_private: bool) -> dict[str, Any]:
    return {
        "name": job.command.get("name", ""),
        "args": job.command.get("args", ""),
        "Dockerimage": "",
        "environ": {"public": job.command.get("environ", {}).get("public", {})},
        "has_private_env": has_private,
        "description": job.command.get("description", ""),
    }


def _task(job: Job, fresh: bool) -> dict[str, Any]:
    empty: list[Any] | None = None if fresh else []
    return {
        "taskid": job.task_id,
        "inputs": empty,
        "outputs": empty,
        "predata": empty,
        "dependsOn": [],
        "totalwork": 1,
        "maxworksize": 0,
        "remainwork": job.remaining,
        "state": job.task_state,
        "createddate": job.task_created,
        "starteddate": job.task_started,
        "completeddate": job.task_completed,
        "computetime": 0,
        "userattr": None if fresh else {},
        "clientgroups": "",
    }


def _old_task(job: Job, fresh: bool) -> dict[str, Any]:
    empty: list[Any] | None = None if fresh else []
    command = _command(job, has_private=bool(job.private)) | {"cmd_script": empty}
    return _task(job, fresh) | {"cmd": command, "app": None, "AppVariablesArray": empty}


def _last_task(job: Job, fresh: bool, private: bool) -> dict[str, Any]:
    empty: list[Any] | None = None if fresh else []
    command = _command(job, has_private=private)
    command |= {"args_array": empty, "dockerPull": "", "cmd_script": empty, "Local": False}
    return _task(job, fresh) | {
        "task_name": "0",
        "parent": "",
        "jobid": job.id,
        "task_type": "",
        "cmd": command,
        "workflowStep": None,
        "stepOutput": None,
        "scatter_task": False,
        "children": empty,
    }


def client_document(client: Client, version: Version) -> dict[str, Any]:
    """What ``GET /client`` lists."""
    common = {
        "id": client.id,
        "name": client.name,
        "group": client.group,
        "user": "",
        "domain": "default-domain",
        "instance_id": "",
        "instance_type": "",
        "cores": client.cores,
        "apps": client.apps,
        "regtime": client.registered,
        "serve_time": "0h6m",
        "total_checkout": client.checkouts,
        "total_completed": client.completions,
        "total_failed": client.failures,
        "skip_work": client.skipped,
        "proxy": False,
        "subclients": 0,
        "git_commit_hash": "",
        "version": str(version),
    }
    if version is Version.OLD:
        state = "suspend" if client.suspended else "active-busy" if client.current else "active-idle"
        work = dict.fromkeys(client.current, True)
        return common | {"host": "WORKER_HOST", "idle_time": 0, "Status": state, "current_work": work}
    return common | {
        "hostname": "localhost",
        "host_ip": "WORKER_HOST",
        "busy": bool(client.current),
        "current_work": {"data": client.current},
        "lastcompleted": client.last_completed,
        "online": True,
        "suspended": client.suspended,
        "suspend_reason": "",
        "Status": "suspended" if client.suspended else "busy" if client.current else "online",
        "assigned_work": {"data": client.assigned},
    }


def server_document(version: Version, *, anonymous: bool) -> dict[str, Any]:
    """The description at ``/`` and at every path that AWE does not know."""
    indexes = ["submittime", "completedtime", "pipeline", "clientgroups", "project", "service", "user", "priority"]
    common = {
        "resources": ["job", "work", "client", "queue", "awf", "event"],
        "info_indexes": indexes,
        "url": "http://AWE_HOST/",
        "documentation": "http://AWE_SITE_HOST/",
        "title": "AWE Server",
        "contact": "admin@localhost",
        "id": "AWE",
        "type": "server",
        "queue_status": "running",
        "version": str(version),
        "server_time": time_now(),
        "git_commit_hash": "",
    }
    if version is Version.OLD:
        return common
    return common | {
        "info_indexes": ["name", *indexes, "userattr.submission"],
        "auth": ["globus"],
        "anonymous_permissions": dict.fromkeys(("read", "write", "delete"), anonymous),
        "uptime": "2m10s",
    }
