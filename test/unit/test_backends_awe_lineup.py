from awe_documents import job, worker

from execution_engine.backends.awe.lineup import positions
from execution_engine.backends.awe.workers import Workers, why_never
from execution_engine.backends.base import Requirements


def waiting(groups: str, second: int, priority: int = 1):
    time = f"2026-11-22T17:57:{second:02}Z"
    return job(state="queued", info={"clientgroups": groups, "submittime": time, "priority": priority})


def test_higher_priority_then_earlier_submission():
    late, early, urgent = waiting("kbase", 9), waiting("kbase", 1), waiting("kbase", 30, priority=7)
    assert positions([late, early, urgent]) == {urgent.id: 1, early.id: 2, late.id: 3}


def test_groups_with_similar_names_have_nothing_to_do_with_each_other():
    big, small = waiting("kbase_big", 1), waiting("kbase", 2)
    assert positions([big, small]) == {big.id: 1, small.id: 1}


def test_a_job_for_several_groups_stands_in_each_line():
    both, first, second = waiting("a,b", 1), waiting("a", 2), waiting("b", 3)
    assert positions([both, first, second]) == {both.id: 1, first.id: 2, second.id: 2}


def test_a_group_without_usable_workers_says_why():
    workers = Workers(
        [worker(group="kbase", current=["x"]), worker(group="kbase"), worker(group="big", suspended=True)]
    )
    kbase = workers.group("njs", "kbase", 1000)
    assert (kbase.nodes_total, kbase.nodes_usable, kbase.cpus_total, kbase.cpus_used) == (2, 2, 8, 4)
    assert (kbase.memory_mb_total, kbase.memory_mb_used, kbase.reason) == (2000, 1000, None)
    assert workers.group("big", "big", 0).reason == "AWE's group big can run nothing: all its workers are suspended."
    assert workers.group("hpc", "hpc", 0).reason == "AWE's group hpc can run nothing: it has no worker now."
    assert workers.group("any", "hpc,kbase", 0).nodes_total == 2


def test_only_what_the_settings_say_is_too_much():
    huge = Requirements(1000, 10**9, 1)
    assert why_never(huge, None, None) is None
    assert why_never(huge, 4, None) == "The job asks for 1000 cores, but a worker has 4."
    assert why_never(huge, None, 500) == "The job asks for 1000000000 MiB of memory, but a worker has 500."
