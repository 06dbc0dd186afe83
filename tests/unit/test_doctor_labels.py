"""Labels examined: distribution, correlation with promoters, cell lines against each other."""

import numpy as np
import pandas as pd
import pytest

from seq2exp.doctor.checkup import Checkup
from seq2exp.doctor.compare import Promoters, compare_cell_lines
from seq2exp.doctor.labels import note_correlations, note_labels, spearman
from seq2exp.expression import LabelInputs, Labels

GENES = 40


def examined(values, lacking=None, **inputs):
    checkup = Checkup("X")
    note_labels(
        checkup, "CAGE", Labels(np.array(values, float), lacking or {}), LabelInputs(**inputs)
    )
    return checkup


def sentences(checkup):
    return [f"{level}: {text}" for level, _, text in checkup.findings]


def test_figures_by_hand():
    checkup = examined([np.nan, 0, 0, 1, 3], {"not in the table": 1}, transform="none")
    figures = {name: value for _, name, value in checkup.figures}
    assert figures == {
        "genes": 4,
        "lacking": "not in the table: 1",
        "zero": 0.5,
        "min": 0,
        "median": 0.5,
        "q999": pytest.approx(1 + 2 * 0.997),  # position 2.997 of 0..3
        "max": 3,
    }
    assert sentences(checkup) == []


@pytest.mark.parametrize(
    ("values", "transform", "words"),
    [
        (
            [np.nan] * 30 + [1, 2, 3],
            "none",
            "warning: only 3 of 33 genes have a label (why: 30); are",
        ),
        ([2.5] * 5, "none", "error: nothing to learn from: all are 2.5; give other"),
        ([np.nan] * 5, "none", "error: nothing to learn from: there is none; give other"),
        ([0] * 39 + [2], "none", "warning: 98% of the labels are 0; are the tracks"),
        # log10(1 + 15): the values were logarithms before.
        (np.linspace(0.1, np.log10(16), GENES), "log10_1p", "warning: the largest value is 15, sm"),
        (np.linspace(1, 3_000, GENES), "none", "warning: the largest value is 3000, large for a l"),
        (np.linspace(0.1, 3.5, GENES), "log10_1p", None),
        (np.linspace(-3, 15, GENES), "none", None),
    ],
)
def test_odd_labels_are_said(values, transform, words):
    found = sentences(examined(values, {"why": 30}, transform=transform))
    if words is None:
        assert found == []
    else:
        assert [line for line in found if line.startswith(words)], found


def test_correlations_by_hand():
    x = np.arange(GENES, dtype=float)
    swapped = x.copy()
    swapped[[0, GENES - 1]] = swapped[[GENES - 1, 0]]
    # 1 - 6 sum d^2 / (n (n^2 - 1)), with two d of 39
    rho = 1 - 6 * 2 * 39**2 / (40 * (40**2 - 1))
    assert spearman(x, np.exp(swapped / 9)) == pytest.approx(rho)
    assert spearman(x, np.zeros(GENES)) == 0
    labels = np.append(x, np.nan)
    checkup = Checkup("X")
    signals = {"h3k27ac": np.append(swapped, 7), "dnase": np.append(x, 7)}
    note_correlations(checkup, "CAGE", labels, signals)
    assert checkup.get("CAGE", "rho_h3k27ac") == pytest.approx(rho)
    assert checkup.get("CAGE", "rho_dnase") == pytest.approx(1)
    assert checkup.findings == []


@pytest.mark.parametrize(
    ("low", "words"),
    [
        ({"dnase"}, "(Spearman r: dnase -1.00; usual is .6 to .85): labels and dnase are"),
        (
            {"dnase", "h3k27ac"},
            "h3k27ac -1.00, dnase -1.00; usual is .6 to .85): labels and tracks ",
        ),
    ],
)
def test_labels_that_do_not_go_with_the_tracks(low, words):
    x = np.arange(GENES, dtype=float)
    checkup = Checkup("X")
    signals = {name: -x if name in low else x for name in ("h3k27ac", "dnase")}
    note_correlations(checkup, "CAGE", x, signals)
    ((level, item, text),) = checkup.findings
    assert (level, item) == ("warning", "CAGE")
    assert words in text
    checkup = Checkup("X")
    note_correlations(checkup, "CAGE", x[:29], {"dnase": -x[:29]})
    assert sentences(checkup) == [
        "hint: 29 genes are too few to tell whether labels and tracks belong together"
    ]
    checkup = Checkup("X")
    note_correlations(checkup, "CAGE", x, {})
    assert (checkup.figures, checkup.findings) == ([], [])


def promoters(name, labels, h3k27ac, dnase):
    columns = {"h3k27ac": h3k27ac, "dnase": dnase, "label_CAGE": labels}
    ids = [f"G{i}" for i in range(GENES)]
    return Promoters(name, pd.DataFrame({"gene_id": ids, **columns}).sample(frac=1, random_state=1))


def compared(*several):
    checkups = [Checkup(each.cell_line) for each in several]
    compare_cell_lines(several, checkups)
    return checkups


def test_cell_lines_whose_tracks_are_swapped():
    rng = np.random.default_rng(1)
    a, b = rng.normal(size=(2, GENES)) + 2 * rng.normal(size=GENES)
    fine = compared(promoters("A", a, a + 1, 2 * a), promoters("B", b, b + 1, 2 * b))
    assert fine[0].get("CAGE", "rho_with_A") == pytest.approx(1)
    assert fine[1].get("CAGE", "rho_with_A") == pytest.approx(spearman(a, b))
    assert fine[0].findings == fine[1].findings == []
    wrong = compared(promoters("A", a, b + 1, 2 * b), promoters("B", b, a + 1, 2 * a))
    assert sentences(wrong[0]) == [
        f"warning: its labels go better with the tracks of B (Spearman r 1.00) than with its own "
        f"({spearman(a, b):.2f}); are files swapped?"
    ]
    assert len(wrong[1].findings) == 1


def test_one_file_for_two_cell_lines():
    rng = np.random.default_rng(2)
    a, b = rng.normal(size=(2, GENES)) + 3 * rng.normal(size=GENES)
    first, second = compared(promoters("A", a, a, 2 * a), promoters("B", b, a, 2 * b))
    for checkup, other in ((first, "B"), (second, "A")):
        text = f"has the values of {other} at every gene; give each its own file"
        assert ("warning", "h3k27ac", text) in checkup.findings
        assert [item for _, item, text in checkup.findings if "at every gene" in text] == [
            "h3k27ac"
        ]


def test_a_cell_line_without_tracks_is_left_out():
    a = np.arange(GENES, dtype=float)
    table = pd.DataFrame({"gene_id": [f"G{i}" for i in range(GENES)], "label_CAGE": a})
    (first, second) = compared(Promoters("A", table), promoters("B", a + 0.5, a, a))
    assert first.figures == second.figures == []
