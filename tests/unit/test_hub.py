import json
import os
import shutil
import struct

import pyBigWig
import pysam
import pytest

from seq2exp.browser.assemblies import ucsc_name
from seq2exp.browser.hub import write_hub
from seq2exp.browser.hub_check import hub_problems
from seq2exp.browser.hub_tracks import HubRun, track_name
from seq2exp.browser.igv_page import igv_program
from seq2exp.browser.stanzas import read_stanzas, write_stanzas
from seq2exp.browser.twobit import write_twobit
from seq2exp.errors import UserError

from ..browser import CHROMIUM, served, visit
from .browser_case import SIZES, write_case

SEQUENCES = {"chr1": "ACGTNNACGT" * 100, "chr2": "GATTACAGAT" * 30, "chr3": "C" * 50}


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    """A run of two seeds (the same files), two signals, and the genome."""
    folder = tmp_path_factory.mktemp("hub")
    write_case(folder / "run")
    (folder / "genome.fa").write_text("".join(f">{n}\n{s}\n" for n, s in SEQUENCES.items()))
    pysam.faidx(str(folder / "genome.fa"))
    for name, chrom in (("good", "chr1"), ("other_names", "1")):
        with pyBigWig.open(str(folder / f"{name}.bw"), "w") as bigwig:
            bigwig.addHeader([(chrom, 1_000)])
            bigwig.addEntries([chrom], [100], ends=[200], values=[3.0])
    return folder


def hub_of(inputs, out, **changes):
    runs = [
        HubRun("Cell-1", "CAGE", "soft", 1, seed, inputs / "run", ("mask", "sequence_part"))
        for seed in (2, 22)
    ]
    settings = {
        "name": "My hub",
        "email": "me@example.org",
        "genome": "GRCh38",
        "runs": runs,
        "signals": {"Cell-1": {"dnase": inputs / "good.bw", "h3k27ac": inputs / "other_names.bw"}},
        "chrom_sizes": inputs / "run" / "chrom.sizes",
        "fasta": inputs / "genome.fa",
    }
    write_hub(out, **{**settings, **changes})
    return out


@pytest.fixture
def hub(inputs, tmp_path):
    return hub_of(inputs, tmp_path / "hub")


# ------------------------------------------------------------------------- what is written


def test_a_hub_has_every_track_below_its_cell_line(hub):
    settings, genome, *tracks = read_stanzas(hub / "hub.txt")
    assert (settings["hub"], settings["shortLabel"], settings["email"]) == (
        "My_hub", "My hub", "me@example.org",
    )  # fmt: skip
    assert genome == {"genome": "hg38"}
    # The H3K27ac track calls chr1 "1", so that a browser would show nothing of it.
    assert {track["track"]: (track.get("parent"), track.get("type")) for track in tracks} == {
        "Cell_1": (None, None),
        "Cell_1_signals": ("Cell_1", "bigWig"),
        "Cell_1_signals_dnase": ("Cell_1_signals on", "bigWig"),
        "Cell_1_CAGE_soft_masks": ("Cell_1", "bigWig"),
        "Cell_1_CAGE_soft_masks_f1_s2_mask": ("Cell_1_CAGE_soft_masks on", "bigWig"),
        "Cell_1_CAGE_soft_masks_f1_s2_sequence_part": ("Cell_1_CAGE_soft_masks on", "bigWig"),
        "Cell_1_CAGE_soft_masks_f1_s22_mask": ("Cell_1_CAGE_soft_masks off", "bigWig"),
        "Cell_1_CAGE_soft_masks_f1_s22_sequence_part": ("Cell_1_CAGE_soft_masks off", "bigWig"),
        "Cell_1_CAGE_soft_elements": ("Cell_1", "bigBed 6 +"),
        "Cell_1_CAGE_soft_elements_f1_s2": ("Cell_1_CAGE_soft_elements on", "bigBed 6 +"),
        "Cell_1_CAGE_soft_elements_f1_s22": ("Cell_1_CAGE_soft_elements off", "bigBed 6 +"),
        "Cell_1_CAGE_soft_f1_s2_links": ("Cell_1", "bigInteract"),
        "Cell_1_CAGE_soft_f1_s22_links": ("Cell_1", "bigInteract"),
    }
    shown = {t["track"]: t["visibility"] for t in tracks if t["track"].endswith("links")}
    assert list(shown.values()) == ["full", "hide"]
    assert max(len(track["shortLabel"]) for track in tracks) <= 17
    assert not (hub / "hg38" / "genome.2bit").exists()


