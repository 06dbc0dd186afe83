"""Candidates among which planted elements are ranked, by hand and at their limits."""

import numpy as np
import pandas as pd
import pytest

from seq2exp.element_columns import RANKED_SCORES
from seq2exp.planted_ranking import BACKGROUND, RANKING_COLUMNS, candidates, rank_candidates
from tests.unit.test_planted import ELEMENTS, LENGTH, PAIR_COLUMNS, PAIRS, PROMOTER


@pytest.fixture
def truth(tmp_path):
    pd.DataFrame(ELEMENTS).to_csv(tmp_path / "e.bed", sep="\t", header=False, index=False)
    pairs = pd.DataFrame(PAIRS, columns=PAIR_COLUMNS)
    pairs.to_csv(tmp_path / "pairs.tsv", sep="\t", index=False)
    return tmp_path / "pairs.tsv", tmp_path / "e.bed"


HOW = {"length": LENGTH, "promoter": PROMOTER}


def test_each_planted_element_has_a_stretch_of_background(truth, toy_store):
    found = candidates(*truth, toy_store, ["G1", "G4", "G5"], **HOW)
    planted, background = found[found["kind"] != BACKGROUND], found[found["kind"] == BACKGROUND]
    assert planted["element"].tolist() == ["E1", "E4", "E2", "E5"]
    assert planted["open"].tolist() == [True, True, False, True]
    # chr1:5100-5220 is 840 bp from the TSS at 6,000.
    assert planted["distance"].tolist() == [840, 250, 650, 175]
    sizes = (planted["end"] - planted["start"]).tolist()
    by_gene = dict(zip(planted["element"], sizes, strict=True))
    assert sorted(background["end"] - background["start"]) == sorted(by_gene.values())
    assert not background["open"].any()
    assert (background["planted_effect"] == 0).all()


def test_background_touches_no_element_promoter_or_unusable_base(truth, toy_store):
    elements = [(e[1], e[2]) for e in ELEMENTS]
    for seed in range(40):
        found = candidates(*truth, toy_store, ["G1", "G4", "G5"], **HOW, seed=seed)
        for row in found[found["kind"] == BACKGROUND].itertuples():
            taken = [*elements, (200, 400), (5_900, 6_100), (7_900, 8_100)]  # promoters
            if row.gene_id == "G1":  # blacklisted bases and N
                taken += [(250, 260), (800, 900), (-700, 0)]
            assert all(row.end <= low or row.start >= high for low, high in taken)
            tss = {"G1": 300, "G4": 6_000, "G5": 8_000}[row.gene_id]
            assert tss - 1_000 <= row.start < row.end <= tss + 1_000
            assert row.distance == abs((row.start + row.end) / 2 - tss)


def test_background_is_drawn_from_the_seed(truth, toy_store):
    first, again, other = (
        candidates(*truth, toy_store, ["G4"], **HOW, seed=seed)["start"].tolist()
        for seed in (0, 0, 1)
    )
    assert first == again != other


def test_a_window_without_room_or_elements_has_no_background(truth, toy_store):
    # The 598 bp around G5's TSS do not hold E4; those of 1,000 bp do, and have room for 100 bp.
    none = candidates(*truth, toy_store, ["G5"], length=598, promoter=slice(0, 100))
    assert none.empty
    full = candidates(*truth, toy_store, ["G5"], length=1_000, promoter=slice(0, 1_000))
    assert full["element"].tolist() == ["E4"]


def table(**columns):
    rows = len(columns["kind"])
    scores = {name: np.nan for name in RANKED_SCORES if name != "nearness"}
    filled = {"open": True, "gene_id": list("abcdefgh")[:rows], "distance": range(rows)}
    return pd.DataFrame(scores | filled | columns, index=range(rows))


def test_ranking_by_hand():
    kinds = ["active", "active", "decoy", "active", BACKGROUND, "decoy"]
    is_open = [True, True, True, False, False, False]
    given = table(kind=kinds, open=is_open, effect_removed=[0.9, 0.2, 0.5, 0.8, 0.1, 0.0])
    found = rank_candidates(given).set_index("score")
    row = found.loc["effect_removed"]
    # Recall 1/2 at precision 1, then 1/2, 1/3 and recall 1 at 2/4 and 2/5: one trapezoid of width 1/2.
    assert row["auprc"] == pytest.approx((1 / 3 + 2 / 4) / 2 / 2)
    assert row["auroc"] == 0.5  # above the decoy once, below it once; closed ones are no decoys
    assert row[["active", "decoys", "candidates"]].tolist() == [2, 1, 6]
    assert row["base_rate"] == pytest.approx(2 / 6)
    # Distances 0 to 5: the two active ones are the nearest, then the decoy.
    assert found.loc["nearness", "auroc"] == 1
    assert found.loc["mask", "candidates"] == 0
    assert np.isnan(found.loc["mask", "auprc"])
    assert list(found.reset_index().columns) == list(RANKING_COLUMNS)


def test_nothing_to_rank():
    found = rank_candidates(table(kind=["active", "active"], mask=[1.0, 0.0]))
    assert found["auprc"].isna().all()
    assert found["auroc"].isna().all()
