"""Limits as administrators, owners of apps and everybody else meet them."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from execution_engine.embedded.services import DATABASE_NAME
from test.acceptance.people import add_person
from test.conftest import Stack, wait_until

METHOD = "sequence_tools.long_task"


@pytest.fixture
def lena(stack: Stack) -> Iterator[str]:
    """Somebody of whose jobs nothing is left afterwards."""
    add_person(stack, "lena")
    yield "lena"
    jobs = stack.call("list_jobs", {"status": ["created", "queued", "running"]}, "lena")["jobs"]
    for job in jobs:
        stack.call("cancel_job", {"job_id": job["job_id"]}, "lena")
    for job in jobs:
        stack.wait_for(job["job_id"], user="lena")


def long_task(stack: Stack, user: str) -> str:
    """A job that runs until it is cancelled."""
    request = {"method": METHOD, "params": [{"seconds": 600, "lines_per_second": 1}], "requirements": {"memory_mb": 16}}
    return str(stack.call("run_job", request, user))


@contextmanager
def limited(stack: Stack, value: int, by: str = "admin", /, **target: Any) -> Iterator[Any]:
    """As long as the block lasts; yields a function that changes it."""

    def change(value: int) -> Any:
        return stack.call("set_limit", {**target, "value": value}, by)

    change(value)
    try:
        yield change
    finally:
        stack.call("remove_limit", target, by)


def limit_on(stack: Stack, job_id: str) -> Any:
    """What holds the job, once that is a limit: how many are at work is counted twice a second."""

    def hold() -> Any:
        found = hold_of(stack, job_id)
        return found if found and found["code"] == "limit" else None

    return wait_until(hold)


def hold_of(stack: Stack, job_id: str) -> Any:
    return stack.call("check_job", {"job_id": job_id, "fields": ["hold"]}, "lena").get("hold", {})


def test_a_job_that_a_limit_holds_says_which_and_starts_when_it_is_raised(stack: Stack, lena: str) -> None:
    with limited(stack, 2, kind="running", user=lena) as change:
        first, second, third = [long_task(stack, lena) for _ in range(3)]
        stack.wait_for(first, "running", user=lena)
        stack.wait_for(second, "running", user=lena)
        hold = limit_on(stack, third)
        assert hold == {
            "code": "limit",
            "message": "lena has 2 jobs at work; the limit is 2. The job begins when some of them have ended, "
            "or when an administrator raises the limit.",
            "limit": {"kind": "running", "user": lena, "value": 2, "in_use": 2},
        }
        (mine,) = stack.call("get_limits", {}, lena)["limits"]
        assert mine == {"kind": "running", "user": lena, "value": 2, "in_use": 2}
        of_others = long_task(stack, "bob")
        stack.wait_for(of_others, "running", user="bob")
        stack.call("cancel_job", {"job_id": of_others}, "bob")
        assert stack.call("check_job", {"job_id": third}, lena)["status"] == "created"
        change(3)
        stack.wait_for(third, "running", user=lena)


def test_the_end_of_a_job_lets_the_next_one_begin(stack: Stack, lena: str) -> None:
    with limited(stack, 1, kind="running", client_group="local", user=lena):
        first, second = long_task(stack, lena), long_task(stack, lena)
        stack.wait_for(first, "running", user=lena)
        assert limit_on(stack, second)["limit"]["client_group"] == "local"
        stack.call("cancel_job", {"job_id": first}, lena)
        stack.wait_for(second, "running", user=lena)


def test_too_many_waiting_jobs_are_refused_with_what_to_do(stack: Stack, lena: str) -> None:
    with limited(stack, 0, kind="running", user=lena), limited(stack, 3, kind="queued", user=lena):
        batch = stack.call("run_jobs", {"jobs": [{"method": METHOD}] * 2}, lena)
        error = stack.post("run_jobs", {"jobs": [{"method": METHOD}] * 2}, lena).error
        assert error["data"] == {"reason": "queue_limit_reached", "limit": 3, "waiting": 2, "submitted": 2}
        assert error["message"].startswith("You have 2 waiting jobs; with 2 more they would exceed the limit of 3")
        long_task(stack, lena)
        assert stack.post("run_job", {"method": METHOD}, lena).error["data"]["waiting"] == 3
        stack.call("cancel_job", {"job_id": batch["job_ids"][0]}, lena)
        long_task(stack, lena)


def test_the_owner_of_an_app_lowers_its_run_time_and_the_job_ends_with_it(stack: Stack, lena: str) -> None:
    target = {"kind": "run_time", "method": METHOD}
    refused = stack.post("set_limit", {**target, "value": 2}, lena).error
    assert refused["data"]["reason"] == "permission_denied"
    with owner(stack, lena), limited(stack, 3600, **target), limited(stack, 2, lena, **target):
        too_high = stack.post("set_limit", {**target, "value": 7200}, lena).error
        assert "the administrators let sequence_tools.long_task run for 3,600 seconds" in too_high["message"]
        job = stack.wait_for(long_task(stack, lena), user=lena)
        assert (job["status"], job["cause"]["code"], job["time_limit_s"]) == ("error", "time_limit", 2)
        log = stack.call("get_logs", {"job_id": job["job_id"]}, lena)["lines"]
        assert "The time limit is reached: the app is stopped." in [line["line"] for line in log]
        entries = stack.call("list_audit", {"actor": lena, "act": "set_limit"}, "admin")["entries"]
        assert (entries[0]["role"], entries[0]["after"]) == ("app_owner", {"value": 2})


@contextmanager
def owner(stack: Stack, name: str) -> Iterator[None]:
    """The owner of the example apps, as the Catalog knows it."""
    modules = stack.database().client[DATABASE_NAME].catalog_modules
    modules.update_one({"_id": "sequence_tools"}, {"$set": {"owners": [name]}})

    def may() -> bool:
        asked = {"kind": "run_time", "method": METHOD}
        return bool(stack.post("remove_limit", asked, name).error["data"]["reason"] == "limit_not_found")

    try:
        wait_until(may, what="the Catalog's answer to be asked for again")
        yield
    finally:
        modules.update_one({"_id": "sequence_tools"}, {"$set": {"owners": []}})
