"""Open reading frames.

An open reading frame here begins with the first ATG after a stop codon (or after the sequence's begin) and goes to the
next stop codon in the same frame (TAA, TAG or TGA: genetic code 11, bacteria), which belongs to it. Alternative start
codons are not looked for; a frame that the end of the sequence cuts off is not reported; sequences are taken as linear.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .fasta import INPUT_NAMES, Contig, read_contigs, reverse_complement
from .params import check_names, whole_number

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .sdk import Job

STOPS = frozenset({"TAA", "TAG", "TGA"})
START = "ATG"
_AMINO_ACIDS = "KNKNTTTTRSRSIIMIQHQHPPPPRRRRLLLLEDEDAAAAGGGGVVVV*Y*YSSSS*CWCLFLF"
CODE = {a + b + c: _AMINO_ACIDS[16 * i + 4 * j + k]
        for i, a in enumerate("ACGT") for j, b in enumerate("ACGT") for k, c in enumerate("ACGT")}  # fmt: skip


def find_orfs(job: Job) -> tuple[dict[str, Any], str]:
    """All open reading frames of at least ``min_length`` amino acids, and a summary in words."""
    check_names(job.params, (*INPUT_NAMES, "min_length"))
    least = whole_number(job.params, "min_length", default=30, lowest=1, highest=100_000)
    contigs = read_contigs(job.params)
    found: list[dict[str, Any]] = []
    for done, contig in enumerate(contigs):
        job.progress(100 * done / len(contigs), f"Searching {contig.id} ({len(contig.bases):,} bp) in six frames")
        found += sorted(orfs_of(contig, least), key=lambda orf: (orf["start"], orf["end"]))
    result = {"genetic_code": 11, "min_length": least, "count": len(found), "orfs": found}
    longest = max(found, key=lambda orf: int(orf["length"]), default=None)
    summary = f"Open reading frames of at least {least} amino acids: {len(found):,}\n"
    if longest is not None:
        place = f"{longest['contig']} {longest['start']}..{longest['end']} ({longest['strand']})"
        summary += f"Longest: {longest['length']:,} amino acids, {place}\n"
    return result, summary


def orfs_of(contig: Contig, least: int) -> Iterator[dict[str, Any]]:
    """The open reading frames of one contig.

    ``start`` and ``end`` count from 1 on the given strand, the stop codon included, also for those of the other
    strand (``-``), which are read from ``end`` down to ``start``. ``frame``: 1 to 3, from the begin of the strand that
    is read. ``length``: amino acids.
    """
    size = len(contig.bases)
    for strand, bases in (("+", contig.bases), ("-", reverse_complement(contig.bases))):
        for first, last in _spans(bases):
            length = (last - first) // 3 - 1
            if length >= least:
                yield {
                    "contig": contig.id,
                    "strand": strand,
                    "frame": first % 3 + 1,
                    "start": first + 1 if strand == "+" else size - last + 1,
                    "end": last if strand == "+" else size - first,
                    "length": length,
                    "protein": translate(bases[first : last - 3]),
                }


def translate(bases: str) -> str:
    """The protein of whole codons; X where an ambiguous base leaves it open."""
    return "".join(CODE.get(bases[place : place + 3], "X") for place in range(0, len(bases) - 2, 3))


def _spans(bases: str) -> Iterator[tuple[int, int]]:
    """From the first base of a start codon to behind the last of a stop codon, frame by frame."""
    for frame in range(3):
        start: int | None = None
        for place in range(frame, len(bases) - 2, 3):
            codon = bases[place : place + 3]
            if start is None and codon == START:
                start = place
            elif start is not None and codon in STOPS:
                yield start, place + 3
                start = None
