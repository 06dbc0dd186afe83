"""Files of variants to edits of the genome: every kind of allele, and every way to be wrong."""

import gzip
import os

import pysam
import pytest

from seq2exp.errors import UserError
from seq2exp.variants.edits import Edit, Refused, blanked, edit_of, trim
from seq2exp.variants.genome import Genome
from seq2exp.variants.records import Record, quiet_htslib, read_variants

HEADER = "##fileformat=VCFv4.3\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
DECLARED = HEADER.replace(
    "#CHROM",
    '##INFO=<ID=END,Number=1,Type=Integer,Description="">\n'
    '##INFO=<ID=SVLEN,Number=.,Type=Integer,Description="">\n##contig=<ID=chr1>\n#CHROM',
)


def line(chrom, pos, id_, ref, alt, info="."):
    return f"{chrom}\t{pos}\t{id_}\t{ref}\t{alt}\t.\t.\t{info}\n"


def read(folder, text, name="v.vcf"):
    (folder / name).write_text(text)
    return read_variants(folder / name)


def alleles(variants):
    return [(r.chrom, r.pos, r.id, r.ref, r.alt, r.end) for r in variants.records]


SOME = (
    line("chr1", 5, "rs1", "A", "C,*,GT")
    + line("chr1", 6, ".", "ac", "a")
    + line("chr1", 7, "q", "N", "<DEL>", "END=20")
    + line("chr1", 8, ".", "A", ".")
    + line("chr1", 9, ".", "A", "<NON_REF>")
)
FOUND = [
    ("chr1", 5, "rs1", "A", "C", None),
    ("chr1", 5, "rs1", "A", "GT", None),
    ("chr1", 6, "", "ac", "a", None),
    ("chr1", 7, "q", "N", "<DEL>", 20),
]


@pytest.mark.parametrize("name", ["v.vcf", "v.vcf.gz", "v.bcf", "plain.txt"])
def test_a_row_an_alternative_whatever_the_packing(tmp_path, name):
    plain = tmp_path / "plain.txt"  # known by what it holds
    plain.write_text(DECLARED + SOME)
    if name.endswith(".gz"):
        pysam.tabix_compress(str(plain), str(tmp_path / name))
    elif name.endswith(".bcf"):
        with (
            quiet_htslib(),
            pysam.VariantFile(str(plain)) as source,
            pysam.VariantFile(str(tmp_path / name), "wb", header=source.header) as out,
        ):
            for record in source:
                out.write(record)
    else:
        (tmp_path / name).write_text(DECLARED + SOME)
    variants = read_variants(tmp_path / name)
    assert (alleles(variants), variants.skipped) == (FOUND, 3)
    assert [r.place for r in variants.records][2] == f"{tmp_path / name}: record 2"


@pytest.mark.parametrize("header", [HEADER, DECLARED], ids=["undeclared", "declared"])
@pytest.mark.parametrize(
    ("alt", "info", "ends", "problem"),
    [
        ("<DEL>", "END=20", [20], ""),
        ("<DEL>", "SVLEN=-8", [20], ""),
        ("<DEL>", "SVTYPE=DEL;SVLEN=8;END=20", [20], ""),
        ("<DEL:ME:ALU>", "SVLEN=8", [20], ""),
        ("<DEL>,<DEL>", "SVLEN=-8,-3", [20, 15], ""),
        ("<DEL>", "END=21;SVLEN=-8", [None], "<DEL>: END and SVLEN disagree"),
        ("<DEL>", "SVTYPE=DEL", [None], "<DEL>: needs END or SVLEN in INFO"),
        ("<DEL>", "SVLEN=.", [None], "<DEL>: needs END or SVLEN in INFO"),
        ("<DUP>", "END=20", [None], "<DUP>: of symbolic alleles only <DEL> is read"),
        ("<INS>", ".", [None], "<INS>: of symbolic alleles only <DEL> is read"),
    ],
)
def test_symbolic_alleles(tmp_path, header, alt, info, ends, problem):
    records = read(tmp_path, header + line("chr1", 12, ".", "N", alt, info)).records
    assert [record.end for record in records] == ends
    assert {record.problem for record in records} == {problem}


