"""KBase reports: the objects in which an app tells people what it did."""

from typing import Any, NotRequired, TypedDict

from execution_engine.core.errors import ObjectNotReadable
from execution_engine.kbase.objects import ObjectInfo, is_ref
from execution_engine.kbase.workspace import Workspace

MAX_REPORTS = 20
MAX_REPORT_BYTES = 4 * 1024 * 1024


class ReportObject(TypedDict):
    """An object that the app created."""

    ref: str
    description: NotRequired[str]


class ItemError(TypedDict):
    """Why one report of several can't be shown."""

    code: int
    reason: str
    message: str


class Report(TypedDict):
    """A report as the API shows it. With ``error``, only ``ref`` says something besides."""

    ref: str
    name: str
    text: str
    objects: list[ReportObject]
    error: NotRequired[ItemError]


def find_report_refs(output: Any) -> list[str]:
    """The references of the reports that a job's output names, each once, at most MAX_REPORTS.

    KBase's convention: a returned mapping holds ``report_ref``. Only the returned values are looked at, not what is
    nested in them: a deeper one is the report of another job that this one ran.
    """
    values = output if isinstance(output, list) else [output]
    refs = (value.get("report_ref") for value in values if isinstance(value, dict))
    return list(dict.fromkeys(ref for ref in refs if isinstance(ref, str) and is_ref(ref)))[:MAX_REPORTS]


def read_reports(workspace: Workspace, refs: list[str], token: str) -> list[Report]:
    """The reports, in order, as far as the token's owner may read them; the others with an error of their own.

    Raises:
        WorkspaceUnavailable: the Workspace is out of reach.
        TokenMissing, TokenInvalid, AccountDisabled: it refuses the token.
    """
    infos = workspace.object_infos(refs, token)
    return [_read(workspace, ref, info, token) for ref, info in zip(refs, infos, strict=True)]


def _read(workspace: Workspace, ref: str, info: ObjectInfo | None, token: str) -> Report:
    if info is None:
        return _unreadable(ref, f"The report {ref} does not exist, or you may not read it.")
    if info.size > MAX_REPORT_BYTES:
        return _unreadable(ref, f"The report {ref} has {info.size} bytes; at most {MAX_REPORT_BYTES} are shown.")
    try:
        (found,) = workspace.get_objects([ref], token)
    except ObjectNotReadable as error:
        return _unreadable(ref, error.message)
    if not isinstance(found.data, dict):
        return _unreadable(ref, f"The object {ref} is no report but a {info.type}.")
    return {"ref": ref, "name": info.name, "text": _text(found.data), "objects": _created(found.data)}


def _unreadable(ref: str, why: str) -> Report:
    error: ItemError = {"code": ObjectNotReadable.code, "reason": ObjectNotReadable.reason, "message": why}
    return {"ref": ref, "name": "", "text": "", "objects": [], "error": error}


def _text(data: dict[str, Any]) -> str:
    text = data.get("text_message")
    return text if isinstance(text, str) else ""


def _created(data: dict[str, Any]) -> list[ReportObject]:
    items = data.get("objects_created")
    created: list[ReportObject] = []
    for item in items if isinstance(items, list) else []:
        match item:
            case {"ref": str(ref), "description": str(description)}:
                created.append({"ref": ref, "description": description})
            case {"ref": str(ref)}:
                created.append({"ref": ref})
    return created
