"""Accessions, queries and libraries all the way to files, from a server on this machine."""

import hashlib
import json
import shutil

import pytest
import yaml

from seq2exp.config import parse_config
from seq2exp.downloads.all_files import download_sources
from seq2exp.downloads.fetch import fetch
from seq2exp.downloads.origin import depot_of
from seq2exp.errors import UserError
from seq2exp.sources import plan_sources

CONTENT = {"ENCFF111AAA": "H3K27ac", "4DNFIFI6NIKJ": "contacts", "fwd": "plus", "rev": "minus"}

CONFIG = """
results: out
downloads: {retries: 0}
genome: {name: hg38, fasta: {path: g.fa}, annotation: {path: g.gtf}}
models: {caduceus: {}}
cell_lines:
  H1:
    h3k27ac: {encode: {biosample: H1, assay: H3K27ac}}
    dnase: {path: dnase.bw}
    hic: {fourdn: 4DNFIFI6NIKJ}
    expression: {CAGE: {bigwig: {fantom5: CNhs14067}}}
"""


@pytest.fixture
def served(portal, monkeypatch, tmp_path):
    """Portals that describe the files of CONTENT, and serve them."""
    monkeypatch.chdir(tmp_path)
    record = {
        "accession": "ENCFF111AAA",
        "assembly": "GRCh38",
        "file_format": "bigWig",
        "output_type": "signal p-value",
        "status": "released",
        **published(portal, "ENCFF111AAA"),
        "cloud_metadata": {"url": f"{portal.url}/bytes/ENCFF111AAA"},
    }
    portal.answers = {
        "/search/": {"@graph": [{"accession": "ENCSR1", "files": [record]}]},
        "/files/ENCFF111AAA/": record,
        "/files-processed/4DNFIFI6NIKJ/": {
            "accession": "4DNFIFI6NIKJ",
            "genome_assembly": "GRCh38",
            **published(portal, "4DNFIFI6NIKJ"),
            "open_data_url": f"{portal.url}/bytes/4DNFIFI6NIKJ",
        },
        "/datahub/hg38/trackDb.txt": "".join(
            f"bigDataUrl {portal.url}/ctss/H1.CNhs14067.x.hg38.ctss.{strand}.bw\n"
            for strand in ("fwd", "rev")
        ),
    }
    for name in ("ENCFF111AAA", "4DNFIFI6NIKJ"):
        portal.answers[f"/bytes/{name}"] = CONTENT[name]
    for strand in ("fwd", "rev"):
        portal.answers[f"/ctss/H1.CNhs14067.x.hg38.ctss.{strand}.bw"] = CONTENT[strand]
    return portal


def published(portal, name):
    content = CONTENT[name].encode()
    return {"file_size": len(content), "md5sum": hashlib.md5(content).hexdigest()}


def plan(**changes):
    config = parse_config({**yaml.safe_load(CONFIG), **changes})
    return config, plan_sources(config)


def contents():
    return {key: path.read_text() for key, path in fetched().items()}


def fetched():
    files = plan()[1].fetched.values()
    return {key: file.path for file in files for key in file.keys}


def test_everything_is_fetched_pinned_and_entered(served, tmp_path):
    download_sources(plan()[0], jobs=1)
    line = "cell_lines.H1"
    assert contents() == {
        f"{line}.h3k27ac": "H3K27ac",
        f"{line}.hic": "contacts",
        f"{line}.expression.CAGE.bigwig.forward": "plus",
        f"{line}.expression.CAGE.bigwig.reverse": "minus",
    }
    pinned = json.loads((tmp_path / "sources.lock.json").read_text())["sources"]
    assert sorted(pinned) == [
        "4dn:4DNFIFI6NIKJ",
        "encode:assay=H3K27ac,assembly=GRCh38,biosample=H1,file_format=bigWig",
        "fantom5:CNhs14067,strand=+,assembly=GRCh38",
        "fantom5:CNhs14067,strand=-,assembly=GRCh38",
    ]
    assert {entry["extra"]["accession"] for entry in pinned.values()} == {
        "ENCFF111AAA",
        "4DNFIFI6NIKJ",
        "CNhs14067",
    }
    manifest = (tmp_path / "out/sources/manifest.tsv").read_text()
    assert "ENCODE, free to use; cite the accession" in manifest
    assert manifest.count("cite Forrest et al. 2014") == 2


def test_a_second_run_asks_nobody_and_another_machine_gets_the_same(served, tmp_path):
    download_sources(plan()[0], jobs=1)
    before, asked = contents(), len(served.asked)
    download_sources(plan()[0], jobs=1)
    config, again = plan(offline=True)
    for file in again.fetched.values():
        fetch(file, depot_of(config))
    assert len(served.asked) == asked
    # Another machine has the lock file only: it asks for the files, and no portal.
    shutil.rmtree(tmp_path / "out")
    for path in list(served.answers):
        if not path.startswith(("/bytes/", "/ctss/")):
            del served.answers[path]
    download_sources(plan()[0], jobs=1)
    assert contents() == before
    assert [path for path in served.asked[asked:] if "?" in path or "trackDb" in path] == []


def test_other_bytes_than_the_record_says(served):
    served.answers["/bytes/ENCFF111AAA"] = "H3K27xx"
    config, files = plan()
    file = next(file for file in files.fetched.values() if file.key.endswith("h3k27ac"))
    with pytest.raises(UserError, match=r"cell_lines\.H1\.h3k27ac: http.*md5 is [0-9a-f]{32}, but"):
        fetch(file, depot_of(config))
    assert not file.path.exists()


def test_offline_with_nothing_here(served):
    config, files = plan(offline=True)
    for file in files.fetched.values():
        with pytest.raises(UserError, match=r"^cell_lines\.H1\.\S+: .*offline"):
            fetch(file, depot_of(config))
    assert served.asked == []
