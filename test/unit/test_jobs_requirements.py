from typing import Any

import pytest
from store_engine import METHOD, KBase, make_engine, person, record, submit

from execution_engine.config import BackendSettings, ClientGroupSettings
from execution_engine.core.clock import now
from execution_engine.core.errors import (
    AppMisconfigured,
    ClientGroupNotFound,
    PermissionDenied,
    RequirementsTooLarge,
)
from execution_engine.jobs.access import open_groups
from execution_engine.jobs.control import cancel, retry
from execution_engine.jobs.engine import Engine
from execution_engine.jobs.identity import Admin, User
from execution_engine.jobs.routes import set_route
from execution_engine.jobs.submission import run_job, run_jobs

QUIET = "sequence_tools.quiet"
ROOT, RUTH = person("root", Admin.FULL), person("ruth", Admin.READ)
BOB = User("bob", ("LARGE_JOBS",), Admin.NONE, "bob-token")
BACKENDS = {name: BackendSettings(name, "local", {}) for name in ("local", "slurm")}
GROUPS = {
    "local": ClientGroupSettings("local", ("local",)),
    "bigmem": ClientGroupSettings(
        "bigmem",
        ("local", "slurm"),
        open_to=("carol", "role:LARGE_JOBS"),
        defaults={"memory_mb": 64_000, "disk_gb": 200},
        most={"cpus": 16, "memory_mb": 128_000},
    ),
    "upload": ClientGroupSettings("upload", ("local",), open_to=()),
}


@pytest.fixture
def engine(mock_database: Any, kbase: KBase) -> Engine:
    return make_engine(mock_database, kbase, backends=BACKENDS, client_groups=GROUPS)


def chosen(engine: Engine, user: User, **asked: Any) -> tuple[str, tuple[int, ...]]:
    job = record(engine, run_job(engine, user, {"method": QUIET, **asked}))
    return job["client_group"], tuple(job["requirements"][name] for name in ("cpus", "memory_mb", "disk_gb"))


def report(engine: Engine, name: str, cpus: int, memory_mb: int, *groups: dict[str, Any]) -> None:
    resources = {"cpus_total": cpus, "memory_mb_total": memory_mb, "groups": list(groups)}
    engine.backends.report(name, now(), "up", None, resources, "")


def test_the_request_goes_before_the_catalog_the_app_the_group_and_the_engine(engine: Engine, kbase: KBase) -> None:
    assert chosen(engine, BOB) == ("local", (1, 512, 1))
    assert chosen(engine, BOB, client_group="bigmem") == ("bigmem", (1, 64_000, 200))
    assert chosen(engine, BOB, client_group="bigmem", method=METHOD) == ("bigmem", (2, 64_000, 200))
    kbase.groups[METHOD] = ["bigmem", "request_cpus=4", "request_memory=1000M"]
    assert chosen(engine, BOB, method=METHOD) == ("bigmem", (4, 1_000, 200))
    assert chosen(engine, BOB, method=METHOD, client_group="local") == ("local", (4, 1_000, 1))
    assert chosen(engine, BOB, method=METHOD, requirements={"cpus": 8}) == ("bigmem", (8, 1_000, 200))


@pytest.mark.parametrize("user", [BOB, person("carol"), ROOT])
def test_a_group_is_open_to_whom_it_names_and_to_administrators(engine: Engine, user: User) -> None:
    assert chosen(engine, user, client_group="bigmem")[0] == "bigmem"


@pytest.mark.parametrize(
    "user", [person("alice"), RUTH, User("eve", ("role:LARGE_JOBS", "carol"), Admin.NONE, "e-token")]
)
def test_a_closed_group_names_the_open_ones(engine: Engine, user: User) -> None:
    with pytest.raises(
        PermissionDenied, match=r"^params: the client group bigmem is not open to you; open to you: local\.$"
    ):
        chosen(engine, user, client_group="bigmem")


def test_where_no_group_is_open_that_is_said(mock_database: Any, kbase: KBase) -> None:
    groups = {"local": ClientGroupSettings("local", ("local",), open_to=())}
    with pytest.raises(PermissionDenied, match="group local is not open to you; open to you: none"):
        submit(make_engine(mock_database, kbase, client_groups=groups))


def test_who_asks_is_told_the_open_groups_the_default_first(engine: Engine) -> None:
    for user, names in (
        (person("alice"), ["local"]),
        (BOB, ["local", "bigmem"]),
        (ROOT, ["local", "bigmem", "upload"]),
    ):
        assert [group.name for group in open_groups(engine.settings, user)] == names


def test_an_app_runs_where_the_catalog_sends_it_though_nobody_may_choose_that(engine: Engine, kbase: KBase) -> None:
    kbase.groups[METHOD] = ["upload"]
    for asked in ({}, {"client_group": "upload"}):
        assert chosen(engine, person("alice"), method=METHOD, **asked)[0] == "upload"
    with pytest.raises(PermissionDenied):
        chosen(engine, person("alice"), client_group="upload")


def test_a_group_of_the_catalog_that_the_engine_has_not_says_what_to_do(engine: Engine, kbase: KBase) -> None:
    kbase.groups[METHOD] = ["terabyte"]
    advice = (
        r"the Catalog sends .* 'terabyte', which this engine does not have; there are bigmem, local, upload\. "
        r"Name one of them in client_group, or ask .* \[client_group:terabyte\]"
    )
    with pytest.raises(ClientGroupNotFound, match=advice):
        submit(engine)
    assert chosen(engine, BOB, method=METHOD, client_group="local")[0] == "local"


