from typing import Any

from bson import ObjectId
from store_dispatch import Clock

from execution_engine.jobs.queue.flight import Inside, flight_of
from execution_engine.jobs.queue.looks import Looks


def test_a_look_is_believed_for_a_second_and_longer_if_it_took_long() -> None:
    clock = Clock()
    looks: Looks[str, int] = Looks(10, clock)
    asked = []

    def look(takes: float) -> Any:
        def find() -> int:
            clock.seconds += takes
            asked.append(clock.seconds)
            return len(asked)

        return find

    assert [looks.get("local", look(0.01)) for _ in range(2)] == [1, 1]
    clock.seconds += 1
    assert looks.get("local", look(0.5)) == 2
    clock.seconds += 9
    assert looks.get("local", look(100)) == 2, "a twentieth of the time at most"
    clock.seconds += 1
    assert looks.get("local", look(100)) == 3


def test_a_backends_own_order_counts_inside_it() -> None:
    first, second, third, new = (ObjectId() for _ in range(4))
    jobs = [
        {"_id": job_id, "user": "alice", "client_group": "local", "backend": "slurm", "backend_id": name}
        for job_id, name in ((first, "17"), (second, "18"), (third, "19"))
    ]
    handed_over = {"_id": new, "user": "bob", "client_group": "local", "backend": "slurm"}
    flight = flight_of([], [*jobs, handed_over], {"slurm": ["19", "17", "18"]})
    assert flight.inside["local"] == [
        Inside(third, "alice", "slurm"),
        Inside(first, "alice", "slurm"),
        Inside(second, "alice", "slurm"),
        Inside(new, "bob", "slurm"),
    ]
