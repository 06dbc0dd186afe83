import json
import re

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest

from seq2exp.errors import UserError
from seq2exp.evidence.crispri_scores import curve_table, performance_table
from seq2exp.evidence.enrichment import ENRICHMENT_COLUMNS
from seq2exp.evidence.equal_bases import EQUAL_COLUMNS
from seq2exp.evidence.motifs import MOTIF_COLUMNS
from seq2exp.figures.crispri import crispri_performance
from seq2exp.figures.distance import mask_against_distance
from seq2exp.figures.enrichment import reference_overlap
from seq2exp.figures.expression import predicted_vs_observed
from seq2exp.figures.locus import draw_loci
from seq2exp.figures.motifs import motif_shares
from seq2exp.figures.training import training_curves
from seq2exp.schemas import HISTORY_COLUMNS

from .locus_case import PREDICTIONS, known_places, write_locus_case


def texts(svg):
    """All words drawn in an SVG (its text is kept as text)."""
    return " ".join(re.findall(r">([^<>]*\S[^<>]*)</text>", svg.read_text()))


def png_size(path):
    head = path.read_bytes()[:24]
    assert head[:8] == b"\x89PNG\r\n\x1a\n"
    return int.from_bytes(head[16:20]), int.from_bytes(head[20:24])


@pytest.fixture
def predictions(tmp_path):
    path = tmp_path / "predictions.tsv"
    PREDICTIONS.to_csv(path, sep="\t", index=False)
    return path


def test_predicted_vs_observed_states_its_numbers(predictions, tmp_path):
    outs = [tmp_path / f"e.{suffix}" for suffix in ("png", "svg", "pdf")]
    predicted_vs_observed(predictions, outs, title="Toy, CAGE", assay="CAGE")
    assert png_size(outs[0]) == (630, 630)
    words = texts(outs[1])
    # residuals 1, -1, 0, 0; deviations (-1, 0, 1, 0) and (0, -1, 1, 0)
    assert "r = 0.500" in words
    assert "MSE = 0.5000" in words
    assert "n = 4 test genes" in words
    assert "observed log10(CAGE + 1)" in words
    assert "predicted = observed" in words
    assert outs[2].read_bytes().startswith(b"%PDF")


def test_labels_that_are_not_logged_have_no_log_in_the_axis(predictions, tmp_path):
    out = tmp_path / "e.svg"
    predicted_vs_observed(predictions, [out], title="", assay="RNA", transform="none")
    assert "observed RNA" in texts(out)
    assert "log10" not in texts(out)


def test_no_test_genes(predictions, tmp_path):
    table = pd.read_csv(predictions, sep="\t").assign(split="train")
    table.to_csv(predictions, sep="\t", index=False)
    with pytest.raises(UserError, match="no gene in test"):
        predicted_vs_observed(predictions, [tmp_path / "e.png"], title="", assay="CAGE")
    assert not (tmp_path / "e.png").exists()


def history(path, rows):
    pd.DataFrame(rows, columns=list(HISTORY_COLUMNS)).to_csv(path, index=False)
    return path


def kept(folder, step):
    (folder / "metrics.json").write_text(json.dumps({"best_step": step}))
    return folder / "metrics.json"


def test_training_curves_mark_the_step_that_was_kept(tmp_path):
    rows = [
        (step, 1e-3, loss, 5.0, loss, mse, 0.3, r, 0.5, step)
        for step, loss, mse, r in [(10, 2.0, 0.2, 0.1), (20, 1.0, 0.3, 0.71), (30, 0.9, 0.4, 0.72)]
    ]
    out = tmp_path / "t.svg"
    curves = (history(tmp_path / "history.csv", rows), kept(tmp_path, 20))
    training_curves(*curves, [out], title="Toy")
    words = texts(out)
    assert "kept: step 20, validation r = 0.710" in words
    assert "KL of the mask" in words
    assert "training step" in words


def test_training_curves_without_a_mask_or_without_steps(tmp_path):
    rows = [(10, 1e-3, 2.0, 0.0, 2.0, 0.9, 0.3, 0.1, np.nan, 1.0)]
    metrics = kept(tmp_path, 10)
    training_curves(history(tmp_path / "a.csv", rows), metrics, [tmp_path / "a.svg"], title="")
    assert "no mask, no KL" in texts(tmp_path / "a.svg")
    training_curves(history(tmp_path / "b.csv", []), metrics, [tmp_path / "b.svg"], title="")
    assert "fitted in closed form" in texts(tmp_path / "b.svg")


