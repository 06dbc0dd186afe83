"""The whole Snakefile on a micro genome: what comes out is held against the simulated files.

Nothing is compared with an earlier run: labels against the simulation's truth, the regression
against one fitted here on the raw bigWigs, regions against the mask, the summary against the
predictions.
"""

import gzip
import itertools
import json
import re

import numpy as np
import pandas as pd
import pybedtools
import pyBigWig
import pysam
import pytest
import yaml

from seq2exp.simulate import Settings, simulate
from tests.workflow.conftest import ROOT, run_snakemake

RUNS = [(cell, model) for cell in ("SimA", "SimB") for model in ("seq2exp_soft", "signal_linear")]
MASKED = [run for run in RUNS if run[1] == "seq2exp_soft"]
HALF, PROMOTER_HALF, SPANS = 1_000, 100, (250, 1_000)


@pytest.fixture(scope="session")
def run_folder(tmp_path_factory):
    """A working directory in which the demo's workflow has run, with a tiny, short training."""
    folder = tmp_path_factory.mktemp("whole")
    simulate(folder / "results" / "demo" / "simulated", 3, Settings(genes=60))
    config = yaml.safe_load((ROOT / "demo" / "config.yaml").read_text())
    config["models"]["seq2exp_soft"] |= {"d_model": 8, "d_state": 4, "predictor_layers": 1}
    config["models"]["signal_linear"]["spans"] = list(SPANS)
    config["training"] |= {"steps": 6, "warmup_steps": 2, "workers": 0, "accelerator": "cpu"}
    config["evaluation"]["loci"] = 1
    config["evaluation"]["views"] = {
        "1kb": {"window_length": 1_000},
        "promoter_mask": {"mask": "promoter"},
    }
    done = run_snakemake("--quiet", "all", cwd=folder, config=config, timeout=1_800)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.fixture(scope="session")
def results(run_folder):
    return run_folder / "results" / "demo"


def of_run(results, kind, cell, model, name):
    return results / kind / cell / "CAGE" / model / "fold1_seed2" / name


def predictions(results, cell, model):
    return pd.read_csv(of_run(results, "predictions", cell, model, "predictions.tsv"), sep="\t")


@pytest.mark.parametrize(("cell", "model"), RUNS)
def test_every_gene_has_the_label_that_was_simulated_and_the_split_of_its_chromosome(
    results, cell, model
):
    table = predictions(results, cell, model).set_index("gene_id")
    truth = pd.read_csv(results / "simulated" / "truth" / "expression.tsv", sep="\t")
    truth = truth[truth["cell_line"] == cell].set_index("gene_id")
    assert set(table.index) == set(truth.index)
    # SimA's are summed from a float32 bigWig, SimB's read from a table
    np.testing.assert_allclose(table["observed"], truth.loc[table.index, "label"], atol=2e-6)
    splits = {"chr1": "train", "chr2": "train", "chr3": "train", "chr4": "valid", "chr5": "test"}
    assert table["split"].tolist() == [splits[chrom] for chrom in table["chrom"]]


def raw_features(results, cell, table):
    """log1p of the mean signal around each TSS, from the simulated bigWigs themselves."""
    columns = []
    for assay in ("H3K27ac", "DNase"):
        with pyBigWig.open(str(results / "simulated" / f"{cell}.{assay}.bw")) as bigwig:
            for span in SPANS:
                sums = []
                for chrom, tss in zip(table["chrom"], table["tss"], strict=True):
                    start, end = max(tss - span, 0), min(tss + span, bigwig.chroms(chrom))
                    sums.append(np.nansum(bigwig.values(chrom, start, end, numpy=True)))
                columns.append(np.log1p(np.array(sums) / (2 * span)))
    return np.column_stack([np.ones(len(table)), *columns])


@pytest.mark.parametrize("cell", ["SimA", "SimB"])
def test_the_regression_is_the_one_fitted_on_the_raw_tracks(results, cell):
    table = predictions(results, cell, "signal_linear")
    design = raw_features(results, cell, table)
    seen = (table["split"] != "test").to_numpy()
    solution, *_ = np.linalg.lstsq(design[seen], table["observed"][seen], rcond=None)
    # the store keeps signals as float16
    np.testing.assert_allclose(table["predicted"], design @ solution, atol=5e-3)
    assert table["mask_ratio"].isna().all()


