"""Preflight: what is wrong with local files is one line before any job, with key and file."""

import gzip
import re
import shutil
import sys
import time
import zipfile

import numpy as np
import pytest
import yaml

from seq2exp.config import parse_config
from seq2exp.errors import UserError
from seq2exp.preflight import preflight
from seq2exp.schemas import MRNA_FEATURES

from ..conftest import CONTACT_BIN, SIZES, write_bigwig, write_cooler


@pytest.fixture
def files(toy, tmp_path):
    """A copy of the toy files that a test may damage, and the config that names them."""
    for file in toy.folder.iterdir():
        shutil.copy(file, tmp_path)
    (tmp_path / "genes.gtf").write_text('#!x\nchr1\tX\tgene\t1\t9\t.\t+\t.\tgene_id "A";\n')
    raw = {
        "genome": {
            "name": "toy",
            "fasta": {"path": f"{tmp_path}/genome.fa"},
            "genes": {"path": f"{tmp_path}/genes.tsv"},
            "blacklist": {"path": f"{tmp_path}/blacklist.bed"},
        },
        "window": {"length": 2_000, "promoter_length": 200},
        "cell_lines": {
            "Toy": {
                "h3k27ac": {"path": f"{tmp_path}/h3k27ac.bw"},
                "dnase": {"url": f"file://{tmp_path}/dnase.bw"},
                "hic": {
                    "path": f"{tmp_path}/contacts.cool",
                    "resolution": CONTACT_BIN,
                    "normalization": "NONE",
                },
                "peaks": {"path": f"{tmp_path}/peaks.narrowPeak"},
                "expression": {
                    "CAGE": {"bigwig": {"path": f"{tmp_path}/cage.bw"}},
                    "RNA": {"table": {"path": f"{tmp_path}/rna.tsv"}, "column": "rpkm"},
                },
            }
        },
        "models": {"caduceus": {}},
    }
    return tmp_path, raw


def run(raw):
    preflight(parse_config(raw), "my.yaml")


def test_good_files_pass_quickly(files):
    _, raw = files
    run(raw)
    started = time.perf_counter()
    run(raw)
    assert time.perf_counter() - started < 2


def test_remote_files_are_left_alone(files):
    _, raw = files
    raw["cell_lines"]["Toy"]["dnase"] = {"encode": "ENCFF414OGC"}
    raw["cell_lines"]["Toy"]["hic"] = {"url": "https://127.0.0.1:9/x.hic"}
    raw["genome"]["fasta"] = {"url": "https://127.0.0.1:9/hg38.fa.gz"}
    run(raw)


HTML = b"<!DOCTYPE html><html><title>403 Forbidden</title></html>"
KEYS = {
    "genome.fa": "genome.fasta",
    "genes.tsv": "genome.genes",
    "blacklist.bed": "genome.blacklist",
    "h3k27ac.bw": "cell_lines.Toy.h3k27ac",
    "dnase.bw": "cell_lines.Toy.dnase",
    "contacts.cool": "cell_lines.Toy.hic",
    "peaks.narrowPeak": "cell_lines.Toy.peaks",
    "cage.bw": "cell_lines.Toy.expression.CAGE.bigwig",
    "rna.tsv": "cell_lines.Toy.expression.RNA.table",
}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "no such file; correct the path"),
        (b"", "the file is empty; download or write it again"),
        (HTML, "an HTML page instead of data; download the file itself"),
        (b"\x00\x01\x02" * 50, r"(not a|does not begin with '>'|not UTF-8|has 1 columns).*"),
    ],
)
@pytest.mark.parametrize("file", KEYS)
def test_any_file_missing_empty_html_or_binary(files, file, content, message):
    folder, raw = files
    (folder / file).unlink() if content is None else (folder / file).write_bytes(content)
    expected = rf"^my\.yaml: {re.escape(KEYS[file])}: .*{re.escape(file)}: {message}"
    with pytest.raises(UserError, match=expected) as caught:
        run(raw)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("share", [0.001, 0.1, 0.3, 0.5, 0.7, 0.9, 0.97, 0.999])
def test_truncated_bigwig(files, share):
    folder, raw = files
    whole = (folder / "dnase.bw").read_bytes()
    (folder / "dnase.bw").write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(
        UserError, match=r"Toy\.dnase: .*dnase\.bw: truncated or damaged bigWig \(\d"
    ):
        run(raw)


