import base64
import gzip
import json
import re

import numpy as np
import pandas as pd
import pytest

from seq2exp.browser import igv_page
from seq2exp.browser.colours import LOWERS, RAISES, rgb
from seq2exp.browser.igv_page import igv_program, write_igv_page
from seq2exp.figures.style import COLOURS
from seq2exp.loci import example_loci

from ..browser import CHROMIUM, visit
from ..conftest import SIZES
from .locus_case import ELEMENTS, LENGTH, RAMP, known_places, write_locus_case

TITLE = "soft, Toy CAGE, fold 1, seed 2"


@pytest.fixture
def inputs(toy, toy_store_dir, tmp_path):
    known = known_places(toy, tmp_path)
    del known["planted"]  # which would choose the genes
    return write_locus_case(tmp_path, toy_store_dir, **known)


@pytest.fixture
def make(inputs, toy, tmp_path):
    def page(count=3, **changes):
        out = tmp_path / "loci.html"
        settings = {"chrom_sizes": toy.path("chrom.sizes"), "genome": "toy1", "title": TITLE}
        write_igv_page(
            inputs._replace(**changes.pop("inputs", {})), count, out=out, **settings | changes
        )
        return out.read_text()

    return page


def data_of(page):
    return json.loads(
        re.search(r'<script type="application/json" id="data">(.*?)</script>', page)[1]
    )


def tracks_of(locus):
    return {track["name"]: track for track in locus["tracks"]}


def places(track):
    return [(f["start"], f["end"]) for f in track["features"]]


# ------------------------------------------------------------------------- what is in it


def test_the_program_is_igv():
    program = igv_program()
    assert program.startswith("window.igv=")
    assert len(program) > 1_000_000


def test_loci_with_the_numbers_of_the_predictions(make):
    data = data_of(make())
    assert data["genome"] == "toy1"
    assert [(locus["locus"], *locus["row"]) for locus in data["loci"]] == [
        ("chr1:7001-9000", "g5 (+)", "chr1:7,001-9,000", "3.00", "3.00", "1"),
        ("chr1:5001-7000", "g4 (-)", "chr1:5,001-7,000", "2.00", "1.00", "1"),
        ("chr1:1-1300", "g1 (+)", "chr1:1-1,300", "1.00", "2.00", "0"),
    ]
    assert len(data_of(make(count=9))["loci"]) == 3


def test_sequences_are_those_of_the_windows(make, toy):
    for locus, (start, end) in zip(
        data_of(make())["loci"], [(7_000, 9_000), (5_000, 7_000), (0, 1_300)], strict=True
    ):
        packed = base64.b64decode(locus["fasta"].removeprefix("data:application/gzip;base64,"))
        head, sequence = gzip.decompress(packed).decode().splitlines()
        assert head == f">chr1:{start + 1}-{end} @len={SIZES['chr1']}"
        assert sequence == toy.sequence["chr1"][start:end].upper()


def test_tracks_have_the_values_of_the_windows(make, inputs):
    for locus, drawn in zip(data_of(make())["loci"], example_loci(inputs, 3), strict=True):
        tracks = tracks_of(locus)
        cut = max(-drawn.start, 0)
        for name, track in (("DNase", "dnase"), ("mask", "mask"), ("signal prior", "prior")):
            signal = tracks[name]["signal"]
            assert (signal["start"], signal["end"]) == (max(drawn.start, 0), drawn.end)
            assert signal["step"] == 1
            np.testing.assert_allclose(signal["values"], drawn.tracks[track][cut:], rtol=1e-3)
        assert "sequence part" not in tracks
        assert (tracks["mask"]["min"], tracks["mask"]["max"]) == (0, 1)
        assert tracks["mask"]["color"] == f"rgb({rgb(COLOURS['mask'])})"


def test_long_windows_are_averaged_in_bins(make, monkeypatch):
    monkeypatch.setattr(igv_page, "POINTS", 300)
    signal = tracks_of(data_of(make(1))["loci"][0])["mask"]["signal"]
    assert (signal["step"], len(signal["values"])) == (7, 286)  # 2,000 = 285 x 7 + 5
    mask = RAMP.astype(float)
    expected = [mask[i : i + 7].mean() for i in range(0, LENGTH, 7)]
    np.testing.assert_allclose(signal["values"], expected, rtol=1e-3)


