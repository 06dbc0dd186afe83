"""From the sources of a config to files: which are fetched, and under which names."""

from pathlib import Path

import pytest

from seq2exp.config import parse_config
from seq2exp.source_config import Source
from seq2exp.sources import described, local_path, plan_sources, source_filename

QUERY = {"biosample": "K562", "assay": "DNase"}
TABLE = {"url": "https://x.org/labels.zip", "member": "labels.csv"}


def config(**cell_line):
    tracks = {"h3k27ac": {"path": "a.bw"}, "dnase": {"encode": "ENCFF414OGC"}}
    label = {"table": TABLE, "column": "x"}
    return parse_config(
        {
            "results": "out/",
            "genome": {
                "name": "hg38",
                "fasta": {"url": "https://x.org/hg38.fa.gz", "md5": "0" * 32},
                "genes": {"path": "genes.tsv"},
            },
            "cell_lines": {
                "A": tracks | {"expression": {"CAGE": label}} | cell_line,
                "B": tracks | {"expression": {"CAGE": label}},
            },
            "models": {"signal_linear": {}},
        }
    )


def test_the_plan_of_a_config():
    paths, fetched = plan_sources(config())
    labels = "out/sources/cell_lines.A.expression.CAGE.table.labels.csv"
    dnase = "out/sources/cell_lines.A.dnase.ENCFF414OGC.bigWig"
    assert paths == {
        "genome.fasta": "out/sources/genome.fasta.hg38.fa.gz",
        "genome.genes": "genes.tsv",
        "cell_lines.A.h3k27ac": "a.bw",
        "cell_lines.B.h3k27ac": "a.bw",
        "cell_lines.A.dnase": dnase,
        "cell_lines.B.dnase": dnase,
        "cell_lines.A.expression.CAGE.table": labels,
        "cell_lines.B.expression.CAGE.table": labels,
    }
    assert list(fetched) == [
        Path(path).name for path in ("x/genome.fasta.hg38.fa.gz", dnase, labels)
    ]
    shared = fetched["cell_lines.A.dnase.ENCFF414OGC.bigWig"]
    assert shared.keys == ("cell_lines.A.dnase", "cell_lines.B.dnase")
    assert shared.path == Path(dnase)


def test_how_a_map_is_read_makes_no_other_file_but_what_it_must_be_does():
    url = {"url": "https://x.org/a.hic"}
    one = plan_sources(config(hic=url | {"resolution": 5000}))
    other = plan_sources(config(hic=url | {"resolution": 10_000, "normalization": "KR"}))
    assert one == other
    twin = config(h3k27ac={"encode": "ENCFF414OGC"}, dnase={"encode": "ENCFF414OGC", "bytes": 7})
    names = [name for name in plan_sources(twin).fetched if "ENCFF414OGC" in name]
    assert names == [
        "cell_lines.A.h3k27ac.ENCFF414OGC.bigWig",
        "cell_lines.A.dnase.ENCFF414OGC.bigWig",
    ]


@pytest.mark.parametrize(
    ("key", "source", "expected"),
    [
        ("a.b", {"url": "https://x.org/a/hg38.fa.gz?sig=/..%2f"}, "a.b.hg38.fa.gz"),
        ("a.b", {"url": "https://x.org/z.zip", "member": "deep/../t x.csv"}, "a.b.t_x.csv"),
        ("a.b", {"url": "https://x.org/.."}, "a.b"),
        ("a.b", {"url": "https://x.org/a%2F..%2Fb;rm -rf"}, "a.b.a_2F.._2Fb_rm_-rf"),
        ("a.b", {"path": "..\\..\\x.zip", "member": "..\\evil"}, "a.b.evil"),
        ("a.b", {"url": f"https://x.org/{'x' * 300}.bw"}, f"a.b.{'x' * 97}.bw"),
        ("../x", {"url": "https://x.org/a"}, "_x.a"),
        ("c.dnase", {"encode": "ENCFF465GBD"}, "c.dnase.ENCFF465GBD.bigWig"),
        ("c.bigwig.0", {"encode": "ENCFF465GBD"}, "c.bigwig.0.ENCFF465GBD.bigWig"),
        ("g.blacklist", {"encode": "ENCFF465GBD"}, "g.blacklist.ENCFF465GBD.bed.gz"),
        ("c.RNA.table", {"encode": "ENCFF465GBD"}, "c.RNA.table.ENCFF465GBD.tsv"),
        (
            "e.references.hic",
            {"encode": "ENCFF420VPZ"},
            "e.references.hic.ENCFF420VPZ.bed.gz",
        ),
        (
            "c.crispri",
            {"encode": "ENCFF420VPZ"},
            "c.crispri.ENCFF420VPZ.tsv",
        ),
        ("c.predictions.hic", {"encode": "ENCFF420VPZ"}, "c.predictions.hic.ENCFF420VPZ.tsv"),
        ("c.hic", {"fourdn": "4DNFITUOMFUQ"}, "c.hic.4DNFITUOMFUQ.hic"),
        ("c.hic", {"encode": QUERY | {"assay": "Hi-C"}}, "c.hic.hic"),
        ("c.dnase", {"encode": QUERY}, "c.dnase.bigWig"),
        ("c.0", {"fantom5": "CNhs12334", "strand": "-"}, "c.0.CNhs12334.rev.bigWig"),
    ],
)
def test_file_names_are_safe_and_tell_what_it_is(key, source, expected):
    assert source_filename(key, Source(**source)) == expected


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ({"path": "a b.bw"}, "a b.bw"),
        ({"url": "https://x.org/a"}, "https://x.org/a"),
        ({"encode": "ENCFF465GBD"}, "encode ENCFF465GBD"),
        ({"encode": QUERY}, "encode biosample: K562, assay: DNase"),
        ({"fantom5": "CNhs12334", "strand": "-"}, "fantom5 CNhs12334-"),
    ],
)
def test_where_it_comes_from_in_words(source, expected):
    assert described(Source(**source)) == expected


def test_local_paths():
    assert local_path(Source(path="a b.bw")) == Path("a b.bw")
    assert local_path(Source(url="file://./a%20b.bw")) == Path("a b.bw")
    assert local_path(Source(url="file:///a/b.bw")) == Path("/a/b.bw")
    assert local_path(Source(url="https://x.org/a")) is None
    assert local_path(Source(encode="ENCFF465GBD")) is None