def test_mask_against_distance_shows_the_tracks_there_are(tmp_path):
    table = pd.DataFrame({"start": [0, 50], "end": [50, 100], "bases": [9, 9], "mask": [1, 0.3]})
    table.to_csv(tmp_path / "d.tsv", sep="\t", index=False)
    mask_against_distance(tmp_path / "d.tsv", [tmp_path / "d.svg"], title="Toy")
    words = texts(tmp_path / "d.svg")
    assert "distance to the TSS (kb)" in words
    assert "signal prior" not in words
    assert "0.10" in words  # the axis ends at 100 bp
    table.assign(prior=0.5).to_csv(tmp_path / "d.tsv", sep="\t", index=False)
    mask_against_distance(tmp_path / "d.tsv", [tmp_path / "d.svg"], title="Toy")
    assert "signal prior" in texts(tmp_path / "d.svg")


# ------------------------------------------------------------------------- loci


def test_loci_over_both_ends_of_the_chromosome(toy_store_dir, tmp_path):
    inputs = write_locus_case(tmp_path, toy_store_dir)
    outs = [tmp_path / f"locus_{i}.{suffix}" for i in (1, 2, 3) for suffix in ("svg", "png")]
    draw_loci(outs, inputs, title="Toy, CAGE: soft")
    # By observed expression: G5, G4, G1.
    for out, name in zip(outs[::2], ("g5 (+)", "g4 (-)", "g1 (+)"), strict=True):
        assert name in texts(out)
        for absent in ("planted", "peaks", "CRISPRi"):
            assert absent not in texts(out)
    # Only G1's window holds a blacklisted region, chr1:250-260.
    assert ["hatched: blacklist" in texts(out) for out in outs[::2]] == [False, False, True]
    words = texts(outs[2])
    assert "observed 2.00, predicted 1.00" in words
    for label in ("DNase", "H3K27ac", "contact", "mask", "signal prior", "regions", "TSS", "genes"):
        assert label in words
    assert "chr1 (kb)" in words
    assert [name in texts(outs[4]) for name in ("g2", "g3", "g4")] == [True, True, False]
    assert png_size(outs[1]) == (1200, 885)


def test_loci_show_what_else_is_known(toy, toy_store_dir, tmp_path):
    inputs = write_locus_case(tmp_path, toy_store_dir, **known_places(toy, tmp_path))
    draw_loci([tmp_path / "x.svg"], inputs, title="Toy, CAGE: soft")
    words = texts(tmp_path / "x.svg")
    assert "g4 (-)" in words  # the only one with an active element and a decoy
    for label in (
        "peaks",
        "ccres",
        "CRISPRi",
        "regulates",
        "does not",
        "planted",
        "active",
        "decoy",
    ):
        assert label in words


def test_figures_repeat_to_the_byte_and_leave_matplotlib_alone(predictions, tmp_path):
    before = dict(mpl.rcParams)
    for name in ("a", "b"):
        outs = [tmp_path / f"{name}.svg", tmp_path / f"{name}.png", tmp_path / f"{name}.pdf"]
        predicted_vs_observed(predictions, outs, title="Toy", assay="CAGE")
    assert dict(mpl.rcParams) == before
    for suffix in ("svg", "png", "pdf"):
        first, second = (tmp_path / f"{name}.{suffix}" for name in ("a", "b"))
        assert first.read_bytes() == second.read_bytes()


# ------------------------------------------------------------------------- evidence


def scored_pairs(n=40):
    """Pairs of test genes, of which every fifth is regulated, with scores that know it more or less."""
    rng = np.random.default_rng(0)
    regulated = np.arange(n) % 5 == 0
    pairs = pd.DataFrame({"regulated": regulated, "split": "test", "in_window": np.arange(n) < 30})
    pairs["distance"] = rng.integers(1_000, 200_000, n)
    for name, noise in (
        ("mask", 0.2),
        ("prior", 1.0),
        ("regions", 1.0),
        ("abc", 0.5),
        ("activity", 2),
    ):
        pairs[name] = regulated + noise * rng.normal(size=n)
    pairs["predicted_rE2G"] = pairs["mask"] ** 3
    return pairs


def test_crispri_performance_shows_the_predictors_there_are(tmp_path):
    performance_table(scored_pairs()).to_csv(tmp_path / "p.tsv", sep="\t", index=False)
    curve_table(scored_pairs()).to_csv(tmp_path / "c.tsv", sep="\t", index=False)
    crispri_performance(tmp_path / "p.tsv", tmp_path / "c.tsv", [tmp_path / "f.svg"], title="Toy")
    words = texts(tmp_path / "f.svg")
    assert "within windows: 6 of 30 pairs regulated" in words
    assert "at any distance (40 pairs)" in words
    for name in (
        "mask",
        "signal prior",
        "called regions",
        "activity by contact",
        "distance to TSS",
    ):
        assert name in words
    assert "sequence part" not in words
    assert "rE2G" in words


