"""Baselines on CRISPRi pairs: activity, activity by contact, and the measured screen."""

import numpy as np
import pandas as pd
import pytest

from seq2exp.config import PowerLaw
from seq2exp.contacts import HiCInputs
from seq2exp.evaluation_config import LinkColumns
from seq2exp.evidence.baselines import (
    CANDIDATE_SHARE,
    SignalFiles,
    abc_scores,
    candidate_tiles,
    element_activity,
    write_baselines,
)
from seq2exp.evidence.crispri import LinkInputs
from seq2exp.evidence.precision_recall import performances
from seq2exp.reference import read_chrom_sizes
from seq2exp.schemas import read_table
from seq2exp.tracks import open_bigwig
from tests.conftest import CONTACT_BIN, SIZES


@pytest.fixture
def tracks(toy):
    return [open_bigwig(toy.path(f"{name}.bw")) for name in ("h3k27ac", "dnase")]


def test_activity_is_the_geometric_mean_of_the_mean_signals(toy, tracks):
    pairs = pd.DataFrame(
        {"chrom": ["chr2", "chr1", "chr2"], "start": [100, 40, 100], "end": [150, 90, 150]}
    )
    h3k27ac, dnase = (toy.signals[name] for name in ("h3k27ac", "dnase"))
    first = np.sqrt(h3k27ac["chr2"][100:150].mean() * dnase["chr2"][100:150].mean())
    second = np.sqrt(h3k27ac["chr1"][40:90].mean() * dnase["chr1"][40:90].mean())
    found = element_activity(pairs, tracks, "error")
    np.testing.assert_allclose(found, [first, second, first], rtol=1e-5)


def test_candidates_are_the_tiles_with_the_most_dnase(toy, tracks, monkeypatch):
    monkeypatch.setattr("seq2exp.evidence.baselines.CANDIDATE_SHARE", 5 / 40)
    sizes = read_chrom_sizes(toy.path("chrom.sizes"))
    blacklist = toy.path("blacklist.bed")
    # In tiles 1 of chr1, and 2 and 3 of chr2, which have not the most DNase.
    tested = pd.DataFrame({"chrom": ["chr1", "chr2"], "start": [600, 1_400], "end": [700, 1_501]})
    found = candidate_tiles(tested, sizes, tracks, blacklist, "error")
    tiles = []
    for chrom in ("chr1", "chr2"):
        for start in range(0, SIZES[chrom], 500):
            dnase, h3k27ac = (
                np.nan_to_num(toy.signals[name][chrom][start : start + 500]).mean()
                for name in ("dnase", "h3k27ac")
            )
            tiles.append((dnase, chrom, start, np.sqrt(dnase * h3k27ac)))
    # The blacklist lies in the first and last tile of chr1 and the first of chr2.
    tiles = [
        tile for tile in tiles if tile[1:3] not in [("chr1", 0), ("chr1", 11_500), ("chr2", 0)]
    ]
    of_elements = [
        tile for tile in tiles if tile[1:3] in [("chr1", 500), ("chr2", 1_000), ("chr2", 1_500)]
    ]
    chosen = set(sorted(tiles)[-5:]) | set(of_elements)
    assert len(chosen) == 8
    expected = sorted((chrom, start, a) for _, chrom, start, a in chosen)
    assert list(zip(found["chrom"], found["start"], strict=True)) == [e[:2] for e in expected]
    np.testing.assert_allclose(found["activity"], [e[2] for e in expected], rtol=1e-5)
    assert (found["end"] - found["start"]).unique().tolist() == [500]
    assert pytest.approx(0.0242, abs=1e-4) == CANDIDATE_SHARE


