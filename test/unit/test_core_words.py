import pytest

from execution_engine.core.causes import describe
from execution_engine.core.words import MAX_CHARS, MAX_WORDS, error_words, split_words


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("kb_megahit.run/failed: Out of memory", ["kb", "megahit", "run", "out", "memory"]),
        ("/kb/module/work/reads.fastq", ["kb", "module", "work", "reads", "fastq"]),
        ("MEMORY memory Memory", ["memory"]),
        ("Größe Ünd STRASSE", ["größe".casefold(), "ünd", "strasse"]),
        ("exit code 137", ["exit", "code", "137"]),
        ("the error is an error", []),
        ("", []),
        ("x" * 100, ["x" * MAX_CHARS]),
    ],
)
def test_text_is_split_where_people_would(text: str, words: list[str]) -> None:
    assert split_words(text) == words


def test_the_words_of_a_cause_are_its_first_ones() -> None:
    cause = describe("disk_full", "No space left on /scratch", detail=" ".join(f"word{n}" for n in range(50)))
    words = error_words(cause)
    assert words[:6] == ["space", "left", "scratch", "disk", "full", "word0"]
    assert len(words) == MAX_WORDS
