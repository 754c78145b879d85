"""Counting words of k bases."""

from __future__ import annotations

from collections import Counter
from typing import Any

from .fasta import INPUT_NAMES, read_contigs, reverse_complement
from .params import check_names, flag, whole_number
from .sdk import AppError, Job


def count_kmers(job: Job) -> tuple[dict[str, Any], str]:
    """How often each word of ``k`` bases occurs, the ``top`` ones listed, and a summary in words.

    The given strand only; with ``canonical`` a word and its reverse complement count as one, under the name of the
    alphabetically first of them. Words with ambiguous bases are left out and counted as ``skipped``.
    """
    check_names(job.params, (*INPUT_NAMES, "k", "canonical", "top"))
    k = whole_number(job.params, "k", default=4, lowest=1, highest=31)
    top = whole_number(job.params, "top", default=20, lowest=1, highest=10_000)
    canonical = flag(job.params, "canonical")
    contigs = read_contigs(job.params)
    counts: Counter[str] = Counter()
    for done, contig in enumerate(contigs):
        job.progress(100 * done / len(contigs), f"Counting words of {k} bases in {contig.id}")
        counts.update(words(contig.bases, k))
    if not counts:
        longest = max(len(contig.bases) for contig in contigs)
        raise AppError(f"k is {k}, but the longest sequence has {longest:,} bases: give a smaller k.")
    skipped = sum(count for word, count in counts.items() if not _certain(word))
    counts = Counter({word: count for word, count in counts.items() if _certain(word)})
    if canonical:
        counts = _merged(counts)
    listed = sorted(counts.items(), key=lambda entry: (-entry[1], entry[0]))[:top]
    result = {
        "k": k,
        "canonical": int(canonical),
        "total": sum(counts.values()),
        "distinct": len(counts),
        "skipped": skipped,
        "top": [{"kmer": word, "count": count} for word, count in listed],
    }
    summary = f"Words of {k} bases: {result['total']:,}, different ones: {result['distinct']:,}\n"
    summary += "".join(f"{word}  {count:,}\n" for word, count in listed[:10])
    return result, summary


def words(bases: str, k: int) -> list[str]:
    """All words of ``k`` bases, overlapping, in order."""
    return [bases[place : place + k] for place in range(len(bases) - k + 1)]


def _certain(word: str) -> bool:
    return not word.strip("ACGT")


def _merged(counts: Counter[str]) -> Counter[str]:
    merged: Counter[str] = Counter()
    for word, count in counts.items():
        merged[min(word, reverse_complement(word))] += count
    return merged
