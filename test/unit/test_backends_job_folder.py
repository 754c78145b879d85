import os
from pathlib import Path

import pytest

from execution_engine.backends.base import Requirements, Sighting, SightingState, Submission
from execution_engine.backends.local.job_folder import JobFolder, JobSpec

TAG = "ee.aaaaaaaaaaaaaaaaaaaaaaaa.1"
SPEC = JobSpec.of(Submission(TAG, "a" * 24, 1, "eet_1", Requirements(2, 300, 4), "njs", "alice", 60), order=5)


@pytest.fixture
def folder(tmp_path: Path) -> JobFolder:
    folder = JobFolder(tmp_path / TAG)
    folder.path.mkdir()
    folder.fill(SPEC, "eet_1")
    return folder


def test_what_was_submitted_is_read_back_and_nobody_else_may_read_it(folder: JobFolder) -> None:
    assert folder.spec() == SPEC
    assert folder.ticket.read_text() == "eet_1"
    assert {path.stat().st_mode & 0o777 for path in folder.path.iterdir()} == {0o600}


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"requirements": {}}'])
def test_a_damaged_spec_is_none(folder: JobFolder, content: str) -> None:
    (folder.path / "spec.json").write_text(content)
    assert folder.spec() is None


def test_a_cancel_takes_the_start_away_once(folder: JobFolder) -> None:
    assert folder.started() is None
    assert folder.never_start()
    assert not folder.never_start()
    started = folder.started()
    assert started
    assert started.never


def test_a_cancel_comes_too_late_for_what_has_begun(folder: JobFolder) -> None:
    (folder.path / "started").write_text("123 boot\n")
    assert not folder.never_start()
    started = folder.started()
    assert started
    assert (started.group, started.boot, started.never) == (123, "boot", False)


def test_a_start_that_a_power_cut_emptied_belongs_to_another_boot(folder: JobFolder) -> None:
    (folder.path / "started").write_text("")
    started = folder.started()
    assert started
    assert (started.boot, started.never) == ("unknown", False)


def test_the_first_cause_to_stop_stays(folder: JobFolder) -> None:
    assert folder.stop_cause() is None
    folder.set_stop_cause("cancelled")
    folder.set_stop_cause("time_limit")
    assert folder.stop_cause() == "cancelled"


def test_the_last_word_stays_and_removes_the_ticket(folder: JobFolder) -> None:
    word = Sighting(SightingState.GONE, "cancelled", "host", None, 9, "killed")
    assert folder.gone() is None
    folder.set_gone(word)
    folder.set_gone(Sighting(SightingState.GONE))
    assert folder.gone() == word
    assert not folder.ticket.exists()


@pytest.mark.parametrize("content", ["", "{}", '{"state": "odd"}'])
def test_a_damaged_last_word_still_says_that_it_is_gone(folder: JobFolder, content: str) -> None:
    (folder.path / "gone").write_text(content)
    assert folder.gone() == Sighting(SightingState.GONE)


def test_no_temporary_files_are_left(folder: JobFolder) -> None:
    folder.never_start()
    folder.never_start()
    folder.set_stop_cause("cancelled")
    assert {path.name for path in folder.path.iterdir()} == {"spec.json", "ticket", "started", "stop"}


def test_the_runners_own_log_is_bounded_and_its_last_line_is_told(folder: JobFolder) -> None:
    assert folder.runner_log_tail() == ""
    folder.bound_runner_log()
    with folder.open_runner_log() as log:
        log.write(b"x" * 1000 + b"\nthe last line\n\n")
        folder.bound_runner_log()
        assert folder.runner_log_tail() == "the last line"
        log.write(b"y" * 2**20)
        folder.bound_runner_log()
        log.write(b"after\xff")
    assert (folder.path / "runner.log").read_bytes() == b"after\xff"


def test_the_lock_is_held_until_its_last_copy_is_closed(folder: JobFolder) -> None:
    assert not folder.is_locked()
    lock = folder.try_lock()
    assert lock is not None
    copy = os.dup(lock)
    os.close(lock)
    assert folder.is_locked()
    assert folder.try_lock() is None
    os.close(copy)
    assert not folder.is_locked()
