import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from execution_engine.runner.lines import LineSplitter, encode_line


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def split(*chunks: bytes, longest: int = 10_000) -> list[str]:
    splitter = LineSplitter(longest)
    lines = [line for chunk in chunks for line in splitter.feed(chunk)]
    return lines + splitter.close()


@pytest.mark.parametrize(
    ("chunks", "lines"),
    [
        ([b"one\ntwo\n"], ["one", "two"]),
        ([b"o", b"ne\ntw", b"o\n"], ["one", "two"]),
        ([b"no newline at the end"], ["no newline at the end"]),
        ([b"a\n\nb\n"], ["a", "", "b"]),
        ([b""], []),
        ([b"windows\r\nlines\r\n"], ["windows", "lines"]),
        ([b"windows\r", b"\nlines\r\r\n"], ["windows", "lines"]),
        ([b"caf\xc3", b"\xa9\n"], ["café"]),
        ([b"bad \xff\xfe bytes\n"], ["bad \ufffd\ufffd bytes"]),
        ([b"cut off \xc3"], ["cut off \ufffd"]),
        ([b"\xed\xa0\x80\n"], ["\ufffd\ufffd\ufffd"]),
        ([b"nul\0byte\n"], ["nul␀byte"]),
    ],
)
def test_lines_of_a_stream(chunks: list[bytes], lines: list[str]) -> None:
    assert split(*chunks) == lines


@given(st.lists(st.text(st.characters(exclude_characters="\r\n\0", exclude_categories=["Cs"]))), st.integers(1, 9))
def test_lines_come_out_as_they_went_in_however_they_are_chunked(lines: list[str], size: int) -> None:
    data = "".join(f"{line}\n" for line in lines).encode()
    assert split(*(data[i : i + size] for i in range(0, len(data), size))) == lines


def test_a_long_line_is_cut_and_says_so() -> None:
    (line,) = split(b"x" * 300 + b"y" * 700 + b"\n", longest=200)
    assert line == "x" * 150 + " … [cut: 850 characters left out]"
    assert len(line) <= 200


def test_a_line_at_the_limit_is_whole() -> None:
    assert split(b"x" * 200 + b"\n", longest=200) == ["x" * 200]


def test_a_line_without_end_does_not_fill_the_memory() -> None:
    splitter = LineSplitter(100)
    for _ in range(1000):
        assert splitter.feed(b"z" * 65536) == []
    assert len(splitter._kept) == 100
    assert splitter.close() == ["z" * 50 + f" … [cut: {1000 * 65536 - 50} characters left out]"]


def test_a_progress_bar_shows_one_state_a_second_and_the_last() -> None:
    clock = Clock()
    splitter = LineSplitter(100, clock)
    shown = []
    for percent in range(0, 100, 10):
        shown += splitter.feed(f"\r{percent} %".encode())
        clock.now += 0.25
    shown += splitter.feed(b"\r100 %\ndone\n")
    assert shown == ["0 %", "40 %", "80 %", "100 %", "done"]


def test_a_progress_bar_that_ends_without_newline_keeps_its_last_state() -> None:
    splitter = LineSplitter(100, Clock())
    assert splitter.feed(b"10 %\r50 %\r100 %\r") == ["10 %"]
    assert splitter.close() == ["100 %"]


@given(st.text(st.characters(exclude_categories=[])))
def test_an_encoded_line_is_one_line_of_json(text: str) -> None:
    encoded = encode_line(text, "stderr", 1_700_000_000_000)
    assert b"\n" not in encoded
    harmless = text.encode("utf-8", "replace").decode()
    assert json.loads(encoded) == {"line": harmless, "stream": "stderr", "ts": 1_700_000_000_000}
