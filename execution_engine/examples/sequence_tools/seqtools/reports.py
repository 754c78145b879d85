"""Saving a KBase report into the job's workspace."""

from __future__ import annotations

import json
import os
import time
import urllib.error
import urllib.request
from typing import Any

from .sdk import AppError, Job

TIMEOUT_SECONDS = 60
WAITS = (0.5, 1, 2, 4, 8, 16)


def save_report(job: Job, text: str) -> dict[str, str]:
    """Save ``text`` as a ``KBaseReport.Report``; how the job's result names it.

    Raises:
        AppError: the Workspace does not take it.
    """
    function = job.method.partition(".")[2]
    report = {
        "type": "KBaseReport.Report",
        "name": f"{function}_report_{job.id}",
        "hidden": 1,
        "data": {"text_message": text, "objects_created": [], "warnings": [], "file_links": [], "html_links": []},
        "provenance": [
            {
                "service": job.method.partition(".")[0],
                "method": function,
                "service_ver": job.service_ver,
                "method_params": [job.params],
            }
        ],
    }
    info = _call("Workspace.save_objects", {"id": job.wsid, "objects": [report]})[0]
    return {"report_name": info[1], "report_ref": f"{info[6]}/{info[0]}/{info[4]}"}


def _call(method: str, params: dict[str, Any]) -> Any:
    """A call of the Workspace, repeated for half a minute while it can't be reached."""
    url, token = os.environ.get("EE_WORKSPACE_URL"), os.environ.get("KB_AUTH_TOKEN")
    if not url or not token:
        raise AppError("The report can't be saved: the engine gave the app no Workspace address or no token.")
    body = json.dumps({"version": "1.1", "id": "1", "method": method, "params": [params]}).encode()
    headers = {"Authorization": token, "Content-Type": "application/json"}
    problem = ""
    for wait in (*WAITS, None):
        try:
            answer = _post(urllib.request.Request(url, body, headers))  # noqa: S310 - the engine's own setting
        except (OSError, ValueError) as error:
            problem = str(error)
            if wait is not None:
                time.sleep(wait)
            continue
        if "result" in answer:
            return answer["result"][0]
        raise AppError(f"The result was computed, but its report could not be saved: {answer['error']['message']}")
    raise AppError(f"The result was computed, but the Workspace at {url} could not be reached: {problem}")


def _post(request: urllib.request.Request) -> dict[str, Any]:
    """The envelope of the answer, with result or error; OSError or ValueError when it is none."""
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as response:  # noqa: S310 - as above
            text = response.read()
    except urllib.error.HTTPError as error:
        with error:
            text = error.read()
    answer = json.loads(text)
    if not isinstance(answer, dict) or not ("result" in answer or isinstance(answer.get("error"), dict)):
        raise ValueError(f"no answer of a Workspace: {text[:100]!r}")
    return answer
