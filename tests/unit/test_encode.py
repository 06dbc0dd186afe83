"""ENCODE files by accession and by query, against a portal on this machine.

The records have the fields of ENCODE's file and experiment schemas that are read here.
"""

import json
import logging

import pytest

from seq2exp import encode
from seq2exp.errors import UserError
from seq2exp.lockfile import SourceLock
from seq2exp.resolve import file_format, lock_key, resolve
from seq2exp.source_config import Source

KEY = "cell_lines.K562.h3k27ac"
PVALUE, FOLD = "signal p-value", "fold change over control"
NORMALIZED = "read-depth normalized signal"


def file_record(accession="ENCFF465GBD", **changes):
    """One file as ``/files/{accession}/?format=json`` describes it."""
    record = {
        "@id": f"/files/{accession}/",
        "@type": ["File", "Item"],
        "accession": accession,
        "alternate_accessions": [],
        "assay_title": "Histone ChIP-seq",
        "assembly": "GRCh38",
        "biological_replicates": [1, 2],
        "biosample_ontology": {"term_name": "K562", "classification": "cell line"},
        "cloud_metadata": {
            "url": f"https://encode-public.s3.amazonaws.com/2020/11/18/0/{accession}.bigWig",
            "md5sum_base64": "",
            "file_size": 1_000,
        },
        "dataset": "/experiments/ENCSR000AKP/",
        "date_created": "2020-11-18T10:00:00.000000+00:00",
        "file_format": "bigWig",
        "file_size": 1_000,
        "href": f"/files/{accession}/@@download/{accession}.bigWig",
        "md5sum": "0" * 31 + "1",
        "no_file_available": False,
        "output_type": PVALUE,
        "preferred_default": True,
        "status": "released",
        "superseded_by": [],
        "target": {"label": "H3K27ac"},
    }
    return record | changes


def experiment(*files, accession="ENCSR000AKP"):
    return {"@id": f"/experiments/{accession}/", "accession": accession, "files": list(files)}


@pytest.fixture
def ask(portal, tmp_path):
    """Resolve a source with a lock file and kept answers in the test's folder."""

    def ask(wanted, key=KEY, assembly="hg38", offline=False):
        return resolve(
            Source(encode=wanted),
            key=key,
            assembly=assembly,
            cache_dir=tmp_path / "answers",
            lock=SourceLock(tmp_path / "sources.lock.json"),
            offline=offline,
        )

    return ask


def offers(portal, *experiments):
    """Let a search find experiments, and every file of theirs have a record of its own."""
    portal.answers["/search/"] = {"@graph": list(experiments)}
    for one in experiments:
        for file in one["files"]:
            portal.answers[f"/files/{file['accession']}/"] = file


# --------------------------------------------------------------------------- by accession


def test_accession(portal, ask):
    portal.answers["/files/ENCFF465GBD/"] = file_record()
    found = ask("ENCFF465GBD")
    assert found.url == ("https://encode-public.s3.amazonaws.com/2020/11/18/0/ENCFF465GBD.bigWig")
    assert (found.bytes, found.md5) == (1_000, "0" * 31 + "1")
    assert (found.accession, found.assembly, found.status) == ("ENCFF465GBD", "GRCh38", "released")
    assert (found.output_type, found.file_format) == (PVALUE, "bigWig")
    assert (found.experiment, found.biosample, found.assay) == ("ENCSR000AKP", "K562", "H3K27ac")
    assert "cite" in found.citation
    assert portal.asked == ["/files/ENCFF465GBD/?format=json"]


