"""FASTA text, and where an app gets it from."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, NamedTuple

from .sdk import AppError

BASES = frozenset("ACGTRYSWKMBDHVN")
_LETTERS = BASES | frozenset("".join(BASES).lower())
_BOM = "\ufeff"
_LINE_END = re.compile(r"\r\n|\n|\r")  # str.splitlines knows more, which are characters of a header
INPUT_NAMES = ("sequence", "fasta")
_BUNDLED = Path(__file__).parents[1] / "data"
_COMPLEMENT = str.maketrans("ACGTRYSWKMBDHVN", "TGCAYRSWMKVHDBN")


class Contig(NamedTuple):
    """One sequence: the first word of its header, and its bases in capitals, IUPAC codes included."""

    id: str
    bases: str


def read_contigs(params: dict[str, Any]) -> list[Contig]:
    """The sequences that the parameters name (``sequence``, a bundled one) or hold (``fasta``).

    Raises:
        AppError: they do neither or both, or it is no FASTA of DNA.
    """
    given = [name for name in INPUT_NAMES if name in params]
    if len(given) != 1:
        what = "Both sequence and fasta are given" if given else "No input is given"
        raise AppError(f'{what}: give either "sequence", one of {_names()}, or "fasta", the text of a FASTA file.')
    value = params[given[0]]
    if not isinstance(value, str):
        raise AppError(f"{given[0]} must be a text, not {value!r}.")
    return parse(value if given == ["fasta"] else _bundled(value))


def parse(text: str) -> list[Contig]:
    """The sequences of a FASTA text, in order.

    Raises:
        AppError: it is no FASTA of DNA; names the line.
    """
    contigs: dict[str, list[str]] = {}
    parts: list[str] | None = None
    for number, line in enumerate(_LINE_END.split(text.removeprefix(_BOM)), 1):
        stripped = line.strip()
        if stripped.startswith(">"):
            parts = contigs[_new_id(stripped, number, contigs)] = []
        elif stripped and parts is None:
            raise AppError(f"Line {number} of the FASTA text comes before any header: begin with a line like >contig1.")
        elif stripped and parts is not None:
            parts.append(_checked(stripped, number))
    if not contigs:
        raise AppError("The FASTA text is empty: give a header line like >contig1 and lines of bases.")
    for name, found in contigs.items():
        if not found:
            raise AppError(f"The sequence {name!r} in the FASTA text has no bases: add them below its header.")
    return [Contig(name, "".join(found)) for name, found in contigs.items()]


def reverse_complement(bases: str) -> str:
    """The other strand, in its own reading direction."""
    return bases.translate(_COMPLEMENT)[::-1]


def _new_id(header: str, number: int, known: dict[str, list[str]]) -> str:
    words = header[1:].split()
    if not words:
        raise AppError(f"The header in line {number} of the FASTA text has no name: write one after the >.")
    if words[0] in known:
        raise AppError(f"Line {number} of the FASTA text repeats the name {words[0]!r}: give each sequence its own.")
    return words[0]


def _checked(line: str, number: int) -> str:
    wrong = next((place for place, letter in enumerate(line) if letter not in _LETTERS), None)
    if wrong is not None:
        hint = "; this looks like RNA, write T for U" if line[wrong] in "Uu" else ""
        raise AppError(
            f"Line {number} of the FASTA text has {line[wrong]!r} at position {wrong + 1}, which is no base"
            f" ({''.join(sorted(BASES))}){hint}."
        )
    return line.upper()


def _bundled(name: str) -> str:
    if name not in _names().split(", "):
        raise AppError(f'There is no bundled sequence {name!r}: use {_names()}, or give your own as "fasta".')
    return (_BUNDLED / f"{name}.fna").read_text(encoding="ascii")


def _names() -> str:
    return ", ".join(sorted(path.stem for path in _BUNDLED.glob("*.fna")))
