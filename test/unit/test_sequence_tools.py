import itertools
import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from execution_engine.examples.sequence_tools.seqtools import assembly, fasta, kmers, long_task, main, orfs
from execution_engine.examples.sequence_tools.seqtools.fasta import Contig
from execution_engine.examples.sequence_tools.seqtools.sdk import AppError

DATA = Path(main.__file__).parents[1] / "data" / "NC_005816.fna"
PLASMID = re.sub(r"\s", "", DATA.read_text().partition("\n")[2])
DNA = st.text("ACGT", min_size=1, max_size=300)
# The genetic code as NCBI prints it: bases in the order T, C, A, G.
NCBI = dict(
    zip(
        map("".join, itertools.product("TCAG", repeat=3)),
        "FFLLSSSSYY**CC*WLLLLPPPPHHQQRRRRIIIMTTTTNNKKSSRRVVVVAAAADDEEGGGG",
        strict=True,
    )
)


def opposite(bases: str) -> str:
    return "".join({"A": "T", "C": "G", "G": "C", "T": "A"}[base] for base in reversed(bases))


def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, function: str, *params: Any) -> dict[str, Any]:
    """What output.json holds after the function has run."""
    request = {
        "version": "1.1",
        "id": "65f000000000000000000001",
        "method": f"sequence_tools.{function}",
        "params": params,
        "context": {"service_ver": "abc", "user": "alice"},
    }
    (tmp_path / "input.json").write_text(json.dumps(request))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EE_PROGRESS", str(tmp_path / "progress.json"))
    monkeypatch.delenv("EE_WSID", raising=False)
    exit_code = main.main([function])
    output: dict[str, Any] = json.loads((tmp_path / "output.json").read_text())
    assert output["version"] == "1.1"
    assert exit_code == (1 if "error" in output else 0)
    return output


class TestFasta:
    def test_sequences_in_order(self) -> None:
        assert fasta.parse(">a first one\nACGT\nacgt\n\n>b\r\nNNRY\r\n") == [
            Contig("a", "ACGTACGT"),
            Contig("b", "NNRY"),
        ]

    def test_a_byte_order_mark_and_every_kind_of_line_end(self) -> None:
        assert fasta.parse("\ufeff>a\rAC\r\nGT\n>b one\u2028>two\x85\nTT") == [Contig("a", "ACGT"), Contig("b", "TT")]

    def test_the_bundled_sequence(self) -> None:
        (contig,) = fasta.read_contigs({"sequence": "NC_005816"})
        assert contig.id == "gi|45478711|ref|NC_005816.1|"
        assert contig.bases == PLASMID
        assert len(contig.bases) == 9609

    @pytest.mark.parametrize(
        ("params", "message"),
        [
            ({}, 'No input is given: give either "sequence", one of NC_005816, or "fasta", the text of a FASTA file.'),
            ({"sequence": "NC_005816", "fasta": ">a\nA"}, "Both sequence and fasta are given: give either"),
            (
                {"sequence": "NC_1"},
                "There is no bundled sequence 'NC_1': use NC_005816, or give your own as \"fasta\".",
            ),
            ({"sequence": "../../manifest"}, "There is no bundled sequence '../../manifest'"),
            ({"sequence": ""}, "There is no bundled sequence ''"),
            ({"fasta": 7}, "fasta must be a text, not 7."),
            ({"fasta": " \n"}, "The FASTA text is empty: give a header line like >contig1 and lines of bases."),
            ({"fasta": "ACGT"}, "Line 1 of the FASTA text comes before any header: begin with a line like >contig1."),
            ({"fasta": ">a\n>b\nA"}, "The sequence 'a' in the FASTA text has no bases: add them below its header."),
            ({"fasta": ">\nA"}, "The header in line 1 of the FASTA text has no name: write one after the >."),
            ({"fasta": ">a\nA\n>a\nC"}, "Line 3 of the FASTA text repeats the name 'a': give each sequence its own."),
            (
                {"fasta": ">a\nACGTX"},
                "Line 2 of the FASTA text has 'X' at position 5, which is no base (ABCDGHKMNRSTVWY).",
            ),
            ({"fasta": ">a\nACßT"}, "Line 2 of the FASTA text has 'ß' at position 3, which is no base"),
            ({"fasta": ">a\nACGſ"}, "Line 2 of the FASTA text has 'ſ' at position 4, which is no base"),
            ({"fasta": ">a\nAC\u2028GT"}, "Line 2 of the FASTA text has '\\u2028' at position 3, which is no base"),
            ({"fasta": ">a\nacgu"}, "has 'u' at position 4, which is no base (ABCDGHKMNRSTVWY); this looks like RNA"),
            ({"fasta": ">a\nACGU"}, "which is no base (ABCDGHKMNRSTVWY); this looks like RNA, write T for U."),
        ],
    )
    def test_bad_input_says_what_is_wrong_and_what_to_do(self, params: dict[str, Any], message: str) -> None:
        with pytest.raises(AppError) as caught:
            fasta.read_contigs(params)
        assert message in str(caught.value)

    @given(DNA)
    def test_the_other_strand(self, bases: str) -> None:
        assert fasta.reverse_complement(bases) == opposite(bases)

    def test_the_other_strand_of_ambiguous_bases(self) -> None:
        assert fasta.reverse_complement("RYSWKMBDHVN") == "NBDHVKMWSRY"