def test_abc_scores_by_hand():
    candidates = pd.DataFrame(
        {
            "chrom": ["chr1"] * 3 + ["chr2"],
            "start": [10_000, 30_000, 6_000_000, 0],
            "end": [10_500, 30_500, 6_000_500, 500],
            "activity": [2.0, 3.0, 100.0, 1.0],
        }
    )
    rows = [
        ("chr1", 40_000, 40_100, "A", 20_000, 5.0),
        ("chr1", 5_100_000, 5_100_100, "A", 20_000, 5.0),  # more than 5 Mb away
        ("chr1", 20_000, 21_000, "B", 20_000, 1.0),
        ("chr3", 20_000, 20_100, "C", 20_000, 1.0),  # no candidate
    ]
    columns = ["chrom", "start", "end", "gene_name", "gene_tss", "activity"]
    power_law = PowerLaw(gamma=1, at_bin=100, bin=5_000)
    found = abc_scores(pd.DataFrame(rows, columns=columns), candidates, None, power_law)
    # The TSS is in bin 4, candidates in bins 2 and 6 have contact 100 / 2: 2 x 50 + 3 x 50 = 250. The
    # first element, in bin 8, has 5 x 100 / 4; the third, in the TSS's own bin, 1 x 100.
    np.testing.assert_allclose(found, [0.5, 0, 0.4, 0], rtol=1e-6)


def test_abc_contacts_come_from_the_map_where_it_has_the_chromosome(toy, tmp_path, monkeypatch):
    monkeypatch.setattr("seq2exp.evidence.baselines.CANDIDATE_SHARE", 1.0)
    table = pd.DataFrame(
        [
            ("chr1", 4_100, 4_200, "g4", 6_000, "Toy", True),
            ("chr3", 10, 90, "g8", 5_050, "Toy", False),
        ],
        columns=["chrom", "start", "end", "gene_name", "gene_tss", "cell_line", "regulated"],
    )
    table.to_csv(tmp_path / "own.tsv", sep="\t", index=False)
    links = (
        "chrom\tstart\tend\tgene_name\tscore\nchr1\t4000\t4150\tg4\t7\nchr1\t4150\t4300\tg4\t2\n"
    )
    (tmp_path / "links.tsv").write_text(links)
    write_baselines(
        tmp_path / "out.tsv",
        crispri=tmp_path / "own.tsv",
        cell_type="Toy",
        signals=SignalFiles(toy.path("h3k27ac.bw"), toy.path("dnase.bw")),
        chrom_sizes=toy.path("chrom.sizes"),
        blacklist=None,
        hic=HiCInputs(toy.path("contacts.cool"), CONTACT_BIN, "NONE"),
        power_law=PowerLaw(bin=CONTACT_BIN),
        predictions={"x": LinkInputs(tmp_path / "links.tsv", LinkColumns().model_dump())},
    )
    found = read_table(tmp_path / "out.tsv")
    signals = [np.nan_to_num(toy.signals[n]["chr1"]).reshape(-1, 500) for n in ("h3k27ac", "dnase")]
    activity = np.sqrt(np.prod([s.mean(axis=1) for s in signals], axis=0))
    # Tiles are as wide as bins; the TSS is in bin 12, the element in bin 8.
    total = (activity * toy.contacts[:24, 12]).sum()
    expected = found["activity"][0] * toy.contacts[8, 12] / total
    assert found["abc"][0] == pytest.approx(expected, rel=1e-4)
    assert 0 < found["abc"][1] < 1
    assert found["predicted_x"].tolist() == [9, 0]
    assert found["distance"].tolist() == [1_850.5, 5_000.5]


def test_the_measured_screen_with_all_baselines(realdata, tmp_path):
    write_baselines(
        tmp_path / "out.tsv",
        crispri=realdata / "K562.crispri_pairs.tsv",
        cell_type="K562",
        signals=SignalFiles(realdata / "K562.H3K27ac.bw", realdata / "K562.DNase.bw"),
        chrom_sizes=realdata / "chrom.sizes",
        blacklist=realdata / "blacklist.bed",
        hic=None,
        power_law=PowerLaw(),
    )
    pairs = read_table(tmp_path / "out.tsv")
    assert (len(pairs), pairs["regulated"].sum()) == (151, 12)
    near = pairs[pairs["distance"] <= 100_000]
    assert (len(near), near["regulated"].sum()) == (29, 9)
    scores = np.stack([near["abc"], near["activity"], -near["distance"]])
    abc, activity, distance = performances(scores, near["regulated"].to_numpy(), rival=0)
    # Pinned figures of these 29 pairs; the intervals are as wide as nine positives leave them.
    np.testing.assert_allclose(abc.auprc, [0.798, 0.420, 0.900], atol=1e-3)
    np.testing.assert_allclose(activity.auprc, [0.569, 0.242, 0.817], atol=1e-3)
    np.testing.assert_allclose(distance.auprc, [0.781, 0.397, 0.889], atol=1e-3)