def test_bed_rows_are_deletions(tmp_path):
    text = "track x\nchr1\t4\t9\tan element\t7\n1 0 3\n"
    (tmp_path / "v.bed.gz").write_bytes(gzip.compress(text.encode()))
    expected = [
        ("chr1", 4, "an element", "N", "<DEL>", 9),
        ("1", 0, "", "N", "<DEL>", 3),
    ]
    assert alleles(read(tmp_path, text, "v.bed")) == expected
    assert alleles(read_variants(tmp_path / "v.bed.gz")) == expected


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("v.vcf", line("1", 5, ".", "A", "C"), r"neither a VCF \(its first line would be"),
        ("v.vcf", HEADER, r"holds no allele to score"),
        ("v.vcf", HEADER + line("1", 5, ".", "A", "*"), r"holds no allele to score"),
        (
            "v.vcf",
            HEADER + line("1", 5, ".", "A", "C") + line("1", "five", ".", "A", "C"),
            r"not readable after record 1 \(htslib: .*\); correct the file",
        ),
        ("v.vcf", HEADER + "1\t5\n", r"not readable after record 0"),
        ("v.vcf", "##fileformat=VCFv4.3\nchr1\t5\t.\tA\tC\t.\t.\t.\n", r"not readable after rec"),
        ("v.bed", "chr1\t9\t5\n", r"line 1: 9-5 is not an interval"),
        ("v.vcf", "<html></html>", r"an HTML page"),
        ("v.vcf", "", r"the file is empty"),
    ],
)
def test_files_that_cannot_be_read(tmp_path, name, text, message):
    with pytest.raises(UserError, match=rf"{name}: {message}"):
        read(tmp_path, text, name)


def test_gzip_is_no_bgzip_and_a_cut_file_is_noticed(tmp_path):
    path = tmp_path / "v.vcf.gz"
    path.write_bytes(gzip.compress((HEADER + SOME).encode()))
    with pytest.raises(UserError, match=r"v\.vcf\.gz: gzipped, not bgzipped; gunzip it"):
        read_variants(path)
    (tmp_path / "v.vcf").write_text(DECLARED + SOME * 1_000)
    pysam.tabix_compress(str(tmp_path / "v.vcf"), str(path), force=True)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(UserError, match=r"v\.vcf\.gz: not readable after record"):
        read_variants(path)


# --------------------------------------------------------------------------- edits


@pytest.mark.parametrize(
    ("ref", "alt", "expected"),
    [
        ("A", "C", (0, "A", "C")),
        ("AC", "GC", (0, "A", "G")),
        ("ACG", "TCT", (0, "ACG", "TCT")),
        ("CA", "C", (1, "A", "")),
        ("CAA", "CA", (1, "A", "")),  # the base before stays as long as it can
        ("AA", "A", (1, "A", "")),
        ("C", "CTT", (1, "", "TT")),
        ("CGA", "CTTGA", (1, "", "TT")),
        ("A", "TA", (0, "", "T")),  # before the first base of a chromosome
        ("AG", "G", (0, "A", "")),
        ("ACGT", "TT", (0, "ACG", "T")),
        ("AT", "GGG", (0, "AT", "GGG")),
    ],
)
def test_shared_bases_are_cut_off(ref, alt, expected):
    assert trim(ref, alt) == expected


@pytest.fixture
def genome(tmp_path):
    text = ">chr1 some\nACGTNacgtR\nAA\n>2\nCC\n>chrM\nGG\n>MT\nGG\n"
    (tmp_path / "g.fa").write_text(text)
    return Genome(tmp_path / "g.fa")


def edit(genome, chrom, pos, ref, alt, end=None, problem=""):
    return edit_of(Record("v.vcf: record 1", chrom, pos, "", ref, alt, end, problem), genome)


def test_edits_are_zero_based_and_of_the_chromosome_meant(genome):
    def shown(*record):
        found = edit(genome, *record)
        return found.chrom, found.start, found.end, found.codes.tolist()

    assert shown("chr1", 2, "C", "T") == ("chr1", 1, 2, [3])
    assert shown("1", 6, "ACG", "A") == ("chr1", 6, 8, [])  # lower case in the FASTA
    assert shown("chr2", 1, "c", "gcc") == ("2", 0, 0, [2, 1])
    assert shown("1", 5, "N", "A") == ("chr1", 4, 5, [0])
    assert shown("1", 4, "T", "TNG") == ("chr1", 4, 4, [4, 2])
    assert shown("1", 3, "G", "<DEL>", 7) == ("chr1", 3, 7, [])
    assert shown("1", 0, "N", "<DEL>", 2) == ("chr1", 0, 2, [])
    assert shown("1", 12, "A", "AT") == ("chr1", 12, 12, [3])  # behind the last base


