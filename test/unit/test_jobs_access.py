from typing import Any

import pytest
from bson import ObjectId
from store_engine import KBase, make_engine, person, record, running, submit

from execution_engine.core.errors import (
    EngineError,
    JobNotFound,
    PermissionDenied,
    WorkspaceNotFound,
    WorkspaceUnavailable,
)
from execution_engine.jobs.access import (
    Sight,
    require_all,
    require_control,
    require_read_workspaces,
    require_submit,
    sight,
    sights,
)
from execution_engine.jobs.engine import Engine
from execution_engine.jobs.identity import Admin, User

PRIVATE, PUBLIC, DELETED = 7, 8, 9
PEOPLE = {
    "owner": person("alice"),
    "sharee": person("frank"),
    "reader": person("bob"),
    "writer": person("carol"),
    "workspace admin": person("dave"),
    "stranger": person("eve"),
    "read admin": person("ruth", Admin.READ),
    "admin": person("root", Admin.FULL),
}
ALL, RECORD, NONE = Sight.ALL, Sight.RECORD, Sight.NONE
PLACES: dict[str, int | None] = {"private": PRIVATE, "public": PUBLIC, "deleted": DELETED, "none": None}

# Who sees how much of alice's jobs, by the kind of their workspace.
SEES = {
    #                    private  public  deleted  none
    "owner": (ALL, ALL, ALL, ALL),
    "sharee": (NONE, RECORD, NONE, ALL),
    "reader": (ALL, ALL, NONE, NONE),
    "writer": (ALL, ALL, NONE, NONE),
    "workspace admin": (ALL, ALL, NONE, NONE),
    "stranger": (NONE, RECORD, NONE, NONE),
    "read admin": (ALL, ALL, ALL, ALL),
    "admin": (ALL, ALL, ALL, ALL),
}
# Who may cancel them: yes, no (is told so), unknown (there is no such job for them).
CANCELS = {
    "owner": ("yes", "yes", "yes", "yes"),
    "sharee": ("unknown", "no", "unknown", "no"),
    "reader": ("no", "no", "unknown", "unknown"),
    "writer": ("yes", "yes", "unknown", "unknown"),
    "workspace admin": ("yes", "yes", "unknown", "unknown"),
    "stranger": ("unknown", "no", "unknown", "unknown"),
    "read admin": ("no", "no", "no", "no"),
    "admin": ("yes", "yes", "yes", "yes"),
}


@pytest.fixture
def kbase() -> KBase:
    shared = {"alice": "a", "bob": "r", "carol": "w", "dave": "a"}
    return KBase(workspaces={PRIVATE: shared, PUBLIC: shared}, public={PUBLIC})


def job_in(place: str) -> dict[str, Any]:
    # The name counts only for jobs without a workspace.
    job: dict[str, Any] = {"_id": ObjectId(), "user": "alice", "shared_with": ["frank"]}
    wsid = PLACES[place]
    return job if wsid is None else job | {"wsid": wsid}


CASES = [(who, place, number) for who in PEOPLE for number, place in enumerate(PLACES)]


@pytest.mark.parametrize(("who", "place", "number"), CASES)
def test_who_sees_how_much_of_a_job(engine: Engine, who: str, place: str, number: int) -> None:
    job = job_in(place)
    assert sight(engine, PEOPLE[who], job) == SEES[who][number]


@pytest.mark.parametrize(("who", "place", "number"), CASES)
def test_who_may_read_log_input_and_output(engine: Engine, who: str, place: str, number: int) -> None:
    job = job_in(place)
    match SEES[who][number]:
        case Sight.ALL:
            assert require_all(engine, PEOPLE[who], job, job["_id"]) is job
        case Sight.RECORD:
            with pytest.raises(PermissionDenied, match="only its record and status are public"):
                require_all(engine, PEOPLE[who], job, job["_id"])
        case Sight.NONE:
            with pytest.raises(JobNotFound):
                require_all(engine, PEOPLE[who], job, job["_id"])


@pytest.mark.parametrize(("who", "place", "number"), CASES)
def test_who_may_cancel(engine: Engine, who: str, place: str, number: int) -> None:
    assert control(engine, PEOPLE[who], job_in(place)) == CANCELS[who][number]


def control(engine: Engine, user: User, job: dict[str, Any]) -> str:
    try:
        require_control(engine, user, job, job["_id"], "cancel")
    except PermissionDenied:
        return "no"
    except JobNotFound:
        return "unknown"
    return "yes"


def test_a_refusal_says_what_cancelling_needs(engine: Engine) -> None:
    job = job_in("private")
    with pytest.raises(PermissionDenied) as caught:
        require_control(engine, PEOPLE["reader"], job, job["_id"], "cancel")
    assert caught.value.message == (
        f"You may not cancel job {job['_id']}: that needs its owner (alice), permission to write its workspace, "
        "or an administrator."
    )