def test_damaged_last_block(files):
    folder, raw = files
    whole = bytearray((folder / "dnase.bw").read_bytes())
    index = int.from_bytes(whole[24:32], "little")
    whole[index - 40 : index - 5] = bytes(35)
    (folder / "dnase.bw").write_bytes(whole)
    with pytest.raises(UserError, match=r"dnase\.bw: truncated or damaged bigWig .*data at byte"):
        run(raw)


def test_tracks_of_two_assemblies(files):
    folder, raw = files
    signal = {chrom: np.ones(10) for chrom in SIZES}
    (folder / "genome.fa.fai").unlink()
    write_bigwig(folder / "dnase.bw", signal, {**SIZES, "chr2": 8_100})
    expected = (
        r"my\.yaml: cell_lines\.Toy\.dnase: .*dnase\.bw: chr2 has 8100 bp, but 8000 in "
        r"cell_lines\.Toy\.h3k27ac; the files are of different assemblies"
    )
    with pytest.raises(UserError, match=expected):
        run(raw)
    write_bigwig(folder / "dnase.bw", {"scaffold": np.ones(10)}, {"scaffold": 10})
    with pytest.raises(
        UserError, match=r"no chromosome in common with the other files \(scaffold a"
    ):
        run(raw)


def test_same_assembly_without_chr_passes(files):
    folder, raw = files
    signal = {chrom[3:]: np.ones(10) for chrom in SIZES}
    write_bigwig(folder / "dnase.bw", signal, {chrom[3:]: size for chrom, size in SIZES.items()})
    run(raw)
    write_bigwig(folder / "dnase.bw", signal, {"1": 12_000, "2": 8_000, "3": 5_101})
    with pytest.raises(UserError, match=r"dnase\.bw: 3 has 5101 bp, but 5100 in genome\.fasta"):
        run(raw)


def test_contact_map_of_another_assembly(files):
    folder, raw = files
    (folder / "contacts.cool").unlink()
    write_cooler(folder / "contacts.cool", {"chr1": 9_000}, CONTACT_BIN, np.eye(18, dtype=int))
    with pytest.raises(
        UserError, match=r"Toy\.hic: .*contacts\.cool: chr1 has 9000 bp, but 12000 in"
    ):
        run(raw)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("normalization", "VC", r"no normalization 'VC' at 500 bp; it has NONE; set hic\.normaliz"),
        ("resolution", 5_000, r"no resolution 5000; it has 500; set hic\.resolution to one of"),
    ],
)
def test_contact_map_without_what_is_asked_for(files, key, value, message):
    _, raw = files
    raw["cell_lines"]["Toy"]["hic"][key] = value
    with pytest.raises(UserError, match=r"my\.yaml: cell_lines\.Toy\.hic: .*\.cool: " + message):
        run(raw)


def test_wanted_chromosomes(files):
    folder, raw = files
    raw["genome"]["chromosomes"] = ["chr1", "3", "chr7"]
    with pytest.raises(
        UserError, match=r"genome\.fasta: .*genome\.fa: no chromosome 'chr7', it has"
    ):
        run(raw)
    raw["genome"]["chromosomes"] = ["chr1", "3"]
    run(raw)
    write_bigwig(folder / "cage.bw", {"chr1": np.ones(10)}, {"chr1": SIZES["chr1"]})
    with pytest.raises(UserError, match=r"CAGE\.bigwig: .*cage\.bw: no chromosome '3'.*zeros"):
        run(raw)
    raw["window"]["missing_chromosome"] = "zeros"
    run(raw)


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("rna.tsv", "gene_id\ttpm\nG1\t1\n", r"no column 'rpkm'; the columns are gene_id, tpm"),
        ("rna.tsv", "id\trpkm\nG1\t1\n", r"no column 'gene_id'; the columns are id, rpkm"),
        (
            "genes.tsv",
            "gene_id\tchrom\ttss\n",
            r"no column 'gene_name'; the columns are gene_id, c",
        ),
        (
            "blacklist.bed",
            "track x\n#\nchr1\t7\n",
            r"first line has 2 columns, not 3 or more; give",
        ),
        ("peaks.narrowPeak", "chr1\t7\n", r"line 1: 'chr1\\t7' has fewer than 3 columns; give BED"),
        (
            "peaks.narrowPeak",
            "chr1\t1\t9\nchr3\t5000\t5101\n",
            r"an interval ends at chr3:5101, but chr3 has 5100 bp; the file is of another assembly",
        ),
        ("peaks.narrowPeak", "chrX\t1\t9\n", r"no chromosome in common with the genome \(chrX aga"),
        ("genome.fa", "ACGT\n", r"does not begin with '>'; give a FASTA file"),
        ("genome.fa.fai", "chr1 12000\n", r"genome\.fa\.fai: not a FASTA index; remove it"),
    ],
)
def test_text_files_of_another_kind(files, file, content, message):
    folder, raw = files
    (folder / file).write_text(content)
    with pytest.raises(UserError, match=rf"^my\.yaml: .*{message}"):
        run(raw)


