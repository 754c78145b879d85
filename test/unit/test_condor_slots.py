from typing import Any

import pytest

from execution_engine.backends.base import Requirements
from execution_engine.backends.condor.slots import Slot, group_resources, why_never

PARTITIONABLE = {
    "Name": "slot1@a",
    "Machine": "a",
    "State": "Unclaimed",
    "SlotType": "Partitionable",
    "Cpus": 3,
    "Memory": 1000,
    "TotalSlotCpus": 8,
    "TotalSlotMemory": 8000,
}


def slot(**changes: Any) -> Slot:
    return Slot.of(PARTITIONABLE | changes)


def test_of_a_partitionable_slot_that_is_used_which_is_not_left() -> None:
    assert (slot().cpus, slot().cpus_used, slot().memory_mb, slot().memory_mb_used) == (8, 5, 8000, 7000)


@pytest.mark.parametrize(("state", "used"), [("Claimed", 8), ("Unclaimed", 0)])
def test_a_static_slot_is_used_as_a_whole(state: str, used: int) -> None:
    assert slot(SlotType="Static", State=state, Cpus=8, Memory=8000).cpus_used == used


def test_a_group_has_the_slots_that_serve_it() -> None:
    found = group_resources("njs", [slot(), slot(Name="slot1@b", Machine="b", State="Drained"), slot(Name="slot2@a")])
    assert (found.nodes_total, found.nodes_usable, found.cpus_total, found.cpus_used) == (2, 1, 24, 15)
    assert found.reason is None


def test_why_nothing_serves_a_group_is_said() -> None:
    assert group_resources("njs", []).reason == "No slot of the pool serves this client group."
    away = [slot(State="Drained"), slot(Offline=True), slot(State="Owner")]
    assert str(group_resources("njs", away).reason).startswith("All slots that serve this client group are drained")


def test_what_fits_into_no_slot_never_fits() -> None:
    large, small = slot(), slot(TotalSlotCpus=1, TotalSlotMemory=64_000)
    assert why_never(Requirements(8, 8000, 1), [large, small]) is None
    assert why_never(Requirements(2, 9000, 1), [large, small]) == (
        "It asks for 2 cores and 9000 MiB of memory; "
        "the slots that serve its client group have at most 8 cores and 64000 MiB."
    )


def test_where_no_slot_is_known_nothing_is_refused() -> None:
    assert why_never(Requirements(1000, 1, 1), []) is None
