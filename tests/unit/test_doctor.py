"""seq2exp check: whole cell lines, on toy files with every kind of trouble and on measured data."""

import os
import re
import shutil

import numpy as np
import pandas as pd
import pyBigWig
import pytest
import yaml

from seq2exp.cli import main
from seq2exp.config import WindowConfig, parse_config
from seq2exp.doctor.cell_line import NOT_FETCHED, CellLine, Reference, check_cell_line
from seq2exp.doctor.checkup import read_checkups
from seq2exp.doctor.command import check
from seq2exp.doctor.compare import Promoters, compare_cell_lines
from seq2exp.doctor.outputs import write_all_checks, write_check
from seq2exp.errors import UserError
from seq2exp.expression import LabelInputs
from seq2exp.schemas import read_table
from seq2exp.tracks import open_bigwig, read_signal

from ..conftest import CONTACT_BIN, GENES, SIZES, write_bigwig


@pytest.fixture
def raw(toy, tmp_path, monkeypatch):
    """A config of a copy of the toy files, in the working directory."""
    for file in toy.folder.iterdir():
        shutil.copy(file, tmp_path)
    monkeypatch.chdir(tmp_path)
    return {
        "results": "out",
        "genome": {
            "name": "toy1",
            "fasta": {"path": "raw.fa"},
            "genes": {"path": "genes.tsv"},
            "blacklist": {"path": "blacklist.bed"},
        },
        "window": {"length": 2_000, "promoter_length": 200},
        "folds": {
            "scheme": "explicit",
            "sets": {1: {"valid": ["chr2"], "test": ["chr3"]}},
            "run": [1],
        },
        "assays": ["CAGE", "RNA"],
        "cell_lines": {
            "Toy": {
                "h3k27ac": {"path": "h3k27ac.bw"},
                "dnase": {"url": "file://./dnase.bw"},
                "hic": {
                    "path": "contacts.cool",
                    "resolution": CONTACT_BIN,
                    "normalization": "NONE",
                },
                "expression": {
                    "CAGE": {"bigwig": {"path": "cage.bw"}},
                    "RNA": {"table": {"path": "rna.tsv"}, "column": "rpkm", "transform": "none"},
                },
            }
        },
        "models": {"caduceus": {}},
    }


def findings(checkups, *levels):
    return {
        (checkup.cell_line, item): text
        for checkup in checkups
        for level, item, text in checkup.findings
        if level in levels
    }


def test_a_toy_cell_line_by_hand(raw, toy):
    shared, checkup = check(parse_config(raw))
    assert shared.get("genome", "assembly") == "unknown"
    assert shared.get("genome.fasta", "file") == "raw.fa"
    assert checkup.get("genes", "kept") == len(GENES)
    assert checkup.get("h3k27ac", "chromosomes") == checkup.get("hic", "chromosomes") == "3/3"
    # All 8 windows of 2 kb but the bases off the chromosomes: G1 700 on the left, G6 900, G8 950.
    assert checkup.get("dnase", "bases") == 8 * 2_000 - 700 - 900 - 950
    # [1000, 1050) of chr1 has no data: 50 bases of each window of G1, G2, G3.
    assert checkup.get("dnase", "nan") == pytest.approx(150 / 13_450)
    track = open_bigwig(toy.path("dnase.bw"))
    windows = [read_signal(track, c, t - 1_000, t + 1_000, missing="error") for _, c, t, _ in GENES]
    assert checkup.get("dnase", "max") == np.max(windows)
    assert checkup.get("dnase", "median") == pytest.approx(
        np.median(
            np.concatenate(
                [
                    w[700:] if i == 0 else w[:1_100] if i == 5 else w[:1_050] if i == 7 else w
                    for i, w in enumerate(windows)
                ]
            )
        )
    )
    promoter = np.mean([window[500:1_500].mean() for window in windows])
    around = np.sum(windows) / 13_450
    assert checkup.get("dnase", "at_tss") == pytest.approx(promoter / around, rel=1e-5)
    assert checkup.get("CAGE", "genes") == 8
    assert checkup.get("RNA", "genes") == 2
    assert checkup.get("RNA", "lacking") == "not in the table: 5; empty cell: 1"
    assert [checkup.get("RNA", f"fold1 {split}") for split in ("train", "valid", "test")] == [
        2,
        0,
        0,
    ]
    assert checkup.get("RNA", "min") == -1.5
    errors = findings([shared, checkup], "error")
    assert errors == {
        ("Toy", "RNA"): "fold 1: no gene of test has a label; change folds or the labels"
    }
    assert os.listdir("out") == []  # the temporary reference is gone