def test_without_a_public_bucket_the_portal_serves_it(portal, ask):
    portal.answers["/files/ENCFF465GBD/"] = file_record(
        cloud_metadata=None, dataset={"accession": "ENCSR000AKP"}, biosample_ontology=None
    )
    found = ask("ENCFF465GBD")
    assert found.url == f"{portal.url}/files/ENCFF465GBD/@@download/ENCFF465GBD.bigWig"
    assert (found.experiment, found.biosample) == ("ENCSR000AKP", None)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (
            {"status": "revoked", "superseded_by": ["/files/ENCFF111AAA/"]},
            "ENCFF465GBD is revoked: ENCODE found an error in it; use ENCFF111AAA instead",
        ),
        (
            {"status": "archived", "superseded_by": [{"accession": "ENCFF111AAA"}]},
            "is archived: a newer analysis took its place; use ENCFF111AAA instead",
        ),
        (
            {"status": "archived", "superseded_by": ["/files/ENCFF111AAA/", "/files/ENCFF222AAA/"]},
            "use ENCFF111AAA or ENCFF222AAA instead",
        ),
        ({"status": "revoked"}, "its record names no replacement"),
        ({"superseded_by": ["/files/ENCFF111AAA/"]}, "a newer file is ENCFF111AAA"),
    ],
)
def test_an_outdated_file_is_used_and_said_aloud_every_time(portal, ask, caplog, changes, expected):
    portal.answers["/files/ENCFF465GBD/"] = file_record(**changes)
    for _ in range(2):
        caplog.clear()
        assert ask("ENCFF465GBD").accession == "ENCFF465GBD"
        (warning,) = [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING]
        assert warning.startswith(f"{KEY}: ")
        assert expected in warning
    assert len(portal.asked) == 1


def test_another_kind_of_signal_is_said_aloud(portal, ask, caplog):
    portal.answers["/files/ENCFF465GBD/"] = file_record(output_type=FOLD)
    ask("ENCFF465GBD")
    assert f"ENCFF465GBD holds {FOLD}, the paper's track {PVALUE}; masks read" in caplog.text
    caplog.clear()
    portal.answers["/files/ENCFF414OGC/"] = file_record("ENCFF414OGC", output_type=NORMALIZED)
    ask("ENCFF414OGC", key="cell_lines.K562.dnase")
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


def test_a_merged_accession(portal, ask, caplog):
    portal.answers["/files/ENCFF465GBD/"] = file_record("ENCFF111AAA")
    assert ask("ENCFF465GBD").accession == "ENCFF111AAA"
    assert "ENCODE file ENCFF465GBD was merged into ENCFF111AAA, which is used" in caplog.text


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"assembly": "hg19"},
            r"ENCODE file ENCFF465GBD is on hg19, but the genome is GRCh38; give the file on GRCh38",
        ),
        ({"file_format": "bed"}, r"ENCFF465GBD is bed, not bigWig; give another file"),
        ({"status": "in progress"}, r"is not released \(status: in progress\)"),
        ({"status": "deleted"}, r"is not released \(status: deleted\)"),
        ({"no_file_available": True}, "is not open to the public"),
        ({"restricted": True}, "is not open to the public"),
        ({"md5sum": None}, "its record has no size or checksum; give the file by url"),
    ],
)
def test_a_file_that_cannot_be_used(portal, ask, tmp_path, changes, message):
    portal.answers["/files/ENCFF465GBD/"] = file_record(**changes)
    with pytest.raises(UserError, match=message) as caught:
        ask("ENCFF465GBD")
    assert str(caught.value).startswith(f"{KEY}: ")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "sources.lock.json").exists()


def test_no_such_accession(ask):
    with pytest.raises(UserError, match=r"ENCODE has no file ENCFF465GBD; correct the accession"):
        ask("ENCFF465GBD")


def test_assembly_follows_the_genome(portal, ask):
    portal.answers["/files/ENCFF465GBD/"] = file_record(assembly="hg19")
    assert ask("ENCFF465GBD", assembly="GRCh37").assembly == "hg19"
    portal.answers["/files/ENCFF111AAA/"] = file_record("ENCFF111AAA", assembly="hg19")
    assert ask("ENCFF111AAA", assembly="of_my_own").assembly == "hg19"  # nothing to compare with


def test_a_refusal_and_an_answer_that_is_not_json(portal, ask):
    portal.answers["/files/ENCFF465GBD/"] = (403, {"status": "error"})
    with pytest.raises(UserError, match=r"/files/ENCFF465GBD/\?format=json answered 403; check"):
        ask("ENCFF465GBD")
    portal.answers["/files/ENCFF465GBD/"] = "<!DOCTYPE html>"
    with pytest.raises(UserError, match=r"did not answer with JSON \('<!DOCTYPE html>'\)"):
        ask("ENCFF465GBD")
    portal.answers["/files/ENCFF465GBD/"] = [[1]]
    with pytest.raises(UserError, match="did not answer with JSON"):
        ask("ENCFF465GBD")


