"""Genome preparation: what is written can be read by others, and bad FASTA is one clear line."""

import gzip

import numpy as np
import pyfaidx
import pysam
import pytest

from seq2exp import reference
from seq2exp.errors import UserError
from seq2exp.reference import (
    match_chromosome,
    open_fasta,
    prepare_genome,
    read_chrom_sizes,
    read_codes,
)


def prepare(folder, chromosomes=None, name="in.fa"):
    prepare_genome(folder / name, folder / "genome.fa", folder / "chrom.sizes", chromosomes)
    return read_chrom_sizes(folder / "chrom.sizes")


@pytest.mark.parametrize("block", [1, 7, 1 << 24])
@pytest.mark.parametrize("packed", ["plain", "gzip", "bgzip"])
def test_chromosomes_are_copied_exactly(tmp_path, monkeypatch, block, packed):
    rng = np.random.default_rng(1)
    genome = {f"c{n}": "".join(rng.choice(list("ACGTacgtN"), n)) for n in (1, 79, 80, 81, 333)}
    text = "".join(
        f">{name} some > text\r\n"
        + "\r\n".join(s[i : i + 50] for i in range(0, len(s), 50))
        + "\r\n"
        for name, s in genome.items()
    ).rstrip()
    (tmp_path / "in.fa").write_text(text)
    if packed == "gzip":
        (tmp_path / "in.fa").write_bytes(gzip.compress(text.encode()))
    elif packed == "bgzip":
        pysam.tabix_compress(str(tmp_path / "in.fa"), str(tmp_path / "in.gz"))
        (tmp_path / "in.gz").replace(tmp_path / "in.fa")
    monkeypatch.setattr(reference, "_BLOCK", block)
    assert prepare(tmp_path) == {name: len(s) for name, s in genome.items()}
    index = (tmp_path / "genome.fa.fai").read_text()
    ours = {name: open_fasta(tmp_path / "genome.fa")[name][:] for name in genome}
    assert ours == {name: s.upper() for name, s in genome.items()}
    assert pysam.FastaFile(str(tmp_path / "genome.fa")).fetch("c333", 75, 90) == (
        genome["c333"][75:90].upper()
    )
    pyfaidx.Faidx(str(tmp_path / "genome.fa"), rebuild=True).build_index()
    assert (tmp_path / "genome.fa.fai").read_text() == index


def test_wanted_chromosomes_get_the_names_of_the_config(tmp_path):
    (tmp_path / "in.fa").write_text(">1\nAC\n>2\nGGG\n>chrX\nT\n>MT\nA\n")
    assert prepare(tmp_path, ["chrX", "chr1", "chrM"]) == {"chr1": 2, "chrX": 1, "chrM": 1}
    assert prepare(tmp_path, ("X", "2")) == {"2": 3, "X": 1}
    before = (tmp_path / "genome.fa").read_bytes()
    with pytest.raises(UserError, match=r"in\.fa: no chromosome 'chr7'; it has 1, 2, chrX, MT; co"):
        prepare(tmp_path, ["chr1", "chr7"])
    assert (tmp_path / "genome.fa").read_bytes() == before
    assert len(list(tmp_path.iterdir())) == 4


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("ACGT\n", r"does not begin with '>'; give a FASTA file"),
        ("", r"the file is empty"),
        (">a\nAC\n>b\n>c\nA\n", r"sequence 'b' is empty; get the whole file again"),
        (">a\nAC\n>b\n", r"sequence 'b' is empty"),
        (">a\nAC\n>a\nA\n", r"sequence 'a' occurs twice; remove one"),
        (">a\nACJZ\n", r"b'J' in sequence 'a' is not a base; is this nucleotide FASTA\?"),
        ("<html><body>>a</body>", r"an HTML page instead of text or gzip"),
    ],
)
def test_bad_fasta(tmp_path, text, message):
    (tmp_path / "in.fa").write_text(text)
    with pytest.raises(UserError, match=rf"in\.fa: {message}"):
        prepare(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["in.fa"]


@pytest.mark.parametrize("share", [0.2, 0.6, 0.99])
def test_truncated_gzip(tmp_path, share):
    whole = gzip.compress(b">a\n" + bytes(np.random.default_rng(0).choice(list(b"ACGT"), 5_000)))
    (tmp_path / "in.fa").write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(UserError, match=r"in\.fa: truncated or damaged"):
        prepare(tmp_path)


@pytest.mark.parametrize(
    ("name", "available", "found"),
    [
        ("chr1", {"1", "chr1"}, "chr1"),
        ("chr1", {"1"}, "1"),
        ("1", {"chr1"}, "chr1"),
        ("chrM", {"MT"}, "MT"),
        ("MT", {"chrM"}, "chrM"),
        ("chr1", {"chr11", "11"}, None),
        ("scaffold_3", {"scaffold_3"}, "scaffold_3"),
    ],
)
def test_names(name, available, found):
    assert match_chromosome(name, available) == found


def test_codes_at_both_ends_and_in_n_runs(tmp_path):
    (tmp_path / "in.fa").write_text(">c\nACGTNRacgt\n")
    prepare(tmp_path)
    fasta = open_fasta(tmp_path / "genome.fa")
    inside = [0, 1, 2, 3, 4, 4, 0, 1, 2, 3]
    assert read_codes(fasta, "c", 0, 10).tolist() == inside
    assert read_codes(fasta, "c", -2, 12).tolist() == [5, 5, *inside, 5, 5]
    assert read_codes(fasta, "c", -5, -2).tolist() == [5, 5, 5]
    assert read_codes(fasta, "c", 10, 12).tolist() == [5, 5]
    assert read_codes(fasta, "c", 3, 5).dtype == np.uint8


def test_fasta_without_index(tmp_path):
    (tmp_path / "g.fa").write_text(">c\nA\n")
    with pytest.raises(UserError, match=r"g\.fa: no index .*g\.fa\.fai beside it"):
        open_fasta(tmp_path / "g.fa")


def test_bad_sizes(tmp_path):
    (tmp_path / "s").write_text("chr1\t5\nchr2\n")
    with pytest.raises(UserError, match=r"s: line 2: 'chr2' is not a name and a length"):
        read_chrom_sizes(tmp_path / "s")
