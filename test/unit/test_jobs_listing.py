import base64
import json
from typing import Any

import pytest
from bson import ObjectId
from hypothesis import given
from hypothesis import strategies as st
from store_engine import KBase, begin, finish, hand_out, person, record, running, submit

from execution_engine.core.clock import from_ms, to_ms
from execution_engine.core.errors import InvalidParams, PermissionDenied, WorkspaceNotFound, WorkspaceUnavailable
from execution_engine.jobs.control import cancel
from execution_engine.jobs.engine import Engine
from execution_engine.jobs.identity import Admin, User
from execution_engine.jobs.listing import list_jobs
from execution_engine.jobs.listing.plans import choose_plan
from execution_engine.jobs.lookup import PARAMS
from execution_engine.jobs.sharing import share, unshare
from execution_engine.store.job_lists import Order

ALICE, BOB, EVE = person("alice"), person("bob"), person("eve")
NOTHING: frozenset[str] = frozenset()


def ids(engine: Engine, user: User = ALICE, /, **params: Any) -> list[ObjectId]:
    return [found.record["_id"] for found in list_jobs(engine, user, params, NOTHING).found]


def all_pages(engine: Engine, user: User = ALICE, **params: Any) -> list[list[ObjectId]]:
    pages = []
    while True:
        page = list_jobs(engine, user, params, NOTHING)
        pages.append([found.record["_id"] for found in page.found])
        if page.cursor is None:
            return pages
        params["cursor"] = page.cursor


def joined(pages: list[list[ObjectId]]) -> list[ObjectId]:
    return [job_id for page in pages for job_id in page]


