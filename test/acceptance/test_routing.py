"""Client groups, requirements and routes, as people and administrators meet them."""

from collections.abc import Iterator
from typing import Any

import pytest

from test.acceptance.people import add_person
from test.apps.registration import register_test_apps
from test.conftest import Answer, Stack, wait_until

COUNT, BULKY = "drill.count", "drill.bulky"
CONFIG = """
[execution_engine]
catalog-cache-seconds = 0
denial-cache-seconds = 0
[backend:local]
kind = local
cpus = 4
[backend:second]
kind = local
cpus = 2
[client_group:local]
backends = local
[client_group:bigmem]
backends = second
open-to = role:LARGE_JOBS
cpus = 2
memory-mb = 256
max-memory-mb = 1024
[client_group:upload]
backends = local
open-to =
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Two backends, three client groups; rob may choose bigmem, catherine administers the Catalog."""
    running = Stack(tmp_path_factory.mktemp("routing"), CONFIG)
    running.start()
    register_test_apps(running.data)
    add_person(running, "rob", "LARGE_JOBS")
    add_person(running, "catherine", "CATALOG_ADMIN")
    try:
        yield running
    finally:
        running.stop()


def submit(site: Stack, user: str, method: str = COUNT, **asked: Any) -> Answer:
    return site.post("run_job", {"method": method, "params": [{"characters": 1}], **asked}, user)


def ran(site: Stack, user: str, method: str = COUNT, **asked: Any) -> Any:
    """The record of such a job once it has completed."""
    job = site.wait_for(submit(site, user, method, **asked).result, user=user)
    assert job["status"] == "completed"
    return job


def set_catalog(site: Stack, method: str, *texts: str) -> None:
    """The Catalog's client groups of a method."""
    module, function = method.split(".")
    config = {"module_name": module, "function_name": function, "client_groups": list(texts)}
    body = {"version": "1.1", "id": "1", "method": "Catalog.set_client_group_config", "params": [config]}
    headers = {"Authorization": site.token("catherine")}
    answer = site.session.post(site.url.removesuffix("ee") + "catalog", json=body, headers=headers, timeout=30)
    assert answer.status_code == 200, answer.text


def test_a_closed_group_is_for_those_whom_it_names(site: Stack) -> None:
    error = submit(site, "alice", client_group="bigmem").error
    assert (error["data"]["reason"], error["message"]) == (
        "permission_denied",
        "params: the client group bigmem is not open to you; open to you: local.",
    )
    job = ran(site, "rob", client_group="bigmem")
    assert (job["client_group"], job["backend"]) == ("bigmem", "second")
    assert ran(site, "admin", client_group="upload")["client_group"] == "upload"


def test_whoami_says_which_groups_are_open_and_what_jobs_take_there(site: Stack) -> None:
    local = {"client_group": "local", "defaults": {"cpus": 1, "memory_mb": 512, "disk_gb": 1}, "most": {}}
    bigmem = {
        "client_group": "bigmem",
        "defaults": {"cpus": 2, "memory_mb": 256, "disk_gb": 1},
        "most": {"memory_mb": 1024},
    }
    assert site.call("whoami", user="alice")["client_groups"] == [local]
    assert site.call("whoami", user="rob")["client_groups"] == [local, bigmem]
    names = [group["client_group"] for group in site.call("whoami", user="admin")["client_groups"]]
    assert names == ["local", "bigmem", "upload"]


def test_requirements_come_from_the_request_the_catalog_the_app_and_the_group(site: Stack) -> None:
    def taken(user: str, **asked: Any) -> Any:
        return ran(site, user, COUNT, **asked)["requirements"]

    assert taken("alice") == {"cpus": 1, "memory_mb": 16, "disk_gb": 1}
    assert taken("alice", requirements={"cpus": 3}) == {"cpus": 3, "memory_mb": 16, "disk_gb": 1}
    set_catalog(site, COUNT, "local", "request_cpus=2", "request_memory=100M")
    try:
        assert taken("alice") == {"cpus": 2, "memory_mb": 100, "disk_gb": 1}
        assert taken("alice", requirements={"memory_mb": 50}) == {"cpus": 2, "memory_mb": 50, "disk_gb": 1}
    finally:
        set_catalog(site, COUNT)
    refused = {
        "the client group bigmem allows 1,024 at most": {"memory_mb": 2_000},
        "the client group bigmem has 2 at most": {"cpus": 3},
    }
    for message, needs in refused.items():
        error = submit(site, "rob", client_group="bigmem", requirements=needs).error
        assert error["data"]["reason"] == "requirements_too_large"
        assert message in error["message"]


@pytest.mark.parametrize(
    "texts",
    [
        ("upload", "request_disk=2GB", "color=blue"),
        ('{"client_group": "upload"', '"request_disk": 2', '"color": "blue"}'),
    ],
)
def test_an_app_runs_where_the_catalog_says(site: Stack, texts: tuple[str, ...]) -> None:
    set_catalog(site, BULKY, *texts)
    try:
        job = ran(site, "alice", BULKY)
    finally:
        set_catalog(site, BULKY)
    assert (job["client_group"], job["requirements"]["disk_gb"]) == ("upload", 2)
    assert job["constraints"] == {"color": "blue"}


@pytest.mark.parametrize(
    ("texts", "reason", "message"),
    [
        (("terabyte",), "client_group_not_found", "which this engine does not have; there are bigmem, local, upload."),
        (("local", "LowMemory"), "app_misconfigured", "after the client group comes key=value, found 'LowMemory'"),
    ],
)
def test_what_the_catalog_has_wrong_is_said_and_touches_one_app(
    site: Stack, texts: tuple[str, ...], reason: str, message: str
) -> None:
    set_catalog(site, BULKY, *texts)
    try:
        error = submit(site, "alice", BULKY).error
        assert error["data"]["reason"] == reason
        assert message in error["message"]
        assert ran(site, "alice", COUNT)["client_group"] == "local"
    finally:
        set_catalog(site, BULKY)


def test_a_route_moves_the_next_job_of_an_app_and_of_nobody_else(site: Stack) -> None:
    assert ran(site, "alice")["backend"] == "local"
    site.call("set_route", {"method": COUNT, "user": "alice", "backends": ["second"], "reason": "trial"}, "admin")
    try:
        wait_until(lambda: ran(site, "alice")["backend"] == "second", 20, "the route")
        assert ran(site, "alice", BULKY)["backend"] == "local"
        assert ran(site, "bob")["backend"] == "local"
        (route,) = site.call("get_routes", user="admin")["routes"]
        assert (route["method"], route["user"], route["backends"], route["set_by"]) == (
            COUNT,
            "alice",
            ["second"],
            "admin",
        )
    finally:
        site.call("remove_route", {"method": COUNT, "user": "alice"}, "admin")
    wait_until(lambda: ran(site, "alice")["backend"] == "local", 20, "the configuration")
    for act, before, after in (("set_route", None, ["second"]), ("remove_route", ["second"], None)):
        (entry,) = site.call("list_audit", {"act": act}, "admin")["entries"]
        assert entry["subject"] == f"route method {COUNT}, user alice"
        assert entry.get("before") == (before and {"backends": before})
        assert entry.get("after") == (after and {"backends": after})


def test_a_route_to_nowhere_is_refused(site: Stack) -> None:
    error = site.post("set_route", {"user": "alice", "backends": ["secnod"]}, "admin").error
    assert (error["data"]["reason"], error["message"]) == (
        "backend_not_found",
        "params.backends: there is no backend 'secnod'; there are local, second.",
    )