def test_every_problem_is_found_at_once(raw):
    os.truncate("dnase.bw", os.path.getsize("dnase.bw") // 2)
    write_bigwig("h3k27ac.bw", {"chr1": np.ones(10)}, {**SIZES, "chr2": 8_001})
    os.unlink("cage.bw")
    raw["genome"]["name"] = "hg38"
    raw["cell_lines"]["Toy"]["expression"]["RNA"]["column"] = "tpm"
    raw["cell_lines"]["Toy"]["hic"]["normalization"] = "VC"
    raw["folds"]["sets"][1]["test"] = ["chr7"]
    checkups = check(parse_config(raw))
    errors = findings(checkups, "error")
    words = {
        ("", "folds"): "folds.sets.1.test: no gene is in 'chr7'",
        (
            "Toy",
            "h3k27ac",
        ): "h3k27ac.bw: chr2 has 8001 bp but the genome's chr2 has 8000; the file is",
        ("Toy", "dnase"): "dnase.bw: truncated or damaged bigWig",
        ("Toy", "hic"): "contacts.cool: no normalization 'VC' at 500 bp; it has NONE; set hic.norm",
        ("Toy", "CAGE track"): "cage.bw: no such file; correct the path",
        ("Toy", "RNA"): "rna.tsv: no column 'tpm'; the columns are gene_id, rpkm",
    }
    assert errors.keys() == words.keys()
    for key, start in words.items():
        assert errors[key].startswith(start), errors[key]
    assert "by its chromosome sizes it is unknown" in findings(checkups, "warning")["", "genome"]


def test_files_that_are_not_fetched_yet(raw):
    raw["genome"]["fasta"] = {"url": "https://127.0.0.1:9/hg38.fa.gz"}
    raw["cell_lines"]["Toy"]["h3k27ac"] = {"encode": "ENCFF465GBD"}
    shared, checkup = check(parse_config(raw))
    assert shared.get("genome.fasta", "state") == NOT_FETCHED
    assert checkup.get("h3k27ac", "state") == NOT_FETCHED
    # What is there is read, all over its chromosomes.
    assert checkup.get("dnase", "bases") == sum(SIZES.values())
    assert checkup.get("RNA", "state") == "no genes yet"
    assert findings([shared, checkup], "error") == {}
    assert findings([shared], "hint") == {
        ("", "sources"): "2 files are not fetched yet; seq2exp download CONFIG brings them"
    }
    # A fetched copy is used as soon as it is there.
    os.makedirs("out/sources")
    shutil.copy("dnase.bw", "out/sources/cell_lines.Toy.h3k27ac.ENCFF465GBD.bigWig")
    _, checkup = check(parse_config(raw))
    assert checkup.get("h3k27ac", "bases") == sum(SIZES.values())


def test_a_prepared_genome_is_used_if_it_is_this_one(raw, toy):
    folder = "out/reference/toy1"
    os.makedirs(folder)
    for name in ("genome.fa", "chrom.sizes", "genome.fa.fai"):
        shutil.copyfile(name, f"{folder}/{name}")
    with open(f"{folder}/chrom.sizes", "a") as sizes:
        sizes.write("chr4\t100\n")
    config = parse_config(raw)
    assert check(config)[0].get("genome", "chromosomes") == "4"
    raw["genome"]["chromosomes"] = list(SIZES)
    assert check(parse_config(raw))[0].get("genome", "chromosomes") == "3"
    os.utime("raw.fa", (2e9, 2e9))
    assert check(config)[0].get("genome", "chromosomes") == "3"


def test_the_command_prints_writes_and_ends_with_its_code(raw, capsys):
    del raw["assays"]
    with open("my.yaml", "w") as out:
        yaml.safe_dump(raw, out)
    main(["check", "my.yaml", "--table", "check.tsv", "--page", "check.html"])
    printed = capsys.readouterr().out
    assert max(map(len, printed.splitlines())) <= 100
    for words in (
        "Toy ---",
        "genes: 8 kept",
        "CAGE: 8 labels, fold1 train 6",
        "hic: a TSS's bin has ",
    ):
        assert words in printed
    table = read_table("check.tsv", ["cell_line", "item", "figure", "value"])
    assert set(table["figure"]) >= {"covered", "q999", "warning", "hint"}
    with open("check.html") as page:
        assert "CAGE: 8 labels" in page.read()
    os.unlink("cage.bw")
    with pytest.raises(SystemExit) as stop:
        main(["check", "my.yaml"])
    assert stop.value.code == "error: my.yaml: 1 errors, see above; correct them first"
    assert "error: CAGE track: cage.bw: no such file" in capsys.readouterr().out


# --------------------------------------------------------------------------- in the workflow


def toy_reference(toy):
    genes = read_table(toy.path("genes.tsv"))
    return Reference(SIZES, genes, pd.DataFrame({"reason": []}))


def toy_cell_line(toy, name="Toy", **changes):
    files = {"h3k27ac": toy.path("h3k27ac.bw"), "dnase": toy.path("dnase.bw"), "hic": None}
    labels = {"CAGE": LabelInputs(replicates=((toy.path("cage.bw"),),))}
    return CellLine(name, **{**files, "labels": labels, **changes})


def test_jobs_write_tables_a_page_and_their_warnings(toy, tmp_path):
    for name in ("A", "B"):
        warnings = write_check(
            toy_cell_line(toy, name),
            toy_reference(toy),
            toy.window,
            out_table=tmp_path / f"{name}.tsv",
            out_promoters=tmp_path / f"{name}.promoters.tsv",
        )
        # Its noise, gamma(1, 2), is above 0.2 at exp(-0.1) of the bases, of which 1.1% have no data.
        (line,) = warnings
        share = re.fullmatch(rf"warning: {name}: dnase: (\d+\.\d+)% of the bases are .*", line)[1]
        assert float(share) == pytest.approx(100 * np.exp(-0.1) * (1 - 150 / 13_450), abs=1)
        assert "almost everything looks active" in line
    folds = pd.DataFrame({"gene_id": [gene[0] for gene in GENES], "fold1": ["train"] * 8})
    folds.loc[6:, "fold1"] = ["valid", "test"]
    folds.to_csv(tmp_path / "folds.tsv", sep="\t", index=False)
    tables = [tmp_path / f"{name}.tsv" for name in ("A", "B")]
    promoters = [tmp_path / f"{name}.promoters.tsv" for name in ("A", "B")]
    outputs = {"out_table": tmp_path / "check.tsv", "out_page": tmp_path / "check.html"}
    new = write_all_checks(tables, promoters, tmp_path / "folds.tsv", [1], **outputs)
    assert new == [
        f"warning: {name}: CAGE: fold 1: only {count} genes of {split} have a label, too few to rely on"
        for name in ("A", "B")
        for split, count in (("train", 6), ("valid", 1), ("test", 1))
    ]
    both = read_checkups(tmp_path / "check.tsv")
    assert [checkup.get("CAGE", "fold1 train") for checkup in both] == [6, 6]
    assert read_table(promoters[0]).columns.tolist() == [
        "gene_id",
        "h3k27ac",
        "dnase",
        "label_CAGE",
    ]


def test_errors_stop_the_job_in_one_line(toy, tmp_path):
    cell_line = toy_cell_line(
        toy,
        dnase=tmp_path / "no.bw",
        labels={"CAGE": LabelInputs(table=toy.path("rna.tsv"), column=("tpm",))},
    )
    outputs = {"out_table": tmp_path / "t.tsv", "out_promoters": tmp_path / "p.tsv"}
    with pytest.raises(UserError, match=r"^Toy: dnase: .*no\.bw: no such file.*; Toy: CAGE: "):
        write_check(cell_line, toy_reference(toy), toy.window, **outputs)
    assert list(tmp_path.iterdir()) == []


# --------------------------------------------------------------------------- measured data


@pytest.fixture(scope="module")
def measured(realdata, tmp_path_factory):
    """Check a cell line's labels against given tracks: its own, or those moved by 100 kb."""
    genes = read_table(realdata / "genes.tsv").query("chrom == 'chr20'").reset_index(drop=True)
    reference = Reference({"chr20": 63_025_520}, genes, pd.DataFrame({"reason": []}))
    window = WindowConfig(length=20_000)
    folder = tmp_path_factory.mktemp("moved")

    def moved(cell_line, assay):
        out = folder / f"{cell_line}.{assay}.bw"
        if not out.exists():
            with pyBigWig.open(str(realdata / f"{cell_line}.{assay}.bw")) as track:
                rows = [
                    (s + 100_000, min(e + 100_000, 63_025_520), v)
                    for s, e, v in track.intervals("chr20")
                    if s + 100_000 < 63_025_520
                ]
            with pyBigWig.open(str(out), "w") as track:
                track.addHeader([("chr20", 63_025_520)])
                starts, ends, values = map(list, zip(*rows, strict=True))
                track.addEntries(["chr20"] * len(rows), starts, ends=ends, values=values)
        return out

    def run(labels_of, tracks_of, *, shifted=False):
        own = moved if shifted else lambda name, assay: realdata / f"{name}.{assay}.bw"
        expression = realdata / f"{labels_of}.expression.tsv"
        labels = {"CAGE": LabelInputs(table=expression, column=("cage_tpm_384bp",))}
        tracks = [own(tracks_of, assay) for assay in ("H3K27ac", "DNase")]
        cell_line = CellLine(labels_of, *tracks, None, labels)
        return check_cell_line(cell_line, reference, window)

    return run


@pytest.mark.parametrize("name", ["K562", "GM12878"])
def test_measured_tracks_go_with_their_labels(measured, name):
    checkup, _ = measured(name, name)
    assert checkup.get("h3k27ac", "assembly") == "hg19"
    assert 0.75 < checkup.get("CAGE", "rho_h3k27ac") < 0.9
    assert 0.7 < checkup.get("CAGE", "rho_dnase") < 0.8
    assert findings([checkup], "error", "warning") == {}
    assert "whole numbers" in findings([checkup], "hint")[name, "dnase"]


def test_tracks_100_kb_off_are_found(measured):
    checkup, _ = measured("GM12878", "K562", shifted=True)
    assert abs(checkup.get("CAGE", "rho_h3k27ac")) < 0.15
    assert abs(checkup.get("CAGE", "rho_dnase")) < 0.15
    assert checkup.get("dnase", "at_tss") < 2
    warning = findings([checkup], "warning")["GM12878", "CAGE"]
    assert "labels and tracks are probably of different assemblies or cell lines" in warning


def test_swapped_cell_lines_are_found_only_side_by_side(measured):
    swapped = [measured("K562", "GM12878"), measured("GM12878", "K562")]
    checkups = [checkup for checkup, _ in swapped]
    assert findings(checkups, "error", "warning") == {}
    promoters: list[Promoters] = [found for _, found in swapped]
    compare_cell_lines(promoters, checkups)
    assert findings(checkups, "warning").keys() == {("K562", "CAGE"), ("GM12878", "CAGE")}