@pytest.mark.parametrize(("cell", "model"), MASKED)
def test_masks_are_those_of_the_test_genes_with_the_promoter_always_seen(results, cell, model):
    table = predictions(results, cell, model)
    folder = of_run(results, "predictions", cell, model, "masks")
    gene_ids = json.loads((folder / "masks.json").read_text())["gene_ids"]
    test = table[table["split"] == "test"].set_index("gene_id")
    assert gene_ids == test.index.tolist()
    mask = np.load(folder / "mask.npy").astype(float)
    assert mask.shape == (len(test), 2 * HALF)
    assert (mask[:, HALF - PROMOTER_HALF : HALF + PROMOTER_HALF] == 1).all()
    np.testing.assert_allclose(mask.mean(axis=1), test["mask_ratio"], atol=1e-3)


@pytest.mark.parametrize(("cell", "model"), MASKED)
def test_blacklisted_bases_have_no_mask(results, cell, model):
    blacklist = pd.read_csv(
        results / "simulated" / "blacklist.bed", sep="\t", header=None, usecols=[0, 1, 2]
    )
    test = predictions(results, cell, model).query("split == 'test'")
    mask = np.load(of_run(results, "predictions", cell, model, "masks") / "mask.npy")
    hidden = 0
    for row, gene in enumerate(test.itertuples()):
        first = gene.tss - HALF
        for _, start, end in blacklist[blacklist[0] == gene.chrom].itertuples(index=False):
            bases = np.arange(max(start, first), min(end, first + 2 * HALF))
            bases = bases[np.abs(bases - gene.tss + 0.5) > PROMOTER_HALF]
            assert (mask[row, bases - first] == 0).all()
            hidden += len(bases)
    assert hidden > 0


@pytest.mark.parametrize(("cell", "model"), MASKED)
def test_regions_are_indexed_outside_the_promoter_and_carry_their_mask(results, cell, model):
    path = of_run(results, "regions", cell, model, "elements.bed.gz")
    table = predictions(results, cell, model).set_index("gene_id")
    folder = of_run(results, "predictions", cell, model, "masks")
    gene_ids = json.loads((folder / "masks.json").read_text())["gene_ids"]
    mask = np.load(folder / "mask.npy").astype(float)
    with pysam.TabixFile(str(path)) as indexed:
        rows = [line.split("\t") for chrom in indexed.contigs for line in indexed.fetch(chrom)]
    with gzip.open(path, "rt") as plain:
        assert len(rows) == sum(not line.startswith("#") for line in plain) > 0
    for _, start, end, _, score, _, gene_id, *_, mean_mask in rows:
        first = table.loc[gene_id, "tss"] - HALF
        bases = np.arange(int(start), int(end)) - first
        assert (np.abs(bases - HALF + 0.5) > PROMOTER_HALF).all()
        mean = mask[gene_ids.index(gene_id), bases].mean()
        assert float(mean_mask) == pytest.approx(mean, abs=1e-3)
        assert int(score) == pytest.approx(1000 * mean, abs=1)
    assert {row[0] for row in rows} == {"chr5"}


def slow_auprc(scores, positive):
    """Trapezoids between the distinct scores, the point that calls all pairs left out."""
    points = []
    if not 0 < positive.sum() < len(positive):
        return np.nan
    for threshold in sorted(set(scores), reverse=True)[:-1]:
        called = positive[scores >= threshold]
        points.append((called.sum() / positive.sum(), called.mean()))
    return sum((b[0] - a[0]) * (a[1] + b[1]) / 2 for a, b in itertools.pairwise(points))


@pytest.mark.parametrize(("cell", "model"), MASKED)
def test_the_screen_is_scored_by_the_mask_and_by_its_baselines(results, cell, model):
    pairs = pd.read_csv(of_run(results, "evidence", cell, model, "crispri_pairs.tsv"), sep="\t")
    screen = pd.read_csv(results / "simulated" / "truth" / "crispri_pairs.tsv", sep="\t")
    screen = screen[screen["cell_line"] == cell]
    key = ["chrom", "start", "gene_name"]
    truth = screen.set_index(key)["regulated"]
    assert pairs.set_index(key)["regulated"].sort_index().equals(truth.sort_index())
    table = predictions(results, cell, model).set_index("gene_id")
    folder = of_run(results, "predictions", cell, model, "masks")
    gene_ids = json.loads((folder / "masks.json").read_text())["gene_ids"]
    mask = np.load(folder / "mask.npy").astype(float)
    test = pairs[pairs["split"] == "test"]
    assert set(test["chrom"]) == {"chr5"}
    for pair in test.itertuples():
        first = table.loc[pair.gene_id, "tss"] - HALF
        bases = mask[gene_ids.index(pair.gene_id), pair.start - first : pair.end - first]
        assert pair.mask == pytest.approx(bases.mean(), abs=1e-3)
    assert pairs.loc[pairs["split"] != "test", "mask"].isna().all()
    performance = pd.read_csv(of_run(results, "evidence", cell, model, "crispri.tsv"), sep="\t")
    found = performance.query("distance == 'all'").set_index("predictor")["auprc"]
    for name in ("mask", "abc", "activity"):
        expected = slow_auprc(test[name].to_numpy(), test["regulated"].to_numpy())
        assert found[name] == pytest.approx(expected, abs=1e-6, nan_ok=True)
    expected = slow_auprc(-test["distance"].to_numpy(), test["regulated"].to_numpy())
    assert found["distance"] == pytest.approx(expected, abs=1e-6, nan_ok=True)


