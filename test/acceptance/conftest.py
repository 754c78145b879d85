"""The shared engine with the test apps in its Catalog, and engines that run away from what they are told."""

import pytest

from test.apps.registration import register_test_apps
from test.conftest import Stack


@pytest.fixture(scope="session")
def drills(stack: Stack) -> Stack:
    """The shared engine, which then has the module ``drill`` of test/apps."""
    register_test_apps(stack.data)
    return stack


def finished(stack: Stack, method: str, *params: object, user: str = "alice", **asked: object) -> dict:
    """The record of a job that was submitted and has ended."""
    job_id = stack.call("run_job", {"method": method, "params": list(params), **asked}, user)
    job: dict = stack.wait_for(job_id, user=user)
    return job