def test_a_site_may_leave_cancelling_to_the_workspaces_admins(mock_database: Any, kbase: KBase) -> None:
    engine = make_engine(mock_database, kbase, cancel_needs="admin")
    job = job_in("private")
    answers = {who: control(engine, user, job) for who, user in PEOPLE.items()}
    assert [who for who, answer in answers.items() if answer == "yes"] == ["owner", "workspace admin", "admin"]


def test_a_site_may_keep_public_workspaces_jobs_to_itself(mock_database: Any, kbase: KBase) -> None:
    engine = make_engine(mock_database, kbase, public_shows_record=False)
    assert sight(engine, PEOPLE["stranger"], job_in("public")) == Sight.NONE
    assert sight(engine, PEOPLE["reader"], job_in("public")) == Sight.ALL


def test_a_job_that_may_not_be_read_answers_as_one_that_is_not(engine: Engine) -> None:
    job = job_in("private")
    answers = []
    for what in (job, None):
        with pytest.raises(JobNotFound) as caught:
            require_all(engine, PEOPLE["stranger"], what, job["_id"])
        answers.append((caught.value.message, caught.value.data))
    for what in (job, None):
        with pytest.raises(JobNotFound) as caught:
            require_control(engine, PEOPLE["stranger"], what, job["_id"], "cancel")
        answers.append((caught.value.message, caught.value.data))
    assert answers == [(f"There is no job {job['_id']}, or you may not read it.", {})] * 4


@pytest.mark.parametrize(
    ("who", "place", "refusal"),
    [
        ("owner", "private", None),
        ("writer", "private", None),
        ("workspace admin", "private", None),
        ("reader", "private", PermissionDenied),
        ("stranger", "private", WorkspaceNotFound),
        ("read admin", "private", WorkspaceNotFound),
        ("admin", "private", WorkspaceNotFound),
        ("stranger", "public", PermissionDenied),
        ("owner", "deleted", WorkspaceNotFound),
        ("stranger", "none", None),
    ],
)
def test_who_may_run_jobs_in_a_workspace(
    engine: Engine, who: str, place: str, refusal: type[EngineError] | None
) -> None:
    if refusal is None:
        require_submit(engine, PEOPLE[who], PLACES[place])
        return
    with pytest.raises(refusal, match="needs permission to write it") as caught:
        require_submit(engine, PEOPLE[who], PLACES[place])
    assert str(PLACES[place]) in caught.value.message


@pytest.mark.parametrize(
    ("who", "place", "seen"),
    [
        ("owner", "private", ALL),
        ("reader", "private", ALL),
        ("stranger", "public", RECORD),
        ("read admin", "private", ALL),
        ("read admin", "deleted", ALL),
        ("stranger", "private", NONE),
        ("owner", "deleted", NONE),
    ],
)
def test_who_may_list_a_workspaces_jobs(engine: Engine, who: str, place: str, seen: Sight) -> None:
    wsid = PLACES[place] or 0
    if seen:
        assert require_read_workspaces(engine, PEOPLE[who], [wsid]) == {wsid: seen}
        return
    with pytest.raises(WorkspaceNotFound, match=rf"There is no workspace {wsid}, or you may not read it\."):
        require_read_workspaces(engine, PEOPLE[who], [wsid])


def test_all_workspaces_that_may_not_be_listed_are_named(engine: Engine) -> None:
    with pytest.raises(
        WorkspaceNotFound, match=r"There are no workspaces 12, 13, or you may not read them\."
    ) as caught:
        require_read_workspaces(engine, PEOPLE["reader"], [12, PRIVATE, 13])
    assert caught.value.data == {"wsids": [12, 13]}


def test_many_jobs_are_one_question_and_only_about_workspaces_that_matter(engine: Engine, kbase: KBase) -> None:
    jobs = [job_in(place) for place in PLACES for _ in range(3)]
    assert len(sights(engine, PEOPLE["stranger"], jobs)) == 12
    assert kbase.asked == ["permissions"]
    sights(engine, PEOPLE["owner"], jobs)
    sights(engine, PEOPLE["read admin"], jobs)
    assert kbase.asked == ["permissions"]


def test_while_the_workspace_is_down_owners_and_admins_go_on(engine: Engine, kbase: KBase) -> None:
    job_id, _ = running(engine, wsid=PRIVATE)
    job = record(engine, job_id)
    kbase.down.add("workspace")
    for who in ("owner", "read admin", "admin"):
        assert require_all(engine, PEOPLE[who], job, job_id) is job
    for who in ("owner", "admin"):
        assert require_control(engine, PEOPLE[who], job, job_id, "cancel") == (job, who)
    for who in ("reader", "stranger"):
        with pytest.raises(WorkspaceUnavailable):
            require_all(engine, PEOPLE[who], job, job_id)
        with pytest.raises(WorkspaceUnavailable):
            require_control(engine, PEOPLE[who], job, job_id, "cancel")
    with pytest.raises(WorkspaceUnavailable):
        submit(engine, wsid=PRIVATE)
    assert submit(engine)