@pytest.mark.parametrize(("cell", "model"), MASKED)
def test_all_regions_are_held_against_the_planted_elements(results, cell, model):
    table = pd.read_csv(of_run(results, "evidence", cell, model, "enrichment.tsv"), sep="\t")
    assert table["reference"].tolist() == ["active", "decoys", "peaks"]
    bed = of_run(results, "regions", cell, model, "elements.bed.gz")
    distinct = pybedtools.BedTool(str(bed)).merge(d=-1).count()
    assert set(table["regions"] + table["unmatched"]) == {distinct}
    assert table["observed"].between(0, 1).all()
    equal = pd.read_csv(of_run(results, "evidence", cell, model, "equal_bases.tsv"), sep="\t")
    assert set(equal["score"]) == {"peaks", "mask", "sequence_part", "prior", "dnase"}
    assert (equal["bases"] > 0).all()


@pytest.mark.parametrize(("cell", "model"), MASKED)
def test_browsers_get_the_elements_and_masks_of_the_run(results, cell, model):
    bed = pd.read_csv(of_run(results, "regions", cell, model, "elements.bed.gz"), sep="\t")
    for name in ("elements.bb", "links.bb"):
        with pyBigWig.open(str(of_run(results, "regions", cell, model, name))) as bigbed:
            rows = bigbed.entries("chr5", 0, bigbed.chroms("chr5")) or []
        assert sorted(rest.split("\t")[0] for *_, rest in rows) == sorted(bed["name"])
    masks = of_run(results, "predictions", cell, model, "masks")
    ids = json.loads((masks / "masks.json").read_text())["gene_ids"]
    gene = predictions(results, cell, model).set_index("gene_id").loc[ids[-1]]
    for part in ("sequence_part", "prior"):
        values = np.load(masks / f"{part}.npy", mmap_mode="r")[-1]
        place = of_run(results, "regions", cell, model, f"{part}.bw")
        hub = results / "hub" / "simulated" / cell / "CAGE" / model / "fold1_seed2" / place.name
        for path in (place, hub):
            with pyBigWig.open(str(path)) as bigwig:
                found = bigwig.values("chr5", int(gene["tss"]) - 50, int(gene["tss"]) + 50)
            assert (
                np.array(found) >= values[HALF - 50 : HALF + 50]
            ).all()  # of windows the largest
    page = of_run(results, "figures", cell, model, "loci.html").read_text()
    assert page.count('"fasta":"data:') == min(4, len(ids))
    assert f"track {cell}_CAGE_{model}_elements_f1_s2" in (results / "hub" / "hub.txt").read_text()


def test_cell_lines_are_compared_as_their_masks_are(results):
    (row,) = pd.read_csv(
        results / "evidence" / "agreement" / "CAGE" / "seq2exp_soft.tsv", sep="\t"
    ).itertuples()
    assert (row.differs, row.cell_line_a, row.cell_line_b) == ("cell_line", "SimA", "SimB")
    assert row.genes == len(predictions(results, "SimA", "seq2exp_soft").query("split == 'test'"))
    assert -1 <= row.spearman <= 1
    assert 0 <= row.jaccard <= 1
    summary = results / "evidence" / "specificity" / "CAGE" / "seq2exp_soft"
    summary = pd.read_csv(summary / "fold1_seed2_summary.tsv", sep="\t")
    for cell, elements in zip(summary["cell_line"], summary["elements"], strict=True):
        bed = of_run(results, "regions", cell, "seq2exp_soft", "elements.bed.gz")
        assert elements == len(pd.read_csv(bed, sep="\t"))