def test_files_of_a_hub_are_those_of_the_results(hub, inputs):
    place = hub / "hg38" / "Cell-1" / "CAGE" / "soft" / "fold1_seed22"
    for name in ("mask.bw", "sequence_part.bw", "elements.bb", "links.bb"):
        assert os.path.samefile(place / name, inputs / "run" / name)


def test_files_are_copied_where_there_are_no_hard_links(inputs, tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError("no hard links here")

    monkeypatch.setattr(os, "link", refuse)
    copy = hub_of(inputs, tmp_path / "hub") / "hg38" / "Cell-1" / "signals" / "dnase.bw"
    assert not os.path.samefile(copy, inputs / "good.bw")
    assert copy.read_bytes() == (inputs / "good.bw").read_bytes()


def test_a_genome_that_ucsc_lacks_comes_along(inputs, tmp_path):
    hub = hub_of(inputs, tmp_path / "hub", genome="toy")
    _, genome, *_ = read_stanzas(hub / "hub.txt")
    assert (genome["genome"], genome["twoBitPath"]) == ("toy", "toy/genome.2bit")
    assert genome["defaultPos"] == "chr1:1-1000"  # B's element 180-210 and 5 kb to both sides
    assert hub_problems(hub, SIZES) == []


def test_a_hub_is_written_again_without_what_was_there(inputs, tmp_path):
    hub = hub_of(inputs, tmp_path / "hub")
    hub_of(inputs, hub, signals={})
    assert not (hub / "hg38" / "Cell-1" / "signals").exists()
    (hub / "notes.txt").write_text("mine")
    with pytest.raises(UserError, match=r"holds 'notes.txt', not written here"):
        hub_of(inputs, hub)


def test_two_tracks_of_one_name_are_refused_and_nothing_is_left(inputs, tmp_path):
    run = HubRun("a_b", "CAGE", "soft", 1, 2, inputs / "run", ("mask",))
    runs = [run, run._replace(cell_line="a-b")]
    with pytest.raises(UserError, match="track a_b: there are two of this name"):
        hub_of(inputs, tmp_path / "hub", runs=runs, signals={})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("genome", "name"),
    [("hg38", "hg38"), ("hg19", "hg19"), ("GRCh37", "hg19"), ("mm10", "mm10"), ("simulated", None),
     ("hg", None), ("my_hg38", None)],
)  # fmt: skip
def test_ucscs_names_of_genomes(genome, name):
    assert ucsc_name(genome) == name


def test_track_names_are_words_that_begin_with_a_letter():
    assert track_name("22Rv1", "a-b") == "t_22Rv1_a_b"


def test_stanzas_are_read_as_they_were_written(tmp_path):
    stanzas = [{"track": "a", "longLabel": "two\nlines   here"}, {"track": "b", "parent": "a on"}]
    write_stanzas(stanzas, tmp_path / "t.txt")
    read = read_stanzas(tmp_path / "t.txt")
    assert read == [{"track": "a", "longLabel": "two lines here"}, {"track": "b", "parent": "a on"}]
    (tmp_path / "t.txt").write_text("# a comment\ntrack a\nlongLabel x \\\ny\n\n\ntrack b\n")
    assert read_stanzas(tmp_path / "t.txt") == [{"track": "a", "longLabel": "x  y"}, {"track": "b"}]
    (tmp_path / "t.txt").write_text("track a\ncolor\n")
    with pytest.raises(UserError, match="line 2: color has no value"):
        read_stanzas(tmp_path / "t.txt")