def test_places_and_links(make):
    g5, g4, g1 = (tracks_of(locus) for locus in data_of(make())["loci"])
    assert list(g4) == [
        *("promoters", "DNase", "H3K27ac", "contact with TSS", "mask", "signal prior"),
        *("elements", "element to promoter", "peaks", "ccres", "CRISPRi, g4"),
    ]
    assert places(g4["elements"]) == [(5_100, 5_220)]
    (link,) = g4["element to promoter"]["features"]
    assert [link[key] for key in ("start1", "end1", "start2", "end2", "value")] == [
        5_100, 5_220, 5_900, 6_100, 0.5,
    ]  # fmt: skip
    assert places(g4["peaks"]) == [(6_950, 7_050)]
    assert [f["name"] for f in g4["CRISPRi, g4"]["features"]] == ["regulates", "does not"]
    assert (places(g1["elements"]), places(g1["element to promoter"])) == ([], [])
    promoters = g1["promoters"]["features"]
    assert [(f["name"], f["strand"], f["start"], f["end"]) for f in promoters] == [
        ("g1", "+", 200, 400), ("g2", "-", 1_000, 1_200), ("g3", "+", 1_000, 1_200),
    ]  # fmt: skip
    assert places(g5["CRISPRi, g5"]) == []  # its tested element is outside of the window


def test_links_are_coloured_by_effect_where_elements_are_scored(make, tmp_path):
    ELEMENTS.assign(effect_removed=[-0.5, 0.1]).to_csv(tmp_path / "s.tsv", sep="\t", index=False)
    g5, g4, _ = data_of(make(element_scores=tmp_path / "s.tsv"))["loci"]
    colours = {}
    for name, locus in (("g5", g5), ("g4", g4)):
        (link,) = tracks_of(locus)["element to promoter"]["features"]
        colours[name] = (link["value"], link["color"])
    assert colours == {"g5": (0.1, f"rgb({rgb(RAISES)})"), "g4": (-0.5, f"rgb({rgb(LOWERS)})")}


def hostile(inputs):
    """A gene whose name would end the script, and a title with markup."""
    name = "</script><b>x"
    table = pd.read_csv(inputs.predictions, sep="\t").replace("g5", name)
    table.to_csv(inputs.predictions, sep="\t", index=False)
    return name


def test_names_stay_text(make, inputs):
    name = hostile(inputs)
    page = make(title="<script>alert(1)</script>")
    assert data_of(page)["loci"][0]["row"][0] == f"{name} (+)"
    assert "<b>x" not in page.replace(r"<\/script><b>x", "")
    assert "<script>alert" not in page


# ------------------------------------------------------------------------- in a browser

# Of each track: how many pixels of its canvas have nearly this colour, and how many are drawn at all.
PIXELS = """
  const drawn = {}
  for (const view of browser.trackViews) {
    const canvas = view.viewports[0].canvas
    if (!canvas || !view.track.name) continue
    const pixels = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data
    const wanted = (view.track.color || "").match(/\\d+/g) || [0, 0, 0]
    let own = 0, any = 0
    for (let i = 0; i < pixels.length; i += 4) {
      if (pixels[i + 3] < 200 || Math.min(pixels[i], pixels[i + 1], pixels[i + 2]) > 250) continue
      any++
      if (wanted.every((value, part) => Math.abs(value - pixels[i + part]) < 8)) own++
    }
    drawn[view.track.name] = {own, any, width: canvas.width}
  }
  return {drawn, rows: rows.children.length, bold: document.querySelectorAll("#loci b").length,
    locus: String(browser.currentLoci()), selected: rows.querySelector("[aria-selected=true]").textContent}
"""
SECOND = """
  rows.children[1].click()
  while (document.body.dataset.state !== "drawn") await new Promise((done) => setTimeout(done, 50))
"""


@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")
def test_every_track_is_drawn_and_nothing_is_fetched(make, inputs, tmp_path):
    hostile(inputs)
    page = make()
    answer, console = visit(page, tmp_path, SECOND + PIXELS)
    assert console == []
    assert (answer["rows"], answer["bold"]) == (3, 0)
    assert answer["locus"].replace(",", "").startswith("chr1:5001-")
    assert answer["selected"].startswith("g4 (-)")
    drawn = answer["drawn"]
    assert set(tracks_of(data_of(page)["loci"][1])) <= set(drawn)
    for name in ("DNase", "H3K27ac", "contact with TSS", "mask", "signal prior"):
        assert drawn[name]["own"] > 2_000, name
    for name in ("promoters", "elements", "element to promoter", "peaks", "ccres", "CRISPRi, g4"):
        assert drawn[name]["any"] > 50, name


@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")
def test_what_goes_wrong_in_a_page_is_seen(make, tmp_path):
    """The test of the page above would fail if it reached for the network, or threw."""
    page = make(1)
    fetching = page.replace('"use strict"', 'fetch("https://igv.org").catch(() => 0)', 1)
    assert any(
        "Content Security Policy" in line for line in visit(fetching, tmp_path, PIXELS).console
    )