# --------------------------------------------------------------------------- by query

QUERY = {"biosample": "K562", "assay": "H3K27ac"}


def test_query_asks_for_what_is_measured(portal, ask):
    offers(portal, experiment(file_record()))
    assert ask(QUERY).accession == "ENCFF465GBD"
    asked = portal.parameters(0)
    assert {name: asked[name] for name in asked if name != "field"} == {
        "type": ["Experiment"],
        "status": ["released"],
        "perturbed": ["false"],
        "assay_title": ["Histone ChIP-seq"],
        "target.label": ["H3K27ac"],
        "biosample_ontology.term_name": ["K562"],
        "limit": ["all"],
        "format": ["json"],
    }
    assert {"files.output_type", "files.preferred_default"} <= set(asked["field"])
    assert portal.asked[1:] == ["/files/ENCFF465GBD/?format=json"]


@pytest.mark.parametrize(
    ("assay", "key", "titles"),
    [
        ("DNase", "cell_lines.K.dnase", ["DNase-seq"]),
        ("ATAC", "cell_lines.K.dnase", ["ATAC-seq"]),
        ("RNA", "cell_lines.K.expression.RNA.table", ["polyA plus RNA-seq", "total RNA-seq"]),
        ("Hi-C", "cell_lines.K.hic", ["intact Hi-C", "in situ Hi-C", "dilution Hi-C"]),
    ],
)
def test_every_assay_has_its_format_and_output_types(portal, ask, assay, key, titles):
    form = file_format(key)
    best = encode.ASSAYS[assay].output_types[form][0]
    offers(
        portal,
        experiment(
            file_record("ENCFF111AAA", file_format=form, output_type=best),
            file_record("ENCFF222AAA", file_format=form, output_type="another"),
            file_record("ENCFF333AAA", file_format="bam", output_type=best),
        ),
    )
    found = ask({"biosample": "K", "assay": assay}, key=key)
    assert (found.accession, found.output_type) == ("ENCFF111AAA", best)
    assert portal.parameters(0)["assay_title"] == titles


A, B, C = "ENCFF111AAA", "ENCFF222AAA", "ENCFF333AAA"


@pytest.mark.parametrize(
    ("first", "second", "criterion"),
    [
        # The losing file is better in every criterion that counts less.
        (
            {"output_type": PVALUE, "preferred_default": False, "biological_replicates": [1]},
            {"output_type": FOLD, "date_created": "2024-01-01"},
            "second by output type: ",
        ),
        (
            {"preferred_default": True, "biological_replicates": [1]},
            {"preferred_default": False, "date_created": "2024-01-01"},
            "second by preferred_default: ",
        ),
        (
            {"biological_replicates": [1, 2]},
            {"biological_replicates": [1], "date_created": "2024-01-01"},
            "second by replicates: ",
        ),
        ({"date_created": "2024-01-02"}, {"date_created": "2024-01-01"}, "for its date; give an"),
        ({}, {}, "for its accession; give an"),
    ],
)
@pytest.mark.parametrize("backwards", [False, True])
def test_one_order_whatever_the_portals(portal, ask, caplog, first, second, criterion, backwards):
    # By accession alone the second would win, unless that is what is tested.
    names = (A, B) if not first else (B, A)
    files = [file_record(names[0], **first), file_record(names[1], **second)]
    offers(portal, experiment(*(files[::-1] if backwards else files)))
    with caplog.at_level(logging.INFO):
        assert ask(QUERY).accession == names[0]
    assert criterion in caplog.text
    assert f"{KEY}: {names[0]} (signal p-value, " in caplog.text


