"""AWE's documents are read as the real servers of both versions wrote them."""

import json
from pathlib import Path
from typing import Any

import pytest
from awe_documents import document, job, worker

from execution_engine.backends.awe.documents import UnreadableError, is_id, read_job, read_worker, tag_of
from test.awe_simulator.model import Version

RECORDED = {one["name"]: one for one in json.loads((Path(__file__).parents[1] / "exchanges/awe.json").read_text())}
EACH_VERSION = pytest.mark.parametrize("version", ["0.9.26", "0.9.68"])


def recorded(version: str, name: str) -> Any:
    return RECORDED[f"{version}/{name}"]["response"]["body"]["data"]


@EACH_VERSION
@pytest.mark.parametrize(
    ("name", "state", "started", "finished", "failed"),
    [
        ("get_job_queued_forever", "queued", False, False, False),
        ("get_job_in_progress", "in-progress", True, False, False),
        ("get_job_completed", "completed", True, True, False),
        ("get_job_suspended", "suspend", False, False, False),
        ("get_job_suspended_while_running", "suspend", True, False, False),
        ("get_job_suspended_after_completion", "suspend", True, True, False),
        ("get_job_failed_noretry", "suspend", True, False, True),
        ("get_job_command_missing", "suspend", True, False, True),
        ("get_job_deleted", "deleted", False, False, False),
        ("get_job_deleted_while_running", "deleted", True, False, False),
        ("job_after_worker_killed", "in-progress", True, False, False),
    ],
)
def test_a_recorded_job(version: str, name: str, state: str, started: bool, finished: bool, failed: bool) -> None:
    read = read_job(recorded(version, name))
    assert (read.state, read.started, read.finished, read.failed) == (state, started, finished, failed)
    assert read.groups <= {"kbase", "bigmem"}


@EACH_VERSION
def test_a_completed_job_that_somebody_resumed_is_still_finished(version: str) -> None:
    read = read_job(recorded(version, "get_job_resumed_after_completion"))
    assert read.state in ("queued", "in-progress")
    assert read.finished


@EACH_VERSION
def test_what_awe_says_of_a_failure(version: str) -> None:
    assert "failed 1 time(s)" in read_job(recorded(version, "get_job_failed_exit7")).notes
    assert read_job(recorded(version, "get_job_suspended")).notes == "manually suspended"


def test_exit_code_42_is_a_state_of_its_own_in_the_last_version() -> None:
    read = read_job(recorded("0.9.68", "get_job_failed_exit42"))
    assert (read.state, read.failed) == ("failed-permanent", True)


@EACH_VERSION
def test_an_idle_worker(version: str) -> None:
    [read] = [read_worker(one) for one in recorded(version, "clients_list")]
    assert (read.host, read.group, read.cores, read.usable, read.busy) == ("WORKER_HOST", "kbase", 2, True, False)


def test_a_busy_worker_says_so_or_is_only_known_to_have_been_given_work() -> None:
    [old] = [read_worker(one) for one in recorded("0.9.26", "leak_bob_lists_clients")]
    [last] = [read_worker(one) for one in recorded("0.9.68", "leak_bob_lists_clients")]
    assert (len(old.running), len(old.assigned)) == (1, 0)
    assert (len(last.running), len(last.assigned)) == (0, 1)
    assert all(is_id(one) for one in old.running | last.assigned)
    assert old.busy
    assert last.busy


def test_work_that_a_worker_has_ended_and_could_not_deliver_is_not_running() -> None:
    [listed] = recorded("0.9.26", "leak_bob_lists_clients")
    assert read_worker({**listed, "current_work": dict.fromkeys(listed["current_work"], False)}).running == frozenset()


@pytest.mark.parametrize("version", list(Version))
def test_workers_that_are_suspended_are_no_use(version: Version) -> None:
    assert not worker(version, suspended=True).usable


@pytest.mark.parametrize("version", list(Version))
def test_our_attributes_and_their_absence(version: Version) -> None:
    assert (job(version).tag, job(version).client_group) == ("ee.0123456789abcdef01234567.1", "njs")
    others = job(version, info={"userattr": None})
    assert (others.tag, others.client_group) == ("", "")


def test_times_of_any_precision_sort_by_time() -> None:
    times = [
        "2026-11-22T17:57:08Z",
        "2026-11-22T17:57:08.5Z",
        "2026-11-22T17:57:08.638734487Z",
        "2026-11-22T17:57:08.64Z",
    ]
    assert sorted(job(info={"submittime": time}).submitted for time in reversed(times)) == [
        time.removesuffix("Z") for time in times
    ]


@pytest.mark.parametrize("missing", ["id", "info", "tasks", "state", "remaintasks", "registered"])
def test_a_document_without_its_essentials_can_not_be_read(missing: str) -> None:
    broken = document(Version.LAST)
    del broken[missing]
    with pytest.raises(UnreadableError):
        read_job(broken)


@pytest.mark.parametrize("nonsense", [None, 7, "job", [], {}, {"id": 7, "info": [], "tasks": [None]}])
def test_nonsense_can_not_be_read_and_has_no_tag(nonsense: Any) -> None:
    for read in (read_job, read_worker):
        with pytest.raises(UnreadableError):
            read(nonsense)
    assert tag_of(nonsense) == ""


@pytest.mark.parametrize("text", ["", "..", "not-a-uuid", "00000000-1111-2222-3333-44444444444g", "a/b", "é" * 36])
def test_nothing_but_an_id_is_one(text: str) -> None:
    assert not is_id(text)
    assert is_id("00000000-1111-2222-3333-444444444444")
    assert not is_id("00000000-1111-2222-3333-444444444444\n")
