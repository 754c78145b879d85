import errno
import json
import os
import random
import threading
from pathlib import Path

import pytest

from execution_engine.runner import segments
from execution_engine.runner.segments import Segments
from execution_engine.runner.spool import Spool


def numbered(first: int, count: int) -> list[bytes]:
    return [json.dumps({"line": f"line {n}"}).encode() for n in range(first, first + count)]


def drain(spool: Spool) -> list[bytes]:
    taken: list[bytes] = []
    while lines := spool.peek(100, 10_000):
        spool.delivered(len(lines))
        taken += lines
    return taken


def fail_writes(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    def pwrite(file: int, data: bytes, offset: int) -> int:
        if len(data) > 8:
            return real(file, data[:8], offset)  # the disk's last bytes
        raise OSError(number, os.strerror(number))

    real = os.pwrite
    monkeypatch.setattr(segments.os, "pwrite", pwrite)


def test_few_lines_never_touch_the_disk(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool", disk_bytes=1 << 20)
    assert spool.offer(numbered(0, 50))
    assert spool.peek(10, 10_000) == numbered(0, 10)
    assert drain(spool) == numbered(0, 50)
    assert not (tmp_path / "spool").exists()


def test_many_lines_go_through_the_disk_in_order_and_leave_nothing_there(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool", disk_bytes=1 << 30, memory_bytes=1000)
    random.seed(5)
    offered, taken = 0, []
    while offered < 5000:
        count = random.randint(1, 200)
        assert spool.offer(numbered(offered, count))
        offered += count
        lines = spool.peek(random.randint(1, 100), 10_000)
        taken += lines
        spool.delivered(len(lines))
        assert len(spool) == offered - len(taken)
    assert [*tmp_path.glob("spool/*")]
    taken += drain(spool)
    assert taken == numbered(0, offered)
    assert not [*tmp_path.glob("spool/*")]


def test_segments_free_the_disk_as_they_are_read(tmp_path: Path) -> None:
    queue = Segments(tmp_path / "spool", segment_bytes=500)
    queue.append(numbered(0, 30))
    queue.append(numbered(30, 30))
    assert len([*tmp_path.glob("spool/*")]) == 2
    assert queue.take() == numbered(0, 30)
    assert len([*tmp_path.glob("spool/*")]) == 1
    assert (queue.take(), queue.take()) == (numbered(30, 30), [])
    assert (queue.size, queue.count) == (0, 0)


def test_a_line_longer_than_one_read_comes_back_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segments, "READ_BYTES", 64)
    queue = Segments(tmp_path / "spool")
    lines = [b"a" * 1000, b"b", b"c" * 63, b"d" * 64, b"e"]
    queue.append(lines)
    taken = []
    while more := queue.take():
        taken += more
    assert taken == lines


def test_a_spool_that_somebody_cut_is_an_error(tmp_path: Path) -> None:
    queue = Segments(tmp_path / "spool")
    queue.append(numbered(0, 10))
    os.truncate(tmp_path / "spool" / "00000000.jsonl", 20)
    assert queue.take() == numbered(0, 1)
    with pytest.raises(OSError, match="cut by somebody else"):
        queue.take()


def test_the_bound_of_the_disk_is_kept(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool", disk_bytes=1 << 20, memory_bytes=0)
    assert spool.offer(numbered(0, 1))
    assert spool.offer([b"x" * (1 << 20)]) is False
    assert spool.problem == "the bound of 1 MiB for waiting lines is reached"
    assert spool.offer(numbered(1, 3))
    assert drain(spool) == numbered(0, 4)


def test_an_empty_spool_takes_anything_so_that_nobody_waits_for_ever(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool", disk_bytes=0, memory_bytes=0)
    assert spool.offer([b"x" * 1000, b"y" * 1000])
    assert spool.offer([b"z"]) is False
    assert drain(spool) == [b"x" * 1000, b"y" * 1000]
    assert spool.offer([b"z"])


def test_a_full_disk_takes_all_lines_of_a_write_or_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spool = Spool(tmp_path / "spool", disk_bytes=1 << 20, memory_bytes=0)
    assert spool.offer(numbered(0, 5))
    with monkeypatch.context() as full:
        fail_writes(full, errno.ENOSPC)
        assert spool.offer(numbered(5, 5)) is False
        assert spool.problem == "No space left on device"
    assert spool.offer(numbered(5, 5))
    assert drain(spool) == numbered(0, 10)


def test_forced_lines_keep_their_place_on_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spool = Spool(tmp_path / "spool", disk_bytes=1 << 20, memory_bytes=0)
    spool.offer(numbered(0, 5))
    with monkeypatch.context() as full:
        fail_writes(full, errno.ENOSPC)
        spool.force(numbered(5, 1))
        assert spool.offer(numbered(6, 1)) is False
        spool.force(numbered(6, 1))
    assert spool.offer(numbered(7, 3))
    assert drain(spool) == numbered(0, 10)


def test_forced_lines_are_read_even_if_the_disk_stays_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spool = Spool(tmp_path / "spool", disk_bytes=1 << 20, memory_bytes=0)
    spool.offer(numbered(0, 5))
    fail_writes(monkeypatch, errno.ENOSPC)
    spool.force(numbered(5, 2))
    assert drain(spool) == numbered(0, 7)


def test_delivered_lines_can_be_taken_back_for_a_while(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool", disk_bytes=1 << 20, kept_bytes=sum(map(len, numbered(0, 4))))
    spool.offer(numbered(0, 10))
    spool.delivered(8)
    assert spool.undeliver(3) == 3
    assert spool.peek(100, 10_000) == numbered(5, 5)
    assert spool.undeliver(3) == 1
    assert spool.peek(100, 10_000) == numbered(4, 6)


def test_a_batch_is_bounded_by_count_and_size_but_never_empty(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool", disk_bytes=1 << 20)
    spool.offer([b"x" * 100, b"y" * 10, b"z" * 10])
    assert spool.peek(2, 10_000) == [b"x" * 100, b"y" * 10]
    assert spool.peek(3, 50) == [b"x" * 100]
    assert spool.peek(3, 112) == [b"x" * 100, b"y" * 10]


def test_the_reader_waits_for_lines_and_learns_of_the_end(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool", disk_bytes=1 << 20)
    seen: list[bytes] = []

    def read() -> None:
        while spool.wait_for_lines(1, None):
            lines = spool.peek(10, 1000)
            seen.extend(lines)
            spool.delivered(len(lines))

    reader = threading.Thread(target=read)
    reader.start()
    for n in range(20):
        spool.offer(numbered(n, 1))
    spool.close()
    reader.join()
    assert seen == numbered(0, 20)
