"""From config keys to paths: what is fetched, under which name, and how labels are read."""

import copy
from pathlib import Path

from seq2exp.config import parse_config
from seq2exp.expression import LabelInputs
from seq2exp.inputs import called_peaks, hic_settings, label_files, label_settings, peaks_file
from seq2exp.sources import plan_sources

SHARED = {"url": "https://host/labels.zip", "member": "t.csv"}
RAW = {
    "results": "out/",
    "genome": {"name": "toy", "fasta": {"path": "g.fa"}, "genes": {"path": "genes.tsv"}},
    "assays": ["CAGE", "RNA"],
    "cell_lines": {
        "A": {
            "h3k27ac": {"path": "a.bw"},
            "dnase": {"encode": "ENCFF414OGC"},
            "hic": {"url": "https://host/m.hic", "resolution": 1000},
            "expression": {
                "CAGE": {
                    "replicates": [
                        {"forward": {"path": "f.bw"}, "reverse": {"url": "https://host/r.bw"}},
                        {"path": "both.bw"},
                    ],
                    "span": 100,
                },
                "RNA": {"table": SHARED, "column": ["x", "y"], "id_kind": "gene_name"},
            },
        },
        "B": {
            "h3k27ac": {"path": "b.zip", "member": "b.bw"},
            "dnase": {"path": "b2.bw"},
            "expression": {
                "CAGE": {"bigwig": {"path": "b3.bw"}},
                "RNA": {"table": SHARED, "column": "z", "transform": "none"},
            },
        },
    },
    "models": {"caduceus": {}},
}


def test_local_files_stay_and_shared_ones_are_fetched_once():
    paths, fetched = plan_sources(parse_config(RAW))
    assert paths["cell_lines.A.h3k27ac"] == "a.bw"
    assert paths["cell_lines.A.dnase"] == "out/sources/cell_lines.A.dnase.ENCFF414OGC.bigWig"
    assert paths["cell_lines.B.h3k27ac"] == "out/sources/cell_lines.B.h3k27ac.b.bw"
    table = "cell_lines.A.expression.RNA.table.t.csv"
    assert paths["cell_lines.A.expression.RNA.table"] == f"out/sources/{table}"
    assert paths["cell_lines.B.expression.RNA.table"] == f"out/sources/{table}"
    assert len(fetched) == 5
    assert fetched[table].key == "cell_lines.A.expression.RNA.table"
    assert fetched["cell_lines.A.hic.m.hic"].source.url == "https://host/m.hic"


def test_peaks_are_given_called_or_absent():
    raw = copy.deepcopy(RAW)
    raw["cell_lines"]["A"]["peaks"] = {"url": "https://host/p.bed.gz"}
    raw["cell_lines"]["B"]["peaks"] = {"macs3": {"cutoff": 0.2}}
    raw["cell_lines"]["C"] = RAW["cell_lines"]["B"]
    config = parse_config(raw)
    paths = plan_sources(config).paths
    assert [peaks_file(config, paths, name) for name in "ABC"] == [
        "out/sources/cell_lines.A.peaks.p.bed.gz",
        "out/peaks/B.narrowPeak",
        None,
    ]
    assert called_peaks(config) == {"B": {"cutoff": 0.2, "min_length": 200, "max_gap": 30}}
    query = {"encode": {"biosample": "K562", "assay": "DNase"}}
    raw["cell_lines"]["A"]["peaks"] = query
    assert plan_sources(parse_config(raw)).paths["cell_lines.A.peaks"].endswith("peaks.bed.gz")


def test_label_settings_are_those_of_label_inputs():
    config = parse_config(RAW)
    paths = plan_sources(config).paths
    settings = label_settings(config, paths, "A")
    reverse = Path("out/sources/cell_lines.A.expression.CAGE.replicates.0.reverse.r.bw")
    table = Path("out/sources/cell_lines.A.expression.RNA.table.t.csv")
    assert LabelInputs(**settings["CAGE"]) == LabelInputs(
        replicates=((Path("f.bw"), reverse), (Path("both.bw"),)), span=100
    )
    assert LabelInputs(**settings["RNA"]) == LabelInputs(
        table=table, column=("x", "y"), id_kind="gene_name"
    )
    assert label_files(settings) == [Path("f.bw"), reverse, Path("both.bw"), table]
    settings = label_settings(config, paths, "B")
    assert LabelInputs(**settings["CAGE"]) == LabelInputs(replicates=((Path("b3.bw"),),))
    assert settings["RNA"]["transform"] == "none"


def test_hic_settings():
    config = parse_config(RAW)
    assert hic_settings(config, "A") == {
        "resolution": 1000,
        "normalization": "VC",
        "missing_normalization": "error",
        "missing_chromosome": "error",
    }
    assert hic_settings(config, "B") is None
