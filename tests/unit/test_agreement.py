"""Agreement of runs and cell-type specificity, by hand and against scipy."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr

from seq2exp.errors import UserError
from seq2exp.evidence.agreement import RunFiles, write_agreement
from seq2exp.evidence.specificity import CellLineFiles, write_specificity
from seq2exp.masks import write_masks
from seq2exp.schemas import ELEMENT_COLUMNS, read_table
from seq2exp.store import build_store, open_store

LENGTH, PROMOTER = 1_000, 200  # G1: chr1:-200-800, G4: chr1:5500-6500, G5: chr1:7500-8500
RUN = {"assay": "CAGE", "model": "soft", "kind": "seq2exp_soft", "promoter_length": PROMOTER}


def write_run(folder, gene_ids, mask, elements, **what):
    """Masks and elements of a run; elements are (gene, start, end)."""
    meta = RUN | {"cell_line": "Toy", "fold": 1, "seed": 2} | what
    write_masks(folder / "masks", gene_ids, {"mask": mask}, meta=meta)
    rows = [
        ("chr1", start, end, f"{gene}:{i}", 500, ".", gene, gene.lower(), 1, 0.5)
        for i, (gene, start, end) in enumerate(elements)
    ]
    table = pd.DataFrame(rows, columns=["#chrom", *ELEMENT_COLUMNS[1:]])
    table.to_csv(folder / "elements.bed.gz", sep="\t", index=False)
    return RunFiles(folder / "masks", folder / "elements.bed.gz")


def random_masks(seed, genes):
    mask = np.random.default_rng(seed).random((genes, LENGTH)).round(2)
    mask[:, 400:600] = 1
    return mask.astype(np.float16)


def test_runs_that_differ_in_one_thing_are_compared(toy_store_dir, tmp_path):
    masks = [random_masks(seed, 2) for seed in range(4)]
    runs = [
        write_run(tmp_path / "a", ["G1", "G4"], masks[0], [("G4", 5_600, 5_700), ("G1", 150, 160)]),
        write_run(
            tmp_path / "b",
            ["G4", "G5"],
            masks[1],
            [("G4", 5_650, 5_750), ("G5", 7_600, 7_700)],
            seed=22,
        ),
        write_run(tmp_path / "c", ["G5", "G1"], masks[2], [], fold=2, seed=22),
        write_run(tmp_path / "d", ["G7", "G8"], masks[3], [], fold=2),
    ]
    write_agreement(runs, {"Toy": toy_store_dir}, tmp_path / "out.tsv")
    table = read_table(tmp_path / "out.tsv")
    assert list(zip(table["differs"], table["seed_a"], table["seed_b"], strict=True)) == [
        *(("seed", 2, 22), ("fold", 2, 2), ("fold", 22, 22), ("seed", 22, 2)),
    ]
    assert table["genes"].tolist() == [1, 0, 1, 0]
    outside = np.r_[0:400, 600:1_000]
    first = table.iloc[0]  # of G4 alone
    rho = spearmanr(masks[0][1, outside], masks[1][0, outside]).statistic
    assert first["spearman"] == pytest.approx(rho, abs=1e-6)
    # 50 of 150 bases; by chance 100 x 100 / 800 = 12.5 of 187.5
    assert first["jaccard"] == pytest.approx(50 / 150)
    assert first["jaccard_by_chance"] == pytest.approx(12.5 / 187.5)
    assert np.isnan(table["spearman"][1])
    assert table["jaccard"][2] == 0  # G5 has 100 bases of regions in one run and none in the other


def test_bases_that_no_model_sees_do_not_count(toy_store_dir, tmp_path):
    """G1's window has 200 bases off the chromosome, ten blacklisted, and a promoter."""
    masks = [random_masks(seed, 1) for seed in (5, 6)]
    runs = [
        write_run(tmp_path / str(seed), ["G1"], mask, [("G1", 0, 60)], seed=seed)
        for seed, mask in enumerate(masks)
    ]
    write_agreement(runs, {"Toy": toy_store_dir}, tmp_path / "out.tsv")
    table = read_table(tmp_path / "out.tsv")
    seen = np.setdiff1d(np.r_[200:400, 600:1_000], np.arange(450, 460))
    rho = spearmanr(masks[0][0, seen], masks[1][0, seen]).statistic
    assert table["spearman"][0] == pytest.approx(rho, abs=1e-6)
    assert table["jaccard"][0] == 1
    # 60 bases of 600 in both: 6 of 114 by chance (N lie beyond the window)
    assert table["jaccard_by_chance"][0] == pytest.approx(6 / 114)


