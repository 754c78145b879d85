import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest

from execution_engine.store.coalesce import Coalescer


class Source:
    """Loads ``key * 10`` of odd keys; ``gate`` holds loads up while a test arranges who asks when."""

    def __init__(self) -> None:
        self.loads: list[list[int]] = []
        self.gate = threading.Event()
        self.gate.set()
        self.began = threading.Semaphore(0)
        self.error: BaseException | None = None

    def load(self, keys: list[int]) -> dict[int, int]:
        self.loads.append(sorted(keys))
        error = self.error
        self.began.release()
        assert self.gate.wait(20)
        if error:
            raise error
        return {key: key * 10 for key in keys if key % 2}


@pytest.fixture
def source() -> Source:
    return Source()


@pytest.fixture
def coalescer(source: Source) -> Coalescer[int, int]:
    return Coalescer(source.load)


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(16) as pool:
        yield pool


def queue_up(coalescer: Coalescer[int, int], threads: ThreadPoolExecutor, keys: list[int]) -> list[Future[Any]]:
    """One caller for each key, all waiting behind a load that is under way."""
    asked = []
    for n, key in enumerate(keys, 1):
        asked.append(threads.submit(coalescer.get, key))
        while len(coalescer._waiting) < n:
            threading.Event().wait(0.001)
    return asked


def test_a_value_by_its_key(coalescer: Coalescer[int, int], source: Source) -> None:
    assert coalescer.get(3) == 30
    assert coalescer.get(4) is None
    assert coalescer.get_many([1, 2, 3]) == {1: 10, 3: 30}
    assert source.loads == [[3], [4], [1, 2, 3]]


def test_nothing_is_asked_for_no_key(coalescer: Coalescer[int, int], source: Source) -> None:
    assert coalescer.get_many([]) == {}
    assert source.loads == []


def test_look_ups_that_come_meanwhile_go_together(
    coalescer: Coalescer[int, int], source: Source, threads: ThreadPoolExecutor
) -> None:
    source.gate.clear()
    first = threads.submit(coalescer.get, 1)
    source.began.acquire()
    others = queue_up(coalescer, threads, [3, 5, 3, 4])
    source.gate.set()
    assert first.result(20) == 10
    assert [other.result(20) for other in others] == [30, 50, 30, None]
    assert source.loads == [[1], [3, 4, 5]]


def test_nobody_is_given_what_was_read_before_they_asked(
    coalescer: Coalescer[int, int], source: Source, threads: ThreadPoolExecutor
) -> None:
    source.gate.clear()
    first = threads.submit(coalescer.get, 1)
    source.began.acquire()
    (second,) = queue_up(coalescer, threads, [1])
    source.gate.set()
    assert first.result(20) == second.result(20) == 10
    assert source.loads == [[1], [1]]


def test_an_error_is_that_of_those_who_asked_together(
    coalescer: Coalescer[int, int], source: Source, threads: ThreadPoolExecutor
) -> None:
    source.gate.clear()
    first = threads.submit(coalescer.get, 1)
    source.began.acquire()
    source.error = ConnectionError("down")
    others = queue_up(coalescer, threads, [3, 5])
    source.gate.set()
    assert first.result(20) == 10
    for other in others:
        with pytest.raises(ConnectionError, match="down"):
            other.result(20)
    source.error = None
    assert coalescer.get(3) == 30


def test_also_a_thread_that_is_stopped_leaves_nobody_waiting(coalescer: Coalescer[int, int], source: Source) -> None:
    source.error = SystemExit(1)
    with pytest.raises(SystemExit):
        coalescer.get(1)
    source.error = None
    assert coalescer.get(1) == 10


def test_under_pressure_everybody_gets_their_own(
    coalescer: Coalescer[int, int], source: Source, threads: ThreadPoolExecutor
) -> None:
    def many(start: int) -> list[int | None]:
        return [coalescer.get(key) for key in range(start, start + 300)]

    answers = [threads.submit(many, start) for start in range(16)]
    for start, answer in enumerate(answers):
        assert answer.result(30) == [key * 10 if key % 2 else None for key in range(start, start + 300)]
    assert len(source.loads) <= 16 * 300