def test_bad_texts_in_the_catalog_touch_their_own_app_alone(engine: Engine, kbase: KBase) -> None:
    kbase.groups[METHOD] = ["njs", "LowMemory"]
    with pytest.raises(AppMisconfigured, match=f"client groups of {METHOD} can't be used"):
        submit(engine)
    with pytest.raises(AppMisconfigured, match=r"^jobs\[1\]: The Catalog's"):
        run_jobs(engine, BOB, {"jobs": [{"method": QUIET}, {"method": METHOD}]})
    assert chosen(engine, BOB)[0] == "local"


def test_further_requirements_of_the_catalog_are_in_the_record(engine: Engine, kbase: KBase) -> None:
    kbase.groups[METHOD] = ["local", "color=blue"]
    assert record(engine, submit(engine))["constraints"] == {"color": "blue"}
    assert "constraints" not in record(engine, submit(engine, method=QUIET))


@pytest.mark.parametrize(
    ("asked", "texts", "message"),
    [
        ({"requirements": {"cpus": 17}}, [], r"^params.requirements.cpus is 17; the client group bigmem allows 16"),
        ({}, ["bigmem", "request_memory=130000"], f"^params: the memory_mb of {QUIET} are 130,000; .* allows 128,000"),
    ],
)
def test_more_than_the_group_allows_is_refused(
    engine: Engine, kbase: KBase, asked: dict[str, Any], texts: list[str], message: str
) -> None:
    kbase.groups[QUIET] = texts
    with pytest.raises(RequirementsTooLarge, match=message):
        chosen(engine, BOB, client_group="bigmem", **asked)


def test_more_than_any_backend_of_the_job_has_is_refused(engine: Engine) -> None:
    report(engine, "local", 2, 100_000)
    asked = {"client_group": "bigmem", "requirements": {"cpus": 4}}
    assert chosen(engine, BOB, **asked)[1][0] == 4  # the other one has not said yet
    report(engine, "slurm", 3, 100_000)
    with pytest.raises(RequirementsTooLarge, match=r"cpus is 4; the client group bigmem has 3 at most"):
        chosen(engine, BOB, **asked)
    report(engine, "slurm", 8, 100_000)
    assert chosen(engine, BOB, **asked)[1][0] == 4


def test_a_backend_that_has_nothing_now_may_have_something_later(engine: Engine) -> None:
    for name in ("local", "slurm"):
        report(engine, name, 0, 0)
    assert chosen(engine, BOB, client_group="bigmem", requirements={"cpus": 4})[1][0] == 4


def test_what_a_backend_has_for_the_group_counts_not_what_it_has_for_all(engine: Engine) -> None:
    def part(group: str, cpus: int | None) -> dict[str, Any]:
        return {"client_group": group, "cpus_total": cpus, "memory_mb_total": 500_000}

    asked = {"client_group": "bigmem", "requirements": {"cpus": 4}}
    report(engine, "local", 1, 500_000)
    report(engine, "slurm", 64, 900_000, part("njs", 60), part("bigmem", 2))
    with pytest.raises(RequirementsTooLarge, match="bigmem has 2 at most"):
        chosen(engine, BOB, **asked)
    report(engine, "slurm", 64, 900_000, part("njs", 60), part("bigmem", None))
    assert chosen(engine, BOB, **asked)[1][0] == 4  # it can't say


def test_the_backends_of_the_route_count(engine: Engine) -> None:
    report(engine, "local", 2, 100_000)
    report(engine, "slurm", 8, 100_000)
    set_route(engine, ROOT, {"user": "bob", "backends": ["slurm"]})
    assert chosen(engine, BOB, requirements={"cpus": 4})[1][0] == 4
    with pytest.raises(RequirementsTooLarge, match="local has 2 at most"):
        chosen(engine, person("alice"), requirements={"cpus": 4})


def test_an_app_that_no_machine_can_run_is_refused(engine: Engine, kbase: KBase) -> None:
    report(engine, "local", 2, 1_000)
    kbase.groups[QUIET] = ["local", "request_cpus=4"]
    with pytest.raises(RequirementsTooLarge, match=f"params: the cpus of {QUIET} are 4; .* local has 2 at most"):
        chosen(engine, BOB)


def test_one_look_at_the_backends_serves_a_batch(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    report(engine, "local", 2, 100_000)
    looks = []
    read = engine.outlook.read
    monkeypatch.setattr(engine.outlook, "read", lambda: looks.append(1) or read())
    run_jobs(engine, BOB, {"jobs": [{"method": QUIET, "requirements": {"cpus": 2}}] * 3})
    run_jobs(engine, BOB, {"jobs": [{"method": QUIET}] * 3})
    assert len(looks) == 1


def test_a_retry_needs_an_open_group_like_a_first_run(engine: Engine) -> None:
    job_id = run_job(engine, BOB, {"method": QUIET, "client_group": "bigmem"})
    cancel(engine, BOB, job_id, None)
    assert record(engine, retry(engine, BOB, job_id))["client_group"] == "bigmem"
    with pytest.raises(PermissionDenied, match="bigmem is not open to you"):
        retry(engine, person("bob"), job_id)