def test_constant_masks_have_no_rank_correlation(toy_store_dir, tmp_path):
    flat = np.ones((1, LENGTH), dtype=np.float16)
    runs = [
        write_run(tmp_path / "a", ["G4"], flat, []),
        write_run(tmp_path / "b", ["G4"], random_masks(0, 1), [], seed=3),
    ]
    write_agreement(runs, {"Toy": toy_store_dir}, tmp_path / "out.tsv")
    table = read_table(tmp_path / "out.tsv")
    assert table["genes"][0] == 1
    assert table[["spearman", "jaccard"]].isna().all(axis=None)


def test_runs_of_other_windows_are_refused(toy_store_dir, tmp_path):
    runs = [
        write_run(tmp_path / "a", ["G4"], random_masks(0, 1), []),
        write_run(tmp_path / "b", ["G4"], random_masks(0, 1)[:, 100:-100], [], seed=3),
    ]
    with pytest.raises(UserError, match=r"masks of windows of \[800, 1000\] bp"):
        write_agreement(runs, {"Toy": toy_store_dir}, tmp_path / "out.tsv")


# ------------------------------------------------------------------------- specificity


@pytest.fixture(scope="module")
def other_store_dir(toy, tmp_path_factory):
    """A second cell line whose DNase is the first's H3K27ac."""
    folder = tmp_path_factory.mktemp("other") / "Other"
    inputs = toy.inputs() | {"cell_line": "Other", "dnase": toy.path("h3k27ac.bw")}
    build_store(folder, **inputs)
    return folder


def test_elements_of_one_cell_line_and_not_of_the_other(toy_store_dir, other_store_dir, tmp_path):
    masks = [random_masks(seed, 2) for seed in range(2)]
    elements = [
        [("G4", 5_600, 5_700), ("G4", 6_200, 6_240), ("G5", 7_600, 7_700), ("G1", 700, 750)],
        [("G4", 5_650, 5_670), ("G4", 5_690, 5_720), ("G5", 8_000, 8_010)],
    ]
    files = {}
    genes = [["G4", "G5"], ["G5", "G4"]]
    for i, (name, store) in enumerate((("Toy", toy_store_dir), ("Other", other_store_dir))):
        run = write_run(tmp_path / name, genes[i], masks[i], elements[i], cell_line=name)
        files[name] = CellLineFiles(run.elements, run.masks, store)
    outs = {"out_elements": tmp_path / "elements.tsv", "out_summary": tmp_path / "summary.tsv"}
    write_specificity(files, **outs)
    table = read_table(outs["out_elements"])
    own = table[table["cell_line"] == "Toy"].reset_index(drop=True)
    # G1 has no mask in the other cell line.
    assert own["start"].tolist() == [5_600, 6_200, 7_600]
    np.testing.assert_allclose(own["shared"], [0.3, 0, 0])
    np.testing.assert_allclose(own["other_mask"][0], masks[1][1, 100:200].mean(dtype=float), 1e-6)
    np.testing.assert_allclose(own["h3k27ac_log2_fold"], 0, atol=1e-12)

    stores = [open_store(toy_store_dir), open_store(other_store_dir)]

    def level(store, start, end):
        rows = [store.genes["gene_id"].tolist().index(gene) for gene in ("G4", "G5")]
        dnase = store.signals[:, 1].astype(float)
        firsts = [store.offsets[row] + 500 for row in rows]
        background = np.mean([dnase[first : first + LENGTH] for first in firsts])
        return 1 + dnase[firsts[0] + start - 5_500 : firsts[0] + end - 5_500].mean() / background

    expected = np.log2(level(stores[0], 5_600, 5_700) / level(stores[1], 5_600, 5_700))
    assert own["dnase_log2_fold"][0] == pytest.approx(expected, abs=1e-6)
    summary = read_table(outs["out_summary"]).set_index("cell_line")
    assert summary.loc["Toy", ["elements", "specific"]].tolist() == [3, 2]
    assert summary.loc["Other", ["elements", "specific"]].tolist() == [3, 1]
    assert summary.loc["Toy", "dnase_log2_fold_shared"] == pytest.approx(expected, abs=1e-6)
    medians = own["dnase_log2_fold"][1:].median()
    assert summary.loc["Toy", "dnase_log2_fold_specific"] == pytest.approx(medians, abs=1e-6)