class TestAssemblyStats:
    def test_the_plasmid(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        gc = 100 * len(re.findall("[GC]", PLASMID)) / len(PLASMID)
        assert run(tmp_path, monkeypatch, "assembly_stats", {"sequence": "NC_005816"}) == {
            "version": "1.1",
            "result": [
                {
                    "contigs": 1,
                    "total_length": 9609,
                    "longest": 9609,
                    "shortest": 9609,
                    "mean_length": 9609.0,
                    "n50": 9609,
                    "l50": 1,
                    "gc_percent": round(gc, 2),
                    "ambiguous": 0,
                }
            ],
        }

    @pytest.mark.parametrize(("text", "told"), [(">a\nA", "1 contig"), (">a\nA\n>b\nC", "2 contigs")])
    def test_it_tells_how_much_there_is(
        self,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
        text: str,
        told: str,
    ) -> None:
        run(tmp_path, monkeypatch, "assembly_stats", {"fasta": text})
        assert f"Computing over {told}" in capsys.readouterr().out.splitlines()

    def test_a_small_assembly_by_hand(self) -> None:
        # 10 + 8 + 6 + 4 + 2 = 30 bases; the half, 15, is reached with the second longest.
        contigs = [Contig(str(size), "G" * size) for size in (4, 10, 2, 8, 6)]
        found = assembly.stats(contigs)
        assert (found["n50"], found["l50"], found["total_length"], found["mean_length"]) == (8, 2, 30, 6.0)
        assert found["gc_percent"] == 100.0

    def test_ambiguous_bases_do_not_count_for_gc(self) -> None:
        found = assembly.stats([Contig("a", "GCATNNRY")])
        assert (found["gc_percent"], found["ambiguous"]) == (50.0, 4)
        assert assembly.stats([Contig("a", "NN")])["gc_percent"] == 0.0

    @given(st.lists(st.integers(1, 50), min_size=1, max_size=20))
    def test_n50_is_what_its_definition_says(self, sizes: list[int]) -> None:
        # Written out, every base says the length of its contig; in the middle of them stands N50.
        of_each_base = sorted((size for size in sizes for _ in range(size)), reverse=True)
        found = assembly.stats([Contig(str(number), "A" * size) for number, size in enumerate(sizes)])
        assert found["n50"] == of_each_base[(len(of_each_base) + 1) // 2 - 1]


def orfs_by_regex(bases: str, least: int) -> set[tuple[str, int, str]]:
    """The same frames by other means: translate whole frames, then look for M…* in the protein."""
    found = set()
    for strand, text in (("+", bases), ("-", opposite(bases))):
        for frame in range(3):
            protein = "".join(NCBI[codon] for codon in re.findall("...", text[frame:]))
            found |= {
                (strand, frame + 3 * match.start(), match[0][:-1])
                for match in re.finditer(r"M[^*]*\*", protein)
                if len(match[0]) > least
            }
    return found


class TestFindOrfs:
    def test_the_code_is_that_of_ncbi(self) -> None:
        assert orfs.CODE == NCBI
        assert {codon for codon, amino_acid in NCBI.items() if amino_acid == "*"} == orfs.STOPS

    @pytest.mark.parametrize(
        ("bases", "found"),
        [
            ("ATGAAATAA", [("+", 1, 1, 9, "MK")]),
            ("CCATGAAATAGC", [("+", 3, 3, 11, "MK")]),
            ("TTATTTCAT", [("-", 1, 1, 9, "MK")]),
            ("GTTATTTCATCC", [("-", 3, 2, 10, "MK")]),
            ("ATGATGTGA", [("+", 1, 1, 9, "MM")]),
            ("ATGTAAATGTGA", [("+", 1, 1, 6, "M"), ("+", 1, 7, 12, "M")]),
            ("ATGNNNGCNTAA", [("+", 1, 1, 12, "MXX")]),
            ("ATGAAA", []),
            ("AAATAA", []),
            ("AT", []),
        ],
    )
    def test_small_sequences_by_hand(self, bases: str, found: list[tuple[str, int, int, int, str]]) -> None:
        parts = ("strand", "frame", "start", "end", "protein")
        assert [tuple(orf[part] for part in parts) for orf in orfs.orfs_of(Contig("c", bases), 1)] == found

    @given(DNA)
    def test_every_frame_is_found_and_none_else(self, bases: str) -> None:
        self.compare(bases, 1)

    def test_every_frame_of_the_plasmid(self) -> None:
        self.compare(PLASMID, 30)

    def compare(self, bases: str, least: int) -> None:
        size = len(bases)
        found = set()
        for orf in orfs.orfs_of(Contig("c", bases), least):
            begin = orf["start"] - 1 if orf["strand"] == "+" else size - orf["end"]
            read = bases[orf["start"] - 1 : orf["end"]]
            read = read if orf["strand"] == "+" else opposite(read)
            assert read[:3] == "ATG"
            assert len(read) == 3 * orf["length"] + 3
            assert orf["frame"] == begin % 3 + 1
            found.add((orf["strand"], begin, orf["protein"]))
        assert found == orfs_by_regex(bases, least)

    def test_annotated_genes_of_the_plasmid(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (result,) = run(tmp_path, monkeypatch, "find_orfs", {"sequence": "NC_005816", "min_length": 60})["result"]
        places = {(orf["strand"], orf["start"], orf["end"]): orf for orf in result["orfs"]}
        transposase, pesticin_immunity, plasminogen_activator = ("+", 87, 1109), ("+", 4343, 4780), ("+", 6664, 7602)
        assert places[transposase]["length"] == 340
        assert places[plasminogen_activator]["length"] == 312
        assert places[pesticin_immunity]["protein"].startswith("MGGGMISKLFCLALIFLSSSGLAEKNTYTAKDILQNLELNTFGNSLSHGI")
        assert result["count"] == len(result["orfs"]) == len(places)
        assert result["genetic_code"] == 11
        assert [orf["start"] for orf in result["orfs"]] == sorted(orf["start"] for orf in result["orfs"])

    def test_nothing_found_is_a_result(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (result,) = run(tmp_path, monkeypatch, "find_orfs", {"fasta": ">a\nACGT"})["result"]
        assert result == {"genetic_code": 11, "min_length": 30, "count": 0, "orfs": []}


class TestCountKmers:
    def test_the_plasmid(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (result,) = run(tmp_path, monkeypatch, "count_kmers", {"sequence": "NC_005816"})["result"]
        # By zipping the sequence with itself instead of cutting it.
        counts = Counter(map("".join, zip(PLASMID, PLASMID[1:], PLASMID[2:], PLASMID[3:], strict=False)))
        top = sorted(counts.items(), key=lambda entry: (-entry[1], entry[0]))[:20]
        assert result == {
            "k": 4,
            "canonical": 0,
            "total": 9606,
            "distinct": len(counts),
            "skipped": 0,
            "top": [{"kmer": word, "count": count} for word, count in top],
        }

    def test_a_small_sequence_by_hand(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        params = {"fasta": ">a\nAAAANTTT\n>b\nAC", "k": 2}
        (result,) = run(tmp_path, monkeypatch, "count_kmers", params)["result"]
        assert result["top"] == [{"kmer": "AA", "count": 3}, {"kmer": "TT", "count": 2}, {"kmer": "AC", "count": 1}]
        assert (result["total"], result["skipped"]) == (6, 2)
        (result,) = run(tmp_path, monkeypatch, "count_kmers", {**params, "canonical": 1, "top": 1})["result"]
        assert result["top"] == [{"kmer": "AA", "count": 5}]
        assert result["distinct"] == 2

    @given(DNA, st.integers(1, 6))
    def test_a_canonical_word_stands_for_both_strands(self, bases: str, k: int) -> None:
        merged = kmers._merged(Counter(kmers.words(bases, k)))
        assert merged == kmers._merged(Counter(kmers.words(opposite(bases), k)))
        assert all(word <= opposite(word) for word in merged)

    @pytest.mark.parametrize(
        ("params", "message"),
        [
            ({"k": 0}, "k is 0: give a whole number from 1 to 31."),
            ({"k": "4"}, "k is '4': give a whole number from 1 to 31."),
            ({"k": True}, "k is True: give a whole number from 1 to 31."),
            ({"k": 5}, "k is 5, but the longest sequence has 4 bases: give a smaller k."),
            ({"canonical": "yes"}, "canonical is 'yes': give 0 or 1."),
            ({"K": 4}, "There is no parameter 'K'; use sequence, fasta, k, canonical, top."),
        ],
    )
    def test_bad_parameters(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, params: dict[str, Any], message: str
    ) -> None:
        output = run(tmp_path, monkeypatch, "count_kmers", {"fasta": ">a\nACGT", **params})
        assert output["error"] == {"code": -32000, "name": "Server error", "message": message, "error": ""}


class TestLongTask:
    def test_it_prints_and_reports(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        clock = Clock()
        monkeypatch.setattr(long_task, "time", clock)
        output = run(tmp_path, monkeypatch, "long_task", {"seconds": 3, "lines_per_second": 100})
        assert output["result"] == [{"seconds": 3.0, "lines": 300}]
        printed = capsys.readouterr().out.splitlines()
        assert [line for line in printed if line.startswith("line ")] == [f"line {n} of 300" for n in range(1, 301)]
        assert [line for line in printed if line.endswith(" seconds")] == [f"{n} of 3 seconds" for n in range(4)]
        assert json.loads((tmp_path / "progress.json").read_text()) == {"percent": 100.0, "message": "3 of 3 seconds"}
        assert 3 <= clock.now < 3.1

    def test_it_may_be_silent(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(long_task, "time", Clock())
        output = run(tmp_path, monkeypatch, "long_task", {"seconds": 0.5, "lines_per_second": 0})
        assert output["result"] == [{"seconds": 0.5, "lines": 0}]

    @pytest.mark.parametrize(
        ("params", "message"),
        [
            ({"seconds": 0}, "seconds is 0: give a number above 0, at most 604,800.0."),
            ({"seconds": "long"}, "seconds is 'long': give a number above 0, at most 604,800.0."),
            ({"lines_per_second": -1}, "lines_per_second is -1: give a whole number from 0 to 100,000."),
        ],
    )
    def test_bad_parameters(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, params: dict[str, Any], message: str
    ) -> None:
        assert run(tmp_path, monkeypatch, "long_task", params)["error"]["message"] == message


class Clock:
    """Time that passes by sleeping."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += max(seconds, 0.001)


@pytest.mark.parametrize("params", [[], ["text"], [{}, {}]])
def test_parameters_that_are_no_structure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, params: list[Any]) -> None:
    output = run(tmp_path, monkeypatch, "assembly_stats", *params)
    assert output["error"]["message"] == 'Give one structure as parameter, such as [{"sequence": "NC_005816"}].'


def test_a_defect_leaves_a_traceback(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(main.FUNCTIONS, "assembly_stats", lambda _: 1 / 0)  # type: ignore[arg-type, return-value]
    error = run(tmp_path, monkeypatch, "assembly_stats", {"sequence": "NC_005816"})["error"]
    assert error["message"] == "The app failed unexpectedly: ZeroDivisionError: division by zero"
    assert error["error"].startswith("Traceback")


def test_the_manifest_names_the_functions_that_there_are() -> None:
    manifest = json.loads((DATA.parents[1] / "manifest.json").read_text())
    commands = {name: function["command"] for name, function in manifest["functions"].items()}
    assert commands == {name: ["python3", "sequence_tools.py", name] for name in main.FUNCTIONS}
