from itertools import pairwise
from typing import Any

import pytest
from bson import decode, encode
from hypothesis import given
from hypothesis import strategies as st

from execution_engine.store import log_chunks
from execution_engine.store.log_chunks import CHUNK_CHARS, CHUNK_LINES, Line, cut_line, to_chunks, unpack

LAST = 253_402_300_799_999  # the end of the year 9999, as in the contract
TEXT = st.text(st.characters(exclude_categories=["Cs"]) | st.sampled_from("\n\\nrt\r\x0b\x85\u2028\0"), max_size=20)
TIME = st.integers(0, LAST) | st.integers(1_800_000_000_000, 1_800_000_000_100)
LINES = st.lists(st.builds(Line, TEXT, st.sampled_from(["stdout", "stderr", "system"]), TIME), max_size=30)


def stored(chunk: dict[str, Any]) -> dict[str, Any]:
    """As it comes back from the database."""
    return decode(encode(chunk))


@given(LINES)
def test_lines_come_back_as_they_were(lines: list[Line]) -> None:
    chunks = [stored(chunk) for chunk in to_chunks("job", 1, 7, lines)]
    assert [line for chunk in chunks for line in unpack(chunk)] == lines


@given(LINES, st.integers(1, 5), st.integers(1, 40))
def test_chunks_follow_each_other_and_are_not_too_large(lines: list[Line], most_lines: int, most_chars: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(log_chunks, "CHUNK_LINES", most_lines)
        patch.setattr(log_chunks, "CHUNK_CHARS", most_chars)
        chunks = list(to_chunks("job", 2, 100, lines))
    assert [line for chunk in chunks for line in unpack(chunk)] == lines
    for before, after in pairwise(chunks):
        assert after["first"] == before["first"] + before["n"]
    for chunk in chunks:
        held = unpack(chunk)
        assert len(held) == chunk["n"] <= most_lines
        assert chunk["n"] == 1 or sum(len(line.text) for line in held) <= most_chars
        assert chunk["until"] == max(line.ts for line in held)
        assert chunk["ts"] == held[0].ts
    if chunks:
        assert chunks[0]["first"] == 100
    else:
        assert lines == []


def test_ordinary_lines_take_little_more_than_their_text() -> None:
    lines = [Line(f"{n:0100}", "stdout", 1_800_000_000_000 + n) for n in range(CHUNK_LINES)]
    (chunk,) = to_chunks("job", 1, 0, lines)
    assert chunk["streams"] == "o"
    assert len(encode(chunk)) < CHUNK_LINES * (100 + 1 + 4) + 200
    same = [Line("x", "stderr", 5)] * 3
    (chunk,) = to_chunks("job", 1, 0, same)
    assert chunk == {
        "job": "job",
        "first": 0,
        "n": 3,
        "attempt": 1,
        "text": "x\nx\nx",
        "streams": "e",
        "ts": 5,
        "until": 5,
    }


def test_the_largest_chunk_fits_into_a_document() -> None:
    widest = [
        Line("\N{DNA DOUBLE HELIX}" * CHUNK_CHARS, "stdout", 0),
        Line("\\" * (CHUNK_CHARS - 1) + "\n", "stdout", 0),
    ]
    for chunk in to_chunks("job", 1, 0, widest):
        assert len(encode(chunk)) < 16_000_000
        assert unpack(chunk)


def test_a_line_of_more_than_a_chunk_has_one_of_its_own() -> None:
    lines = [Line("a", "stdout", 0), Line("x" * (CHUNK_CHARS + 1), "stdout", 0), Line("b", "stdout", 0)]
    assert [(chunk["first"], chunk["n"]) for chunk in to_chunks("job", 1, 0, lines)] == [(0, 1), (1, 1), (2, 1)]


@pytest.mark.parametrize(
    ("text", "cut"),
    [
        ("", ""),
        ("0123456789", "0123456789"),
        ("0123456789a", "0123456789 … [cut: 1 characters left out]"),
        ("é" * 30, "é" * 10 + " … [cut: 20 characters left out]"),
    ],
)
def test_a_long_line_is_cut_and_says_so(text: str, cut: str) -> None:
    assert cut_line(text, 10) == cut
