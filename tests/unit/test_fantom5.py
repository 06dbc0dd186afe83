"""FANTOM5 libraries: found in a track list written here in the hub's format."""

import logging

import pytest

from seq2exp.errors import UserError
from seq2exp.fantom5 import count_tracks
from seq2exp.lockfile import SourceLock
from seq2exp.resolve import from_lock, lock_key, needs_lookup, resolve, to_lock
from seq2exp.source_config import Source

# As in the hub: composite tracks, indented stanzas, percent-encoded names, the same file in two
# tracks, peaks and normalised values beside the counts.
TRACK_DB = """\
track Total_counts
shortLabel Total counts
compositeTrack on
type bigWig

track Timecourse
compositeTrack on

    track H1_day00_rep1_tpm_fwd
    parent Timecourse
    bigDataUrl http://fantom.gsc.riken.jp/5/datahub/hg38/tpm/human.timecourse.hCAGE/H1%2520embryonic%2520stem%2520cells%2520differentiation.CNhs14067.13340-143A2.hg38.tpm.fwd.bw
    type bigWig 0 100

    track H1_day00_rep1_counts_fwd
    parent Timecourse
    bigDataUrl http://fantom.gsc.riken.jp/5/datahub/hg38/ctss/human.timecourse.hCAGE/H1%2520embryonic%2520stem%2520cells%2520differentiation.CNhs14067.13340-143A2.hg38.nobarcode.ctss.fwd.bw
    # bigDataUrl http://example.org/ctss/x.CNhs99999.y.hg38.ctss.fwd.bw
    type bigWig 0 100
    metadata ontology_id=13340-143A2 sequence_tech=hCAGE
    subGroups sequenceTech=hCAGE category=timecourse strand=forward

    track H1_day00_rep1_counts_rev
    bigDataUrl https://fantom.gsc.riken.jp/5/datahub/hg38/ctss/human.timecourse.hCAGE/H1%2520embryonic%2520stem%2520cells%2520differentiation.CNhs14067.13340-143A2.hg38.nobarcode.ctss.rev.bw

track K562_rep1_fwd
bigDataUrl ctss/human.cell_line.hCAGE/K562.CNhs12334.10824-111C5.hg38.ctss.fwd.bw

track K562_rep1_fwd_again
bigDataUrl ctss/human.cell_line.hCAGE/K562.CNhs12334.10824-111C5.hg38.ctss.fwd.bw

track Peaks
bigDataUrl http://fantom.gsc.riken.jp/5/datahub/hg38/peaks/hg38.cage_peak.bb
type bigBed 9
"""
BASE = "https://fantom.gsc.riken.jp/5/datahub/hg38/trackDb.txt"
H1 = (
    "https://fantom.gsc.riken.jp/5/datahub/hg38/ctss/human.timecourse.hCAGE/"
    "H1%2520embryonic%2520stem%2520cells%2520differentiation.CNhs14067.13340-143A2.hg38.nobarcode."
    "ctss."
)
KEY = "cell_lines.H1.expression.CAGE.bigwig.forward"


def test_only_counts_are_listed_by_library_and_strand():
    assert count_tracks(TRACK_DB, BASE) == {
        ("CNhs14067", "+"): f"{H1}fwd.bw",
        ("CNhs14067", "-"): f"{H1}rev.bw",
        ("CNhs12334", "+"): (
            "https://fantom.gsc.riken.jp/5/datahub/hg38/ctss/human.cell_line.hCAGE/"
            "K562.CNhs12334.10824-111C5.hg38.ctss.fwd.bw"
        ),
    }
    assert count_tracks("", BASE) == {}


@pytest.fixture
def ask(portal, tmp_path):
    portal.answers["/datahub/hg38/trackDb.txt"] = TRACK_DB

    def ask(library="CNhs14067", strand="+", assembly="hg38", offline=False):
        return resolve(
            Source(fantom5=library, strand=strand),
            key=KEY,
            assembly=assembly,
            cache_dir=tmp_path / "answers",
            lock=SourceLock(tmp_path / "lock.json"),
            offline=offline,
        )

    return ask


def test_both_strands_of_a_library_from_one_request(portal, ask):
    forward, reverse = ask(), ask(strand="-")
    assert (forward.url, reverse.url) == (f"{H1}fwd.bw", f"{H1}rev.bw")
    assert (forward.accession, forward.assay, forward.assembly) == ("CNhs14067", "CAGE", "GRCh38")
    assert (forward.output_type, reverse.output_type) == ("CTSS counts, fwd", "CTSS counts, rev")
    assert (forward.bytes, forward.md5) == (None, None)
    assert "Forrest et al. 2014" in forward.citation
    assert ask(offline=True) == forward
    assert portal.asked == ["/datahub/hg38/trackDb.txt"]


def test_what_was_downloaded_is_pinned(portal, ask, tmp_path):
    found = ask()
    source = Source(fantom5="CNhs14067", strand="+")
    name = lock_key(source, key=KEY, assembly="hg38")
    assert name == "fantom5:CNhs14067,strand=+,assembly=GRCh38"
    lock = SourceLock(tmp_path / "lock.json")
    assert lock.get(name) is None
    lock.record(name, to_lock(found._replace(bytes=5, md5="0" * 32)))
    portal.answers["/datahub/hg38/trackDb.txt"] = "now something else"
    for file in (tmp_path / "answers").iterdir():
        file.unlink()
    pinned = ask(offline=True)
    assert pinned == found._replace(bytes=5, md5="0" * 32)
    assert pinned == from_lock(lock.get(name))


def test_a_library_that_is_not_there(ask):
    with pytest.raises(
        UserError,
        match=rf"{KEY}: FANTOM5 has no counts of library CNhs14068, strand \+, on GRCh38 \(near it: "
        r"CNhs12334, CNhs14067\); correct the id",
    ):
        ask("CNhs14068")
    with pytest.raises(UserError, match=r"no counts of library CNhs12334, strand -"):
        ask("CNhs12334", "-")


def test_a_genome_that_fantom5_does_not_have(portal, ask):
    with pytest.raises(UserError, match=r"tracks on hg38, hg19 and mm10, not on this genome; give"):
        ask(assembly="of_my_own")
    assert portal.asked == []
    with pytest.raises(UserError, match=r"/datahub/hg19/trackDb\.txt lists no CTSS tracks; give"):
        ask(assembly="hg19")


def test_which_sources_need_a_lookup(caplog):
    with caplog.at_level(logging.INFO):
        assert needs_lookup(Source(fantom5="CNhs14067", strand="+"))
        assert needs_lookup(Source(fourdn="4DNFIFI6NIKJ"))
        assert needs_lookup(Source(encode="ENCFF465GBD"))
        assert not needs_lookup(Source(path="x"))
        assert not needs_lookup(Source(url="https://x"))
    assert not caplog.records
