"""check_job, check_jobs, list_jobs, get_report."""

from execution_engine.api.callers import Rules
from execution_engine.api.views import (
    FIELDS,
    IN_LISTS,
    WITHOUT_PAYLOAD,
    chosen_fields,
    errors_view,
    job_view,
    needed_details,
)
from execution_engine.core.ids import parse_job_id
from execution_engine.jobs import listing
from execution_engine.jobs.audit import Act, note_reading
from execution_engine.jobs.engine import Engine
from execution_engine.jobs.identity import User
from execution_engine.jobs.lookup import find_job, find_jobs, readable_job
from execution_engine.kbase.reports import read_reports
from execution_engine.rpc.registry import Registry
from execution_engine.store.database import Document


def register(registry: Registry, engine: Engine, rules: Rules) -> None:
    """Bind the methods of this module."""

    def check_job(user: User, params: Document) -> Document:
        fields = chosen_fields(params, FIELDS)
        found = find_job(engine, user, parse_job_id(params["job_id"]), needed_details(fields))
        return job_view(found, fields)

    def check_jobs(user: User, params: Document) -> Document:
        fields = chosen_fields(params, WITHOUT_PAYLOAD)
        job_ids = list(dict.fromkeys(parse_job_id(job_id) for job_id in params["job_ids"]))
        found, errors = find_jobs(engine, user, job_ids, needed_details(fields))
        jobs = {str(job_id): job_view(item, fields) for job_id, item in found.items()}
        return {"jobs": jobs, "errors": errors_view(errors.items())}

    def list_jobs(user: User, params: Document) -> Document:
        fields = chosen_fields(params, IN_LISTS)
        page = listing.list_jobs(engine, user, params, needed_details(fields))
        result: Document = {"jobs": [job_view(item, fields) for item in page.found]}
        if page.cursor is not None:
            result["next_cursor"] = page.cursor
        return result | {"incomplete": 1} if page.incomplete else result

    def get_report(user: User, params: Document) -> Document:
        job = readable_job(engine, user, parse_job_id(params["job_id"]))
        note_reading(engine, user, [job], Act.READ_REPORT)
        return {"reports": read_reports(engine.workspace, job.get("reports", []), user.token)}

    registry.add("check_job", check_job, rules.reader)
    registry.add("check_jobs", check_jobs, rules.reader)
    registry.add("list_jobs", list_jobs, rules.reader)
    registry.add("get_report", get_report, rules.reader)
