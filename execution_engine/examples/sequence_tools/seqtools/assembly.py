"""Key figures of an assembly."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from .fasta import INPUT_NAMES, Contig, read_contigs
from .params import check_names

if TYPE_CHECKING:
    from .sdk import Job


def assembly_stats(job: Job) -> tuple[dict[str, Any], str]:
    """The figures, and a summary in words."""
    check_names(job.params, INPUT_NAMES)
    job.progress(0, "Reading the sequences")
    contigs = read_contigs(job.params)
    job.progress(50, f"Computing over {len(contigs):,} contig{'s' if len(contigs) > 1 else ''}")
    figures = stats(contigs)
    summary = (
        f"Contigs: {figures['contigs']:,}\n"
        f"Total length: {figures['total_length']:,} bp\n"
        f"Longest contig: {figures['longest']:,} bp\n"
        f"N50: {figures['n50']:,} bp\n"
        f"GC: {figures['gc_percent']:.2f} %\n"
    )
    return figures, summary


def stats(contigs: list[Contig]) -> dict[str, Any]:
    """Counts and lengths in bp.

    ``n50``: contigs of at least this length hold half of all bases; ``l50``: how many contigs those are at least.
    ``gc_percent``: G and C among A, C, G and T; other codes are counted as ``ambiguous``.
    """
    lengths = sorted((len(contig.bases) for contig in contigs), reverse=True)
    bases: Counter[str] = Counter()
    for contig in contigs:
        bases.update(contig.bases)
    certain = sum(bases[base] for base in "ACGT")
    l50 = _contigs_to_half(lengths)
    return {
        "contigs": len(lengths),
        "total_length": sum(lengths),
        "longest": lengths[0],
        "shortest": lengths[-1],
        "mean_length": round(sum(lengths) / len(lengths), 2),
        "n50": lengths[l50 - 1],
        "l50": l50,
        "gc_percent": round(100 * (bases["G"] + bases["C"]) / certain, 2) if certain else 0.0,
        "ambiguous": sum(lengths) - certain,
    }


def _contigs_to_half(lengths: list[int]) -> int:
    half, reached = sum(lengths) / 2, 0
    for number, length in enumerate(lengths, 1):
        reached += length
        if reached >= half:
            return number
    raise ValueError("no lengths")