def test_equal_candidates_are_named(portal, ask, caplog):
    equal = [file_record(name) for name in (C, A, B)]
    offers(
        portal,
        experiment(*equal[:2]),
        experiment(equal[2], file_record("ENCFF000AAA", output_type=FOLD), accession="ENCSR1"),
    )
    assert ask(QUERY).accession == A
    assert f"{A} ranks equal with {B}, {C} and is taken for its accession" in caplog.text


def test_files_that_are_no_candidates(portal, ask):
    offers(
        portal,
        experiment(
            file_record("ENCFF000AAA", status="archived"),
            file_record("ENCFF000BBB", assembly="hg19"),
            file_record("ENCFF000CCC", file_format="bed"),
            file_record("ENCFF000DDD", no_file_available=True),
            file_record("ENCFF000EEE", restricted=True),
            file_record("ENCFF000FFF", output_type="signal"),
            file_record(B),
        ),
    )
    assert ask(QUERY).accession == B


def test_query_for_an_output_type_and_an_assembly(portal, ask):
    offers(
        portal,
        experiment(
            file_record(A),
            file_record(B, output_type=FOLD),
            file_record(C, output_type=FOLD, assembly="hg19"),
        ),
    )
    assert ask(QUERY | {"output_type": FOLD}).accession == B
    assert ask(QUERY | {"output_type": FOLD, "assembly": "hg19"}, assembly="x").accession == C


def test_nothing_fits(portal, ask):
    with pytest.raises(
        UserError, match=r"no released experiment H3K27ac of 'K562'; check encode\."
    ):
        ask(QUERY)
    offers(
        portal,
        experiment(
            file_record(A, file_format="fastq", assembly=None),
            file_record(B, file_format="fastq", assembly=None),
            file_record(C, assembly="hg19"),
        ),
        experiment(accession="ENCSR1"),
    )
    with pytest.raises(UserError) as caught:
        ask(QUERY)
    assert str(caught.value) == (
        f"{KEY}: ENCODE has no released bigWig ({PVALUE} or {FOLD}) on GRCh38 for H3K27ac of "
        f"'K562'; its 2 experiments have bigWig {PVALUE} on hg19 (1), fastq (2); change the query, "
        "or give a file by accession, url or path"
    )
    offers(portal, experiment())
    with pytest.raises(UserError, match=r"its 1 experiments have no public file; change"):
        ask(QUERY)


def test_queries_that_make_no_sense(ask, portal):
    with pytest.raises(UserError, match=r"encode\.assay RNA has no bigWig for this use"):
        ask({"biosample": "K562", "assay": "RNA"})
    with pytest.raises(
        UserError, match=r"the assembly of genome\.name is unknown; set encode\.ass"
    ):
        ask(QUERY, assembly="of_my_own")
    assert portal.asked == []


def test_peaks_are_found_by_the_key_that_asks_for_them(portal, ask):
    peaks = {"file_format": "bed", "output_type": "peaks"}
    signal = {"output_type": NORMALIZED}
    footprints = {"file_format": "bed", "output_type": "footprints"}
    offers(
        portal,
        experiment(
            *(file_record(A, **signal), file_record(B, **peaks)), file_record(C, **footprints)
        ),
    )
    query = {"biosample": "K562", "assay": "DNase"}
    assert ask(query, key="cell_lines.K562.peaks").accession == B
    assert ask(query, key="cell_lines.K562.dnase").accession == A


def test_the_largest_contact_maps_are_left_out(portal, ask, monkeypatch):
    monkeypatch.setattr(encode, "HIC_LIMIT", 10_000)
    query = {"biosample": "K562", "assay": "Hi-C"}
    matrix = {"file_format": "hic", "output_type": "mapping quality thresholded contact matrix"}
    large = file_record(A, **matrix, file_size=20_000)
    offers(portal, experiment(large, file_record(B, **matrix, preferred_default=False)))
    assert ask(query, key="cell_lines.K562.hic").accession == B
    offers(portal, experiment(large))
    with pytest.raises(UserError, match=rf"every contact map .* \(the smallest: {A}, 0 GB\); give"):
        ask(query | {"biosample": "H1"}, key="cell_lines.H1.hic")


# --------------------------------------------------------------------------- again, and offline