def test_twobit_by_hand(tmp_path):
    (tmp_path / "g.fa").write_text(">a\nTCAGN\n")
    (tmp_path / "g.fa.fai").write_text("a\t5\t3\t5\t6\n")
    write_twobit(tmp_path / "g.fa", tmp_path / "g.2bit")
    assert (tmp_path / "g.2bit").read_bytes() == (
        struct.pack("<IIII", 0x1A412743, 0, 1, 0)
        + b"\x01a"
        + struct.pack("<I", 22)
        + struct.pack("<IIIII", 5, 1, 4, 1, 0)  # 5 bases, one block of N at 4, of 1; none masked
        + struct.pack("<I", 0)
        + bytes([0b00011011, 0])
    )


# ------------------------------------------------------------------------- the check

TRACK = "Cell_1_signals_dnase"
MASK = "Cell_1_CAGE_soft_masks_f1_s2_mask"


def problems_after(hub, change):
    stanzas = read_stanzas(hub / "hub.txt")
    change({stanza.get("track", next(iter(stanza))): stanza for stanza in stanzas})
    write_stanzas([stanza for stanza in stanzas if stanza], hub / "hub.txt")
    return hub_problems(hub, SIZES)


def test_a_good_hub_has_no_problem(hub):
    assert hub_problems(hub, SIZES) == []


@pytest.mark.parametrize(
    ("track", "setting", "value", "said"),
    [
        ("hub", "email", None, "hub.txt: no email"),
        ("hub", "email", "me", "email 'me' is no address"),
        ("hub", "hub", "two words", "must be one word"),
        ("hub", "descriptionUrl", "gone.html", "descriptionUrl gone.html: no such file"),
        (TRACK, "shortLabel", None, f"track {TRACK}: no shortLabel"),
        (TRACK, "longLabel", None, f"track {TRACK}: no longLabel"),
        (TRACK, "bigDataUrl", None, f"track {TRACK}: no bigDataUrl"),
        (TRACK, "bigDataUrl", "hg38/gone.bw", "bigDataUrl hg38/gone.bw: no such file"),
        (TRACK, "bigDataUrl", "../secret.bw", "not below the hub's folder"),
        (TRACK, "bigDataUrl", "/etc/passwd", "not below the hub's folder"),
        (TRACK, "bigDataUrl", "https://x.org/a.bw", "not below the hub's folder"),
        (TRACK, "bigDataUrl", "hub.txt", "not bigWig (found text)"),
        (TRACK, "type", "bigBed 6 +", "below a composite of type 'bigWig'"),
        (TRACK, "type", "wiggle", "type 'wiggle' is none of"),
        (TRACK, "parent", "nobody on", "no track nobody above it"),
        (TRACK, "parent", f"{TRACK} on", f"no track {TRACK} above it"),
        (TRACK, "parent", "Cell_1_signals maybe", "on or off after the name"),
        (TRACK, "color", "1,2,256", "color '1,2,256'"),
        (TRACK, "track", "a-b", "a name is of letters"),
        (TRACK, "track", MASK, "there are two of this name"),
        ("Cell_1_CAGE_soft_f1_s2_links", "visibility", "big", "visibility 'big' is none of"),
        ("Cell_1_CAGE_soft_f1_s2_links", "type", "bigBed 9", "row 1"),
    ],
)
def test_what_is_wrong_with_a_hub_is_named(hub, track, setting, value, said):
    def change(stanzas):
        if value is None:
            del stanzas[track][setting]
        else:
            stanzas[track][setting] = value

    problems = problems_after(hub, change)
    assert any(said in problem for problem in problems), problems


def test_a_composite_without_tracks_is_named(hub):
    def change(stanzas):
        stanzas[TRACK].clear()

    assert problems_after(hub, change) == [
        "track Cell_1_signals: neither a file nor tracks below it"
    ]


def test_data_of_another_genome_are_named(hub):
    (first, *_) = hub_problems(hub, {**SIZES, "chr1": 999})
    assert first.endswith("chr1 has 1000 bp, not 999")
    (first, *_) = hub_problems(hub, {"1": 1_000})
    assert first.endswith("none of the genome's chromosomes")


