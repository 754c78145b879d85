import os

import pytest

from execution_engine.backends.base import Requirements
from execution_engine.backends.local.slots import Room, machine, startable, why_never, why_waiting


def needs(cpus: int, memory_mb: int = 0) -> Requirements:
    return Requirements(cpus, memory_mb, disk_gb=1)


@pytest.mark.parametrize(
    ("waiting", "count"),
    [
        ([], 0),
        ([needs(4, 100)], 1),
        ([needs(1)] * 6, 4),
        ([needs(5), needs(1)], 0),
        ([needs(2), needs(3), needs(1)], 1),  # the one behind the large one would fit, and must not pass
        ([needs(1, 60), needs(1, 60)], 1),
    ],
)
def test_jobs_start_in_order_until_one_does_not_fit(waiting: list[Requirements], count: int) -> None:
    assert startable(waiting, Room(cpus=4, memory_mb=100)) == count


def test_a_room_in_which_more_runs_than_fits_starts_nothing() -> None:
    free = Room(cpus=2, memory_mb=100).minus([needs(2, 50), needs(1, 60)])
    assert free == Room(cpus=-1, memory_mb=-10)
    assert startable([needs(1)], free) == 0
    assert why_waiting(needs(1, 5), free, ahead=0) == "Waits for 1 CPU and 5 MB of memory; 0 CPUs and 0 MB are free."


def test_the_machine_gives_its_cpus_and_most_of_its_memory() -> None:
    room = machine()
    total_mb = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**20
    assert room.cpus == os.cpu_count()
    assert 0.79 * total_mb < room.memory_mb <= 0.8 * total_mb


def test_an_admin_may_give_more_than_there_is() -> None:
    assert machine(cpus=640, memory_mb=10**9) == Room(640, 10**9)


def test_the_sentence_for_a_job_that_can_never_fit_names_what_was_asked_and_what_there_is() -> None:
    room = Room(cpus=4, memory_mb=1000)
    assert why_never(needs(4, 1000), room) is None
    assert why_never(needs(5), room) == "The job asks for 5 CPUs, this machine gives jobs at most 4 CPUs."
    assert why_never(needs(5, 1001), room) == (
        "The job asks for 5 CPUs, this machine gives jobs at most 4 CPUs "
        "and asks for 1001 MB of memory, this machine gives jobs at most 1000 MB."
    )


@pytest.mark.parametrize(
    ("ahead", "sentence"),
    [
        (0, "Waits for 3 CPUs and 100 MB of memory; 2 CPUs and 900 MB are free."),
        (1, "Waits behind 1 other job for free CPUs and memory."),
        (7, "Waits behind 7 other jobs for free CPUs and memory."),
    ],
)
def test_what_holds_a_waiting_job_is_said(ahead: int, sentence: str) -> None:
    assert why_waiting(needs(3, 100), Room(cpus=2, memory_mb=900), ahead) == sentence


def test_a_job_that_fits_starts_in_a_moment() -> None:
    assert why_waiting(needs(1), Room(1, 1), ahead=0) == "Starts in a moment."