def test_a_second_run_asks_nobody(portal, ask, tmp_path):
    offers(portal, experiment(file_record()))
    first = ask(QUERY), ask("ENCFF465GBD")
    asked = len(portal.asked)
    offers(portal, experiment(file_record("ENCFF000AAA")))  # what a search would find now
    assert (ask(QUERY), ask("ENCFF465GBD")) == first
    assert (ask(QUERY, offline=True), ask("ENCFF465GBD", offline=True)) == first
    assert len(portal.asked) == asked
    content = json.loads((tmp_path / "sources.lock.json").read_text())
    assert sorted(content["sources"]) == [
        "encode:ENCFF465GBD",
        "encode:assay=H3K27ac,assembly=GRCh38,biosample=K562,file_format=bigWig",
    ]
    assert content["sources"]["encode:ENCFF465GBD"]["extra"]["output_type"] == PVALUE


def test_another_question_is_asked_anew(portal, ask):
    offers(portal, experiment(file_record(), file_record(B, output_type=FOLD)))
    assert ask(QUERY).accession == "ENCFF465GBD"
    assert ask(QUERY | {"output_type": FOLD}).accession == B
    assert len(portal.asked) == 4


def test_a_query_is_one_entry_wherever_it_stands():
    one, other = (
        lock_key(Source(encode=QUERY), key=f"cell_lines.{name}.h3k27ac", assembly=genome)
        for name, genome in (("A", "hg38"), ("B", "GRCh38"))
    )
    assert one == other
    as_table = lock_key(Source(encode=QUERY), key="x.table", assembly="hg38")
    assert as_table != one


def test_offline_with_kept_answers_only(portal, ask, tmp_path):
    offers(portal, experiment(file_record()))
    found = ask(QUERY)
    (tmp_path / "sources.lock.json").unlink()
    asked = len(portal.asked)
    assert ask(QUERY, offline=True) == found
    assert len(portal.asked) == asked
    assert [file.suffix for file in (tmp_path / "answers").iterdir()] == [".json", ".json"]


def test_offline_with_nothing(portal, ask):
    portal.answers["/files/ENCFF465GBD/"] = file_record()
    with pytest.raises(
        UserError, match=r"not looked up yet \(http.*and this run is offline; run on"
    ):
        ask("ENCFF465GBD", offline=True)
    assert portal.asked == []


def test_a_busy_portal_is_asked_again(portal, ask):
    portal.answers["/files/ENCFF465GBD/"] = [(503, "busy"), (429, ""), file_record()]
    assert ask("ENCFF465GBD").bytes == 1_000
    assert len(portal.asked) == 3


def test_a_portal_that_stays_busy(portal, ask, tmp_path, caplog):
    portal.answers["/files/ENCFF465GBD/"] = (503, "busy")
    with pytest.raises(UserError, match=r"answered 503; check the network and start again"):
        ask("ENCFF465GBD")
    assert len(portal.asked) == 3
    portal.answers["/files/ENCFF465GBD/"] = [file_record(), (503, "busy")]
    found = ask("ENCFF465GBD")
    (tmp_path / "sources.lock.json").unlink()
    assert ask("ENCFF465GBD") == found
    assert "answered 503; its answer of 20" in caplog.text


def test_no_portal(ask, monkeypatch):
    monkeypatch.setattr(encode, "PORTAL", "http://127.0.0.1:9")
    with pytest.raises(UserError, match=r"ENCFF465GBD/\?format=json could not be reached; check"):
        ask("ENCFF465GBD")


def test_damaged_kept_answers_count_as_none(portal, ask, tmp_path):
    portal.answers["/files/ENCFF465GBD/"] = file_record()
    found = ask("ENCFF465GBD")
    (tmp_path / "sources.lock.json").unlink()
    (kept,) = (tmp_path / "answers").iterdir()
    for damage in ("{", "[]", '{"url": "other", "answer": "", "date": ""}'):
        kept.write_text(damage)
        with pytest.raises(UserError, match="not looked up yet"):
            ask("ENCFF465GBD", offline=True)
    assert ask("ENCFF465GBD") == found