def test_a_damaged_file_is_named(hub):
    path = hub / "hg38" / "Cell-1" / "signals" / "dnase.bw"
    damaged = path.read_bytes()[:40]
    path.unlink()  # a hard link: the original must stay
    path.write_bytes(damaged)
    assert hub_problems(hub, SIZES) == [f"track {TRACK}: dnase.bw: cannot be read"]


@pytest.mark.parametrize("text", ["", "track a\n", "hub x\n"])
def test_a_file_that_is_no_hub(tmp_path, text):
    assert hub_problems(tmp_path, SIZES) == ["hub.txt: no such file"]
    (tmp_path / "hub.txt").write_text(text)
    (problem,) = hub_problems(tmp_path, SIZES)
    assert "must begin with a stanza hub and a stanza genome" in problem


# ------------------------------------------------------------------------- in a browser

PAGE = """<html><body><div id="browser"></div><script>%s</script><script>
(async () => {
  const hub = location.origin + "/hub/"
  const text = await (await fetch(hub + "hub.txt")).text()
  const stanzas = text.split(/\\n\\s*\\n/).map((stanza) => Object.fromEntries(
    stanza.split("\\n").map((line) => line.trim().match(/^(\\S+)\\s+(.*)$/)?.slice(1) ?? [])))
  const types = {bigWig: ["wig", "bigwig"], bigBed: ["annotation", "bigbed"], bigInteract: ["interact", "biginteract"]}
  const tracks = stanzas.filter((stanza) => stanza.bigDataUrl).map((stanza) => {
    const [type, format] = types[stanza.type.split(" ")[0]]
    return {name: stanza.track, url: hub + stanza.bigDataUrl, type, format}
  })
  const {genome, twoBitPath} = stanzas.find((stanza) => stanza.twoBitPath)
  window.browser = await igv.createBrowser(document.getElementById("browser"), {
    reference: {id: genome, twoBitURL: hub + twoBitPath, chromSizesURL: location.origin + "/chrom.sizes"},
    tracks,
    locus: "chr1:101-300", loadDefaultGenomes: false,
  })
})().catch((error) => { window.failed = String(error) })
  .finally(() => { document.body.dataset.state = "drawn" })
</script></body></html>"""

QUESTION = """
  if (window.failed) throw window.failed
  const features = {}
  for (const {track} of browser.trackViews) if (track.url) {
    const found = await track.featureSource.getFeatures({chr: "chr1", start: 100, end: 300, bpPerPixel: 1})
    features[track.url.split("/").slice(-2).join("/")] = found.map((f) => f.start1 === undefined
      ? [f.start, f.end, f.value ?? f.name] : [f.start1, f.end1, f.start2, f.end2, f.value])
  }
  return {features, sequence: await browser.genome.getSequence("chr1", 98, 110)}
"""


@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")
def test_igv_reads_the_hub_as_it_was_meant(inputs, tmp_path):
    hub = hub_of(inputs, tmp_path / "hub", genome="toy")
    shutil.copytree(hub, tmp_path / "served" / "hub")
    lengths = "".join(f"{chrom}\t{length}\n" for chrom, length in SIZES.items())
    (tmp_path / "served" / "chrom.sizes").write_text(lengths)
    with served(tmp_path / "served") as address:
        found = visit(PAGE % igv_program(), tmp_path / "served", QUESTION, address)
    assert found.console == []
    answer = found.answer
    assert answer["sequence"] == "GTACGTNNACGT"
    features = answer["features"]
    assert features["signals/dnase.bw"] == [[100, 200, 3]]
    assert [180, 200, 0.25] in features["fold1_seed2/sequence_part.bw"]
    elements = features["fold1_seed2/elements.bb"]
    assert [e for e in elements if e[0] < 300] == [[180, 210, "B|gB:1"], [200, 240, "A|gA:1"]]
    links = features["fold1_seed2/links.bb"]
    assert [180, 210, 220, 240, 0.875] in links
    assert [200, 240, 140, 160, 0.75] in links, json.dumps(links)