def test_annotation(files):
    folder, raw = files
    del raw["genome"]["genes"]
    raw["genome"]["annotation"] = {"path": f"{folder}/genes.gtf"}
    run(raw)
    with gzip.open(folder / "genes.gtf", "wb") as handle:
        handle.write(b"chr1\t1\t2\n")
    with pytest.raises(
        UserError, match=r"genome\.annotation: .* has 3 columns, not 9 or more; give G"
    ):
        run(raw)
    (folder / "genes.gtf").write_bytes((folder / "genes.gtf").read_bytes()[:12])
    with pytest.raises(UserError, match=r"genome\.annotation: damaged or unreadable"):
        run(raw)


def test_sizes_and_archives(files):
    folder, raw = files
    raw["cell_lines"]["Toy"]["dnase"]["bytes"] = 12
    with pytest.raises(
        UserError, match=r"Toy\.dnase: .* bytes, but bytes says 12; get the file agai"
    ):
        run(raw)
    del raw["cell_lines"]["Toy"]["dnase"]["bytes"]
    with zipfile.ZipFile(folder / "t.zip", "w") as archive:
        archive.writestr("data/rna.tsv", "x")
    table = {"path": f"{folder}/t.zip", "member": "rna.tsv"}
    raw["cell_lines"]["Toy"]["expression"]["RNA"]["table"] = table
    run(raw)
    table["member"] = "other.tsv"
    with pytest.raises(
        UserError, match=r"RNA\.table: .*no file 'other\.tsv' in the archive, which h"
    ):
        run(raw)


def test_real_files(realdata, tmp_path):
    text = f"""
    genome:
      name: hg19
      fasta: {{path: {realdata}/hg19.chr20_chr22.fa.gz}}
      genes: {{path: {realdata}/genes.tsv}}
      blacklist: {{path: {realdata}/blacklist.bed}}
      chromosomes: [chr20]
    cell_lines:
      GM12878:
        h3k27ac: {{path: {realdata}/GM12878.H3K27ac.bw}}
        dnase: {{path: {realdata}/GM12878.DNase.bw}}
        hic: {{path: {realdata}/GM12878.chr20.25kb.cool, resolution: 25000, normalization: weight}}
        expression:
          CAGE: {{table: {{path: {realdata}/GM12878.expression.tsv}}, column: cage_tpm_384bp}}
    models: {{caduceus: {{}}}}
    """
    raw = yaml.safe_load(text)
    run(raw)
    raw["genome"]["chromosomes"] = ["chr20", "chr22"]
    with pytest.raises(UserError, match=r"hic: .*25kb\.cool: no chromosome 'chr22', it has chr20;"):
        run(raw)
    raw["cell_lines"]["GM12878"]["hic"]["normalization"] = "VC"
    with pytest.raises(UserError, match=r"no normalization 'VC' at 25000 bp; it has NONE, weight;"):
        run(raw)