def test_crispri_performance_without_pairs(tmp_path):
    pairs = scored_pairs().assign(split="train")
    performance_table(pairs).to_csv(tmp_path / "p.tsv", sep="\t", index=False)
    curve_table(pairs).to_csv(tmp_path / "c.tsv", sep="\t", index=False)
    crispri_performance(tmp_path / "p.tsv", tmp_path / "c.tsv", [tmp_path / "f.svg"], title="Toy")
    assert "no pairs, or of one kind only, in the windows of test genes" in texts(
        tmp_path / "f.svg"
    )


@pytest.fixture
def overlap_tables(tmp_path):
    folds = [
        ("ccres", 4_210, 31, 10_000, 0.31, 0.11, 2.8, 2.6, 3.1, 0.001),
        ("rare", 4_210, 31, 10_000, 0.01, 0.002, 5.0, 1.5, np.inf, 0.02),
        ("never", 4_210, 31, 10_000, 0.0, 0.0, np.nan, 0.0, np.inf, 1.0),
    ]
    table = pd.DataFrame(folds, columns=list(ENRICHMENT_COLUMNS))
    table.to_csv(tmp_path / "e.tsv", sep="\t", index=False)
    shares = [
        (name, "ccres", 12, 2_304, share, share - 0.05, share + 0.05, 0.0, 0.0, 0.0)
        for name, share in (("peaks", 0.4), ("mask", 0.45), ("dnase", 0.5))
    ]
    equal = pd.DataFrame(shares, columns=list(EQUAL_COLUMNS))
    equal.to_csv(tmp_path / "q.tsv", sep="\t", index=False)
    return tmp_path / "e.tsv", tmp_path / "q.tsv", equal


def test_reference_overlap_with_and_without_peaks(overlap_tables, tmp_path):
    enrichment, equal, table = overlap_tables
    reference_overlap(enrichment, equal, [tmp_path / "a.svg"], title="Toy")
    words = texts(tmp_path / "a.svg")
    for text in ("4,210 regions", "ccres", "p = 0.001", "rare", "p = 0.02", "peaks", "DNase"):
        assert text in words
    assert "as many bases as in peaks: 2,304, 12 genes" in words
    assert "never" not in words
    assert "signal prior" not in words
    table.head(0).to_csv(equal, sep="\t", index=False)
    reference_overlap(enrichment, equal, [tmp_path / "b.svg"], title="Toy")
    assert "as many bases" not in texts(tmp_path / "b.svg")


def test_reference_overlap_of_no_region(overlap_tables, tmp_path):
    enrichment, equal, table = overlap_tables
    table.head(0).to_csv(equal, sep="\t", index=False)
    folds = pd.read_csv(enrichment, sep="\t").assign(fold=np.nan)
    folds.to_csv(enrichment, sep="\t", index=False)
    reference_overlap(enrichment, equal, [tmp_path / "a.svg"], title="Toy")
    assert "no region of a test gene overlaps a reference" in texts(tmp_path / "a.svg")


def test_motif_shares(tmp_path):
    rows = [
        ("MA1.1", "FOS", 7, 100, 3, 40, 500, 50, 0.4, 0.1, 4.0, 1e-12, 2e-12),
        ("MA2.1", "NA", 9, 100, 3, 2, 500, 0, 0.02, 0.0, np.inf, 0.03, 0.03),
    ]
    pd.DataFrame(rows, columns=MOTIF_COLUMNS).to_csv(tmp_path / "m.tsv", sep="\t", index=False)
    motif_shares(tmp_path / "m.tsv", [tmp_path / "a.svg", tmp_path / "a.png"], title="Toy")
    words = texts(tmp_path / "a.svg")
    for text in ("FOS  q = 2e-12", "NA  q = 0.03", "100 regions", "called regions"):
        assert text in words
    assert png_size(tmp_path / "a.png")[0] > 400
    nothing = pd.DataFrame(rows, columns=MOTIF_COLUMNS).assign(p=np.nan)
    nothing.to_csv(tmp_path / "m.tsv", sep="\t", index=False)
    motif_shares(tmp_path / "m.tsv", [tmp_path / "b.svg"], title="Toy")
    assert "no region of a test gene to look at" in texts(tmp_path / "b.svg")