def test_differences_of_cell_lines_are_of_their_common_test_genes(results):
    table = pd.read_csv(results / "evidence" / "differences.tsv", sep="\t").set_index("model")
    assert set(table.index) == {model for _, model in RUNS}
    for model, row in table.iterrows():
        one, other = (
            predictions(results, cell, model).query("split == 'test'").set_index("gene_id")
            for cell in ("SimA", "SimB")
        )
        shared = one.index.intersection(other.index)
        assert row["genes"] == len(shared)
        columns = ["observed", "predicted"]
        apart = one.loc[shared, columns] - other.loc[shared, columns]
        assert row["pearson"] == pytest.approx(apart.corr().loc[*columns], abs=1e-4)


def test_summary_has_the_figures_of_the_predictions(results):
    summary = pd.read_csv(results / "summary.tsv", sep="\t").set_index(["cell_line", "model"])
    assert set(summary.index) == set(RUNS)
    for cell, model in RUNS:
        test = predictions(results, cell, model).query("split == 'test'")
        row = summary.loc[(cell, model)]
        r = np.corrcoef(test["observed"], test["predicted"])[0, 1]
        assert row["pearson"] == pytest.approx(r, abs=1e-4)
        mse = ((test["observed"] - test["predicted"]) ** 2).mean()
        assert row["mse"] == pytest.approx(mse, rel=1e-4)
        assert row["test_genes"] == len(test)
    ceiling = pd.read_csv(results / "simulated" / "truth" / "ceiling.tsv", sep="\t")
    for cell in ("SimA", "SimB"):
        (of_chr5,) = ceiling.query("cell_line == @cell and chrom == 'chr5'")[
            "noise_ceiling_pearson"
        ]
        assert summary.loc[(cell, "signal_linear"), "noise_ceiling"] == pytest.approx(of_chr5)


def test_views_are_of_the_test_genes_and_summed_up(results):
    summary = pd.read_csv(results / "views.tsv", sep="\t").set_index(["cell_line", "model", "view"])
    assert len(summary) == len(RUNS) * 3
    for cell, model in RUNS:
        table = pd.read_csv(of_run(results, "evaluation", cell, model, "views.tsv"), sep="\t")
        test = predictions(results, cell, model).query("split == 'test'")
        full = table[table["view"] == "full"]
        assert full["gene_id"].tolist() == test["gene_id"].tolist()
        np.testing.assert_allclose(full["predicted"], test["predicted"], rtol=1e-6)
        own = summary.loc[(cell, model)]
        mse = ((full["observed"] - full["predicted"]) ** 2).mean()
        assert own.loc["full", "mse"] == pytest.approx(mse, rel=1e-6)
        if model == "signal_linear":
            # The demo's spans reach 1 kb to both sides.
            assert own.loc["1kb", "skipped"] == "it cannot read windows of 1000 bp"
            assert own.loc["promoter_mask", "skipped"] == "it has no mask"
        else:
            masked = table[table["view"] == "promoter_mask"]
            assert masked["mask_ratio"].to_numpy() == pytest.approx(0.1)
            assert own.loc["1kb", "test_genes"] == len(test)
            assert own.loc["1kb", "mse_change"] == pytest.approx(
                own.loc["1kb", "mse"] - mse, abs=1e-6
            )


def test_the_check_has_the_figures_of_the_simulated_files(results):
    table = pd.read_csv(results / "check.tsv", sep="\t").set_index(["cell_line", "item", "figure"])
    figures = table["value"]
    truth = pd.read_csv(results / "simulated" / "truth" / "expression.tsv", sep="\t")
    for cell in ("SimA", "SimB"):
        genes = predictions(results, cell, "signal_linear")
        assert int(figures[cell, "CAGE", "genes"]) == len(genes)
        assert int(figures[cell, "CAGE", "fold1 test"]) == (genes["split"] == "test").sum()
        labels = truth.loc[truth["cell_line"] == cell, "label"]
        assert float(figures[cell, "CAGE", "max"]) == pytest.approx(labels.max(), rel=1e-4)
        promoters = pd.read_csv(results / "check" / f"{cell}.promoters.tsv", sep="\t")
        rho = promoters["label_CAGE"].corr(promoters["dnase"], method="spearman")
        assert float(figures[cell, "CAGE", "rho_dnase"]) == pytest.approx(
            rho, abs=0.01
        )  # ties: 8 digits
    assert "SimB" in (results / "check.html").read_text()