def test_table_of_features_and_references(files):
    folder, raw = files
    (folder / "features.csv").write_text("Gene,UTR5GC\nA,1\n")
    raw["genome"]["features"] = {"table": {"path": f"{folder}/features.csv"}, "id_column": "Gene"}
    expected = (
        r"my\.yaml: genome\.features\.table: .*features\.csv: no column 'UTR5LEN_log10zscore'; the "
        r"columns are Gene, UTR5GC"
    )
    with pytest.raises(UserError, match=expected):
        run(raw)
    (folder / "features.csv").write_text(",".join(("Gene", *MRNA_FEATURES)) + "\n")
    raw["evaluation"] = {"references": {"ccres_K562": {"path": f"{folder}/absent.bed"}}}
    expected = r"my\.yaml: evaluation\.references\.ccres_K562: .*absent\.bed: no such file"
    with pytest.raises(UserError, match=expected):
        run(raw)


def test_evidence(files):
    folder, raw = files
    (folder / "r.bed").write_text("#x\nchr1\t5\t9\tdELS\n")
    reference = {"path": f"{folder}/r.bed", "column": 4, "values": ["dELS"]}
    raw["evaluation"] = {"references": {"dnase": reference}}  # not a track
    run(raw)
    raw["evaluation"]["references"]["dnase"] = reference | {"column": 10}
    expected = (
        r"my\.yaml: evaluation\.references\.dnase: .*r\.bed: its first line has 4 columns, not 10"
    )
    with pytest.raises(UserError, match=expected):
        run(raw)
    (folder / "pairs.tsv").write_text("chrom\tstart\tend\tgene_name\tcell_line\tregulated\n")
    del raw["evaluation"]
    raw["cell_lines"]["Toy"]["crispri"] = {"path": f"{folder}/pairs.tsv"}
    expected = (
        r"my\.yaml: cell_lines\.Toy\.crispri: .*pairs\.tsv: no column 'gene_tss'; pairs need chrom, .*"
        r"regulated, or the columns of an ENCODE benchmark; the columns are chrom, start"
    )
    with pytest.raises(UserError, match=expected):
        run(raw)
    (folder / "pairs.tsv").write_text("chrom\tchromStart\tchromEnd\n")
    with pytest.raises(
        UserError, match=r"no column 'measuredGeneSymbol'; pairs need chrom, chromSt"
    ):
        run(raw)
    columns = {"chrom": "#chr", "gene_name": "TargetGene", "score": "Score"}
    raw["cell_lines"]["Toy"]["crispri"] = {"url": "https://x.org/pairs.tsv"}
    links = {"path": f"{folder}/links.tsv", "columns": columns}
    raw["cell_lines"]["Toy"]["predictions"] = {"abc": links}
    (folder / "links.tsv").write_text("#chr\tstart\tend\tTargetGene\tABC.Score\n")
    expected = (
        r"cell_lines\.Toy\.predictions\.abc: .*links\.tsv: no column 'Score'; the columns are #chr"
    )
    with pytest.raises(UserError, match=expected):
        run(raw)


def test_motifs(files):
    folder, raw = files
    motifs = folder / "m.jaspar"
    raw["evaluation"] = {"motifs": {"path": str(motifs)}}
    motifs.write_text(">M1\n1 0\n0 1\n0 0\n0 0\n")
    run(raw)
    motifs.write_text(">M1\n1 0\n0 1\n0 0\n")
    expected = r"my\.yaml: evaluation\.motifs: .*m\.jaspar: motif M1 is no matrix of A, C, G, T"
    with pytest.raises(UserError, match=expected):
        run(raw)


def test_map_without_the_wanted_normalization(files):
    _, raw = files
    raw["cell_lines"]["Toy"]["hic"]["normalization"] = "VC"
    expected = (
        r"cell_lines\.Toy\.hic: .*no normalization 'VC' at 500 bp; it has NONE; set hic\.norm"
    )
    with pytest.raises(UserError, match=expected):
        run(raw)
    raw["cell_lines"]["Toy"]["hic"]["missing_normalization"] = "none"
    run(raw)


def test_a_model_whose_package_is_missing(files, monkeypatch):
    _, raw = files
    raw["models"] = {"caduceus": {}, "big": {"kind": "enformer"}}
    run(raw)
    monkeypatch.setitem(sys.modules, "enformer_pytorch", None)
    with pytest.raises(UserError) as error:
        run(raw)
    assert str(error.value) == (
        "my.yaml: models.big: kind enformer needs the package enformer-pytorch, which is not "
        "installed here; pip install enformer-pytorch, or drop the model"
    )