@pytest.mark.parametrize(
    ("record", "message"),
    [
        (("chr1", 2, "G", "T"), "REF is G, but g.fa has C there"),
        (("1", 3, "GTN", "G"), ""),
        (("1", 3, "GTA", "G"), "REF is GTA, but g.fa has GTN there"),
        (("1", 1, "ACGTNACGA", "A"), "REF has A at 1:9, but g.fa has T"),
        (("chr1", 10, "A", "C"), "REF is A, but g.fa has R there"),
        (("chr1", 12, "AC", "A"), "reaches beyond chr1, which has 12 bp"),
        (("chr1", 13, "A", "C"), "reaches beyond chr1"),
        (("chr1", 0, "N", "NA"), "reaches beyond chr1"),
        (("chr1", 3, "G", "<DEL>", 13), "reaches beyond chr1"),
        (("chr1", 3, "G", "<DEL>", 3), "deletes nothing"),
        (("chr1", 3, "C", "<DEL>", 7), "REF is C, but g.fa has G there"),
        (("chr1", 0, "A", "<DEL>", 2), "REF is A, but g.fa has no base there"),
        (("chr1", 2, "C", "R"), "ALT R is not a sequence of A, C, G, T and N"),
        (("chr1", 2, "C", "C[2:2["), "ALT C[2:2[ is not a sequence"),
        (("chr1", 2, ".", "C"), "REF . is not a sequence"),
        (("chr1", 2, "C", "c"), "ALT is REF"),
        (("chr7", 2, "C", "G"), "g.fa has no chromosome 'chr7'"),
        (("chr1", 2, "N", "<X>", None, "of symbolic"), "of symbolic"),
    ],
)
def test_refused_alleles(genome, record, message):
    if not message:
        edit(genome, *record)
        return
    with pytest.raises(Refused) as refusal:
        edit(genome, *record)
    assert str(refusal.value).startswith(message)


def test_a_name_for_two_chromosomes_is_an_error(genome):
    with pytest.raises(UserError, match=r"g\.fa: chromosome 'M' could be chrM or MT; name it as"):
        edit(genome, "M", 1, "G", "C")
    assert edit(genome, "MT", 1, "G", "C").chrom == "MT"


def test_a_genome_that_cannot_be_read(tmp_path):
    (tmp_path / "g.fa.gz").write_bytes(gzip.compress(b">chr1\nACGT\n"))
    (tmp_path / "b.fa").write_text("no FASTA\n")
    for name in ("g.fa.gz", "b.fa"):
        with pytest.raises(UserError, match=rf"{name}: cannot be read or indexed .*bgzipped"):
            Genome(tmp_path / name)


def test_an_old_index_is_not_trusted(tmp_path):
    path = tmp_path / "g.fa"
    path.write_text(">chr1\nACGT\n")
    assert Genome(path).text("chr1", 1, 3) == "CG"
    path.write_text(">chr1\nAC\nGT\n")
    newer = (tmp_path / "g.fa.fai").stat().st_mtime + 1
    os.utime(path, (newer, newer))
    with pytest.raises(
        UserError, match=r"g\.fa\.fai: older than g\.fa, perhaps of another one; del"
    ):
        Genome(path)
    (tmp_path / "g.fa.fai").unlink()
    assert Genome(path).text("chr1", 1, 3) == "CG"


def test_distances_and_what_is_touched(genome):
    snv, insertion = Edit("c", 5, 6, edit(genome, "1", 1, "A", "C").codes), Edit("c", 5, 5, None)
    deletion = Edit("c", 5, 8, snv.codes[:0])
    assert [snv.distance(tss) for tss in (3, 5, 9)] == [2, 0, -4]
    assert [insertion.distance(tss) for tss in (3, 4, 5, 9)] == [1, 0, 0, -4]
    assert [deletion.distance(tss) for tss in (4, 5, 7, 8)] == [1, 0, 0, -1]
    windows = [(5, 6), (4, 6), (6, 9), (0, 5), (0, 6), (7, 20), (8, 20)]
    touched = [[e.touches(*window) for window in windows] for e in (snv, insertion, deletion)]
    assert touched == [
        [True, True, False, False, True, False, False],
        [False, True, False, False, True, False, False],
        [True, True, True, False, True, True, False],
    ]
    assert [deletion.deletes(base) for base in (4, 5, 7, 8)] == [False, True, True, False]
    assert not any(blanked(deletion).deletes(base) for base in range(4, 9))