@pytest.fixture
def jobs(engine: Engine) -> list[ObjectId]:
    """Nine of alice's, one a second, the oldest first; some at the very same time."""
    made = [submit(engine, params=[n]) for n in range(9)]
    for n, job_id in enumerate(made):
        engine.database.jobs.update_one({"_id": job_id}, {"$set": {"created": from_ms(1_000_000 + n // 3 * 1_000)}})
    submit(engine, "bob")
    return made


def test_mine_newest_first(engine: Engine, jobs: list[ObjectId]) -> None:
    assert ids(engine) == jobs[::-1]
    assert ids(engine, scope="mine") == jobs[::-1]
    assert ids(engine, order="asc") == jobs
    assert ids(engine, EVE) == []


@pytest.mark.parametrize("order", ["asc", "desc"])
@pytest.mark.parametrize("limit", [1, 2, 3, 4, 8, 9, 10])
def test_pages_follow_each_other_also_where_times_are_equal(
    engine: Engine, jobs: list[ObjectId], order: str, limit: int
) -> None:
    pages = all_pages(engine, order=order, limit=limit)
    assert joined(pages) == (jobs if order == "asc" else jobs[::-1])
    assert {len(page) for page in pages[:-1]} <= {limit}
    assert pages[-1], "a page that there is a cursor for has jobs"


def test_times_are_half_open(engine: Engine, jobs: list[ObjectId]) -> None:
    assert ids(engine, created_from=1_001_000, created_to=1_002_000, order="asc") == jobs[3:6]
    assert ids(engine, created_from=1_000_001, created_to=1_001_000) == []
    assert ids(engine, created_to=1_001_000, order="asc") == jobs[:3]
    assert joined(all_pages(engine, created_from=1_001_000, limit=2)) == jobs[:2:-1]


def test_by_status_method_and_app(engine: Engine) -> None:
    plain, quiet = submit(engine), submit(engine, method="sequence_tools.quiet")
    shown = submit(engine, app_id="sequence_tools/count")
    stopped = submit(engine, method="sequence_tools.quiet")
    cancel(engine, ALICE, stopped, None)
    assert ids(engine, method="sequence_tools.quiet") == [stopped, quiet]
    assert ids(engine, method="sequence_tools.quiet", status=["created"]) == [quiet]
    assert ids(engine, app_id="sequence_tools/count") == [shown]
    assert ids(engine, status=["terminated"]) == [stopped]
    assert ids(engine, status=["terminated", "created"]) == [stopped, shown, quiet, plain]
    assert ids(engine, status=[]) == [stopped, shown, quiet, plain]
    assert ids(engine, status=["running"]) == []


def test_by_time_of_end_are_only_those_that_have_ended(engine: Engine) -> None:
    first, second, waiting = submit(engine), submit(engine), submit(engine)
    for job_id, ended in ((second, 10_000), (first, 20_000)):
        cancel(engine, ALICE, job_id, None)
        engine.database.jobs.update_one({"_id": job_id}, {"$set": {"finished": from_ms(ended)}})
    assert ids(engine, sort="finished") == [first, second]
    assert ids(engine, sort="finished", order="asc") == [second, first]
    assert joined(all_pages(engine, sort="finished", limit=1)) == [first, second]
    assert ids(engine, sort="finished", finished_from=10_000, finished_to=20_000) == [second]
    assert ids(engine, finished_from=20_000) == [first]
    assert waiting in ids(engine)


def test_a_workspaces_jobs_are_those_of_all_its_users(engine: Engine) -> None:
    there = [submit(engine, wsid=7), submit(engine, "carol", wsid=7)]
    elsewhere = submit(engine)
    assert ids(engine, BOB, scope="workspace", wsid=7, order="asc") == there
    assert ids(engine, BOB, wsid=7, order="asc") == there, "a wsid alone means that workspace"
    assert ids(engine, ALICE, scope="mine", wsid=7) == there[:1]
    assert elsewhere in ids(engine, ALICE)


def test_a_workspace_that_may_not_be_read_is_not_listed(engine: Engine, kbase: KBase) -> None:
    submit(engine, wsid=7)
    with pytest.raises(WorkspaceNotFound):
        ids(engine, EVE, wsid=7)
    with pytest.raises(InvalidParams, match=r"params\.wsid is missing; the scope workspace needs it"):
        ids(engine, scope="workspace")
    kbase.down.add("workspace")
    with pytest.raises(WorkspaceUnavailable):
        ids(engine, BOB, wsid=7)
    assert len(ids(engine, ALICE)) == 1
    assert len(ids(engine, person("ruth", Admin.READ), wsid=7)) == 1


def test_of_a_public_workspaces_jobs_strangers_see_the_records_alone(engine: Engine, kbase: KBase) -> None:
    kbase.public.add(7)
    job_id, credential = running(engine, wsid=7)
    finish(engine, job_id, credential, "error")
    (found,) = list_jobs(engine, EVE, {"wsid": 7}, frozenset({PARAMS})).found
    assert found.record["status"] == "error"
    assert not {"cause", "history", "host"} & found.record.keys()
    assert found.details == {}


def test_shared_are_others_jobs_in_what_i_can_read(engine: Engine, kbase: KBase) -> None:
    kbase.workspaces |= {8: {"carol": "a"}, 9: {"carol": "a", "bob": "r"}}
    kbase.public.add(8)
    hers, his = submit(engine, "carol", wsid=7), submit(engine, wsid=7)
    elsewhere, public = submit(engine, "carol", wsid=9), submit(engine, "carol", wsid=8)
    submit(engine)
    assert ids(engine, BOB, scope="shared") == [elsewhere, his, hers]
    assert ids(engine, person("carol"), scope="shared") == [his]
    assert ids(engine, BOB, scope="shared", user="alice") == [his]
    assert ids(engine, BOB, scope="shared", user="bob") == []
    assert ids(engine, EVE, scope="shared") == [], "what is public is not shared with anybody"
    assert ids(engine, EVE, wsid=8) == [public]


def test_shared_are_also_jobs_that_name_me(engine: Engine) -> None:
    personal, there, newer = submit(engine), submit(engine, "carol", wsid=7), submit(engine, "carol")
    share(engine, ALICE, personal, ["bob", "eve"])
    share(engine, person("carol"), newer, ["bob"])
    assert ids(engine, BOB, scope="shared") == [newer, there, personal]
    assert all_pages(engine, BOB, scope="shared", limit=1) == [[newer], [there], [personal]]
    assert ids(engine, BOB, scope="shared", user="alice") == [personal]
    assert ids(engine, BOB, scope="shared", job_id=str(personal)) == [personal]
    assert ids(engine, BOB, scope="shared", status=["error"]) == []
    assert ids(engine, EVE, scope="shared") == [personal], "without any workspace"
    unshare(engine, ALICE, personal, ["bob"])
    assert ids(engine, BOB, scope="shared") == [newer, there]


def test_several_workspaces_in_one_list(engine: Engine, kbase: KBase) -> None:
    kbase.workspaces[9] = {"carol": "a", "bob": "r"}
    there, elsewhere = submit(engine, wsid=7), submit(engine, "carol", wsid=9)
    assert ids(engine, BOB, wsids=[9, 7]) == [elsewhere, there]
    assert ids(engine, BOB, wsid=7, wsids=[9], user="alice") == [there]
    with pytest.raises(WorkspaceNotFound, match=r"There are no workspaces 4, 5, or you may not read them\."):
        ids(engine, BOB, wsids=[4, 7, 5])


def test_all_is_for_administrators(engine: Engine) -> None:
    jobs = [submit(engine), submit(engine, "carol", wsid=7)]
    ruth = person("ruth", Admin.READ)
    assert ids(engine, ruth, scope="all", order="asc") == jobs
    assert ids(engine, ruth, scope="all", user="carol") == jobs[1:]
    assert ids(engine, ruth, scope="all", wsid=7) == jobs[1:]
    with pytest.raises(PermissionDenied, match="The scope all is for administrators"):
        ids(engine, ALICE, scope="all")


def test_scopes_and_filters_that_contradict_each_other_are_refused(engine: Engine) -> None:
    with pytest.raises(InvalidParams, match=r"params\.user is 'bob', but the scope mine has only the jobs of alice"):
        ids(engine, ALICE, user="bob")
    with pytest.raises(InvalidParams, match=r"params\.wsid does not go with the scope shared"):
        ids(engine, ALICE, scope="shared", wsid=7)
    with pytest.raises(InvalidParams, match=r"params\.words is 'it was an error'"):
        ids(engine, ALICE, words="it was an error")


@pytest.mark.parametrize("hidden", [{"words": "memory"}, {"client_group": "local"}, {"backend": "local"}])
def test_a_filter_tells_no_more_than_a_public_record_shows(
    engine: Engine, kbase: KBase, hidden: dict[str, str]
) -> None:
    kbase.public.add(7)
    submit(engine, wsid=7)
    ids(engine, BOB, wsid=7, **hidden)
    with pytest.raises(PermissionDenied, match=rf"params\.{next(iter(hidden))} looks at what is not public"):
        ids(engine, EVE, wsid=7, **hidden)


def test_failed_jobs_are_found_by_the_words_of_their_error(engine: Engine) -> None:
    job_id, credential = running(engine)
    finish(
        engine, job_id, credential, "error", cause={"code": "app_error", "message": "kb_megahit: Out of Memory (12)"}
    )
    stopped = submit(engine)
    cancel(engine, ALICE, stopped, None)
    assert ids(engine, words="megahit") == [job_id]
    assert ids(engine, words="MEMORY, out!") == [job_id]
    assert ids(engine, words="memory disk") == []
    assert ids(engine, words="cancelled") == [stopped]
    assert ids(engine, words="megahit", status=["terminated"]) == []


def test_by_the_beginning_of_app_and_id(engine: Engine) -> None:
    count, draw = submit(engine, app_id="sequence_tools/count"), submit(engine, app_id="sequence_tools/draw")
    submit(engine, app_id="sequence_toolsX/count")
    assert ids(engine, app="sequence_tools/") == [draw, count]
    assert ids(engine, app="sequence_tools/", app_id="sequence_tools/draw") == [draw]
    assert ids(engine, app="other", app_id="sequence_tools/draw") == []
    assert ids(engine, app="nothing/") == []
    assert ids(engine, job_id=str(count)) == [count]
    assert count in ids(engine, job_id=str(count)[:8])
    assert ids(engine, job_id="0" * 8) == []
    assert ids(engine, BOB, job_id=str(count)) == []


def test_while_the_workspace_is_down_the_own_list_goes_on(engine: Engine, kbase: KBase) -> None:
    job_id = submit(engine, wsid=7)
    kbase.down.add("workspace")
    assert ids(engine, ALICE) == [job_id]
    for params in ({"scope": "shared"}, {"wsid": 7}):
        with pytest.raises(WorkspaceUnavailable):
            ids(engine, ALICE, **params)


def test_details_come_with_a_page(engine: Engine) -> None:
    submit(engine, params=[5])
    (found,) = list_jobs(engine, ALICE, {}, frozenset({PARAMS})).found
    assert found.details == {PARAMS: [5]}


def next_cursor(engine: Engine, **params: Any) -> str:
    cursor = list_jobs(engine, ALICE, {"limit": 1, **params}, NOTHING).cursor
    assert cursor is not None
    return cursor


@pytest.mark.usefixtures("jobs")
@pytest.mark.parametrize(
    "change",
    [
        {"status": ["created"]},
        {"order": "asc"},
        {"sort": "finished"},
        {"method": "sequence_tools.quiet"},
        {"created_from": 1},
        {"wsid": 7, "scope": "mine"},
    ],
)
def test_a_cursor_continues_only_its_own_list(engine: Engine, change: dict[str, Any]) -> None:
    cursor = next_cursor(engine)
    with pytest.raises(InvalidParams, match=r"params\.cursor belongs to another list"):
        ids(engine, cursor=cursor, **change)
    with pytest.raises(InvalidParams, match="another list"):
        ids(engine, BOB, cursor=cursor)


@pytest.mark.usefixtures("jobs")
def test_pages_may_change_their_size(engine: Engine) -> None:
    assert len(ids(engine, cursor=next_cursor(engine), limit=3)) == 3


def cursor_of(*position: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(position).encode()).decode().rstrip("=")


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "x",
        "é",
        "!!!!",
        "e30",
        cursor_of(1, 2),
        cursor_of("yesterday", "0" * 24, "d"),
        cursor_of(10**30, "0" * 24, "d"),
        cursor_of(float("nan"), "0" * 24, "d"),
        cursor_of(1, "no id", "d"),
        cursor_of(1, 17, "d"),
        cursor_of(1, {"$gt": ""}, "d"),
    ],
)
def test_a_made_up_cursor_is_refused(engine: Engine, cursor: str) -> None:
    with pytest.raises(
        InvalidParams, match=r"params\.cursor is not one of list_jobs; expected next_cursor of the page"
    ):
        ids(engine, cursor=cursor)


@given(st.binary(max_size=60))
def test_no_cursor_of_any_bytes_does_harm(content: bytes) -> None:
    made_up = base64.urlsafe_b64encode(content).decode()
    nobody: Any = None
    with pytest.raises(InvalidParams):
        list_jobs(nobody, ALICE, {"cursor": made_up}, NOTHING)


@pytest.mark.parametrize(
    ("conditions", "sort", "index"),
    [
        ({"user": "alice"}, "created", "user_created"),
        ({"user": "alice", "status": "error"}, "created", "user_status_created"),
        ({"user": "alice", "method": "m.f"}, "created", "user_method_created"),
        ({"user": "alice", "app_id": {"$in": ["m/a", "m/b"]}}, "created", "user_app_created"),
        ({"user": "alice", "app_id": {"$gte": "m/", "$lt": "n"}}, "created", "user_created"),
        ({"user": "alice", "method": "m.f", "status": "error"}, "created", "user_method_created"),
        ({"user": "alice", "status": "error"}, "finished", "user_finished"),
        ({"user": "alice", "wsid": 7}, "created", "user_created"),
        ({"wsid": 7, "user": {"$ne": "alice"}}, "created", "wsid_created"),
        ({"wsid": {"$in": [7, 8]}, "status": "error"}, "created", "wsid_status_created"),
        ({"wsid": {"$in": list(range(100))}, "status": {"$in": ["error", "queued"]}}, "created", "wsid_status_created"),
        ({"wsid": {"$in": list(range(100))}, "status": {"$in": ["error"] * 3}}, "created", "wsid_created"),
        ({"wsid": {"$in": list(range(201))}}, "created", "created"),
        ({"wsid": 7, "method": "m.f"}, "created", "wsid_created"),
        ({"wsid": 7}, "finished", "wsid_finished"),
        ({}, "created", "created"),
        ({"status": "error"}, "created", "status_created"),
        ({"status": "error", "tok": {"$all": ["memory"]}}, "created", "tok_created"),
        ({"client_group": "njs", "status": "error"}, "created", "group_created"),
        ({"backend": "slurm"}, "created", "created"),
        ({"status": "error"}, "finished", "finished"),
    ],
)
def test_each_list_has_its_index(conditions: dict[str, Any], sort: str, index: str) -> None:
    assert choose_plan(conditions, Order(sort, -1)).index == index


def test_records_are_as_they_are_stored(engine: Engine) -> None:
    job_id = submit(engine)
    begin(engine, job_id, hand_out(engine, job_id))
    (found,) = list_jobs(engine, ALICE, {}, NOTHING).found
    assert found.record == record(engine, job_id)
    assert to_ms(found.record["created"]) > 0