def test_a_new_cell_line_is_one_block_and_runs_its_own_jobs_only(run_folder):
    track = "{{path: results/demo/simulated/SimB.{}.bw}}"
    block = (
        f"cell_lines={{SimC: {{h3k27ac: {track.format('H3K27ac')}, dnase: {track.format('DNase')}, "
        f"expression: {{CAGE: {{bigwig: {track.format('CAGE')}}}}}}}}}"
    )
    done = run_snakemake("--dry-run", "--config", block, cwd=run_folder)
    assert done.returncode == 0, done.stderr
    counts = dict(re.findall(r"^(\w+) +(\d+)$", done.stdout, re.MULTILINE))
    assert {name: int(count) for name, count in counts.items()} == {
        **{"check_cell_line": 1, "build_store": 1, "train": 2, "predict": 1, "evaluate": 1},
        **{"predict_without_masks": 1, "evaluate_without_masks": 1, "export_regions": 1},
        **{"plot_expression": 2, "plot_training": 2, "plot_distance": 1, "plot_loci": 1},
        **{"score_references": 1, "plot_references": 1, "compare_runs": 1, "compare_cell_lines": 1},
        **{"export_part": 2, "export_bigbeds": 1, "igv_page": 1, "build_hub": 1},
        **{"views": 2, "summarise_views": 1, "check_all": 1, "summarise": 1, "all": 1},
        **{"score_elements": 1, "compare_expression": 1, "total": 32},
    }
    of_cell_lines = re.findall(r"wildcards:.*cell_line=(\w+)", done.stdout)
    assert set(of_cell_lines) == {"SimC"}
    assert len(of_cell_lines) == 24


def test_every_job_left_a_log_and_no_traceback(results):
    logs = list((results / "logs").rglob("*.log"))
    # 3 sources, genome, genes, folds, 2 checks and one of all, 2 stores,
    # 4 x (train, predict, evaluate, views, 2 plots), 2 x (regions, distance, loci), 2 summaries;
    # 2 x (screen and references: read, scored, pooled, 2 plots), runs and cell lines compared,
    # 2 x (2 parts, bigBeds, page), the hub, 2 x effects of elements, differences of cell lines
    assert len(logs) == 3 + 3 + 3 + 2 + 4 * 6 + 2 * 3 + 2 + 2 * 6 + 2 + 2 * 4 + 1 + 2 + 1
    assert not [log for log in logs if "Traceback" in log.read_text()]


@pytest.mark.parametrize(
    ("change", "jobs"),
    [
        ("training={workers: 3, checkpoint_every: 7}", {}),
        (
            "regions={threshold: 0.2}",
            {"export_regions": 2, "plot_loci": 2, "export_bigbeds": 2, "igv_page": 2},
        ),
        ("browser={hub: false}", {}),
        ("browser={igv_loci: 2}", {"igv_page": 2, "export_bigbeds": 0, "build_hub": 0}),
        ("evaluation={views: {2bp: {window_length: 2}}}", {"views": 4, "evaluate": 0}),
        ("seeds=[2, 3]", {"train": 4, "predict": 2, "export_regions": 2, "summarise": 1}),
        ("training={learning_rate: 0.002}", {"train": 4, "predict": 2, "summarise": 1}),
    ],
)
def test_a_change_of_the_config_reruns_what_depends_on_it(run_folder, change, jobs):
    done = run_snakemake("--dry-run", "--config", change, cwd=run_folder)
    assert done.returncode == 0, done.stderr
    counts = dict(re.findall(r"^(\w+) +(\d+)$", done.stdout, re.MULTILINE))
    assert {name: int(counts.get(name, 0)) for name in jobs} == jobs
    assert not {"fetch_source", "prepare_genome", "assign_folds", "build_store"} & set(counts)
    assert bool(counts) == bool(jobs)


def test_nothing_is_left_to_do_and_the_report_holds_every_picture(run_folder):
    again = run_snakemake("--dry-run", cwd=run_folder)
    assert "Nothing to be done" in again.stdout
    arguments = ("--report", "report.html", "--quiet", "all")
    done = run_snakemake(*arguments, cwd=run_folder)
    assert done.returncode == 0, done.stderr
    report = (run_folder / "report.html").read_text()
    pictures = list((run_folder / "results" / "demo" / "figures").rglob("*.png"))
    assert len(pictures) == 4 * 2 + 2 * 4
    for picture in pictures:
        assert report.count(picture.relative_to(run_folder).as_posix()) >= 1
