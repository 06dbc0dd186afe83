"""Training on a tiny simulated genome: resume, artefacts, closed-form fit, prediction."""

import json
import logging
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from seq2exp.annotation import prepare_genes
from seq2exp.checkpoints import load_checkpoint
from seq2exp.config import AugmentConfig, PowerLaw, TrainingConfig, WindowConfig
from seq2exp.errors import UserError
from seq2exp.expression import LabelInputs
from seq2exp.masks import open_masks
from seq2exp.model_config import CaduceusSignalsConfig, Seq2ExpSoftConfig, SignalLinearConfig
from seq2exp.prediction import predict
from seq2exp.reference import prepare_genome
from seq2exp.runs import Run, Splits, TrainingJob
from seq2exp.simulate import Settings, simulate
from seq2exp.store import build_store
from seq2exp.training import train
from seq2exp.training_task import ExpressionTask
from seq2exp.windows import WindowDataset

SOFT = Seq2ExpSoftConfig(
    d_model=8, d_state=2, generator_layers=1, predictor_layers=1, signal_transform="log1p"
)
RECIPE = TrainingConfig(
    steps=12,
    batch_size=4,
    learning_rate=5e-3,
    warmup_steps=2,
    validate_every=0.6,
    standardise_label=True,
    accelerator="cpu",
    workers=0,
    checkpoint_every=2,
)


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    """Window store of SimA and folds.tsv: 20 genes to train, 8 to validate, 8 to test."""
    folder = tmp_path_factory.mktemp("training")
    source = folder / "source"
    settings = Settings(genes=36, window=1000, element_reach=1.0, chromosome_weights=(5, 2, 2))
    simulate(source, seed=5, settings=settings)
    prepare_genome(source / "genome.fa.gz", folder / "genome.fa", folder / "chrom.sizes", None)
    prepare_genes(
        folder / "genes.tsv",
        folder / "genes_dropped.tsv",
        fasta=folder / "genome.fa",
        chrom_sizes=folder / "chrom.sizes",
        annotation=source / "annotation.gtf.gz",
        n_fraction_span=1000,
    )
    genes = pd.read_csv(folder / "genes.tsv", sep="\t")
    split = genes["chrom"].map({"chr1": "train", "chr2": "valid", "chr3": "test"})
    genes[["gene_id"]].assign(fold1=split).to_csv(folder / "folds.tsv", sep="\t", index=False)
    build_store(
        folder / "store",
        cell_line="SimA",
        genome_name="sim",
        fasta=folder / "genome.fa",
        chrom_sizes=folder / "chrom.sizes",
        genes_table=folder / "genes.tsv",
        blacklist=source / "blacklist.bed",
        h3k27ac=source / "SimA.H3K27ac.bw",
        dnase=source / "SimA.DNase.bw",
        hic=None,
        labels={"CAGE": LabelInputs(replicates=((source / "SimA.CAGE.bw",),))},
        window=WindowConfig(length=1000, promoter_length=200),
        power_law=PowerLaw(bin=200),
    )
    return folder


def run_training(data: Path, out: Path, model=SOFT, recipe=RECIPE, seed=2) -> dict:
    train(
        data / "store",
        data / "folds.tsv",
        Run("CAGE", 1, seed, "toy"),
        model,
        recipe,
        out_checkpoint=out / "model.ckpt",
        out_metrics=out / "metrics.json",
        out_history=out / "history.csv",
        work_dir=out / "work",
    )
    return json.loads((out / "metrics.json").read_text())


AUGMENTED = RECIPE.model_copy(
    update={"augment": AugmentConfig(reverse_complement=True, jitter=50), "workers": 2}
)
NARROW = SOFT.model_copy(update={"window_length": 900})


@pytest.fixture(scope="module")
def undisturbed(data, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("undisturbed")
    run_training(data, out)
    return out


def interrupt_at(monkeypatch, step: int) -> None:
    original = ExpressionTask.training_step

    def failing(self, packed, batch_idx):
        if self.global_step == step:
            raise OSError("the node died")
        return original(self, packed, batch_idx)

    monkeypatch.setattr(ExpressionTask, "training_step", failing)


def interrupted(monkeypatch, data, out, steps, **how) -> None:
    for step in steps:
        with monkeypatch.context() as patch:
            interrupt_at(patch, step)
            with pytest.raises(OSError, match="node died"):
                run_training(data, out, **how)


def assert_same_weights(one, other) -> None:
    ours, theirs = (load_checkpoint(out / "model.ckpt").model.state_dict() for out in (one, other))
    for name, value in theirs.items():
        torch.testing.assert_close(ours[name], value, rtol=0, atol=0)


@pytest.mark.parametrize("steps", [(1,), (3,), (5,), (9,), (11,), (4, 8)], ids=str)
def test_interrupted_training_ends_like_an_undisturbed_one(
    data, undisturbed, tmp_path, monkeypatch, caplog, steps
):
    interrupted(monkeypatch, data, tmp_path, steps)
    with caplog.at_level(logging.INFO, logger="seq2exp.fitting"):
        metrics = run_training(data, tmp_path)
    # The last even step, validation (every third step here), or step before a validation.
    last = max(step for step in range(steps[-1] + 1) if step % 2 == 0 or step % 3 in (0, 2))
    assert (f"resuming at step {last} of 12" in caplog.text) == (last > 0)

    expected = json.loads((undisturbed / "metrics.json").read_text())
    assert metrics["best_step"] == expected["best_step"]
    assert metrics["test"] == pytest.approx(expected["test"], abs=1e-9)
    assert metrics["valid"] == pytest.approx(expected["valid"], abs=1e-9)
    assert_same_weights(tmp_path, undisturbed)
    columns = ["step", "learning_rate", "train_loss", "train_kl", "valid_mse", "valid_pearson"]
    pd.testing.assert_frame_equal(
        pd.read_csv(tmp_path / "history.csv")[columns],
        pd.read_csv(undisturbed / "history.csv")[columns],
    )


def test_augmented_training_resumes_to_the_bit_and_is_validated_on_plain_windows(
    data, tmp_path, monkeypatch
):
    how = {"model": NARROW, "recipe": AUGMENTED}
    metrics = run_training(data, tmp_path / "whole", **how)
    interrupted(monkeypatch, data, tmp_path / "parts", (5,), **how)
    run_training(data, tmp_path / "parts", **how)
    assert_same_weights(tmp_path / "whole", tmp_path / "parts")

    history = pd.read_csv(tmp_path / "whole" / "history.csv")
    assert metrics["valid"]["mse"] == pytest.approx(history["valid_mse"].min(), rel=1e-5)
    plain = run_training(data, tmp_path / "plain", model=NARROW)
    losses = pd.read_csv(tmp_path / "plain" / "history.csv")["train_loss"]
    assert (losses - history["train_loss"]).abs().min() > 1e-6
    assert load_checkpoint(tmp_path / "whole" / "model.ckpt").shape.window_length == 900
    assert plain["parameters"] == metrics["parameters"]


def test_work_folder_depends_on_what_decides_the_weights(data):
    dataset = WindowDataset(data / "store", np.arange(3), "CAGE")
    splits = Splits(dataset, dataset, dataset)

    def folder(recipe):
        job = TrainingJob(
            data / "store", data / "folds.tsv", Run("CAGE", 1, 2, "toy"), SOFT, recipe
        )
        return job.hash(splits)

    augments = [AugmentConfig(reverse_complement=rc, jitter=j) for rc in (0, 1) for j in (0, 50)]
    recipes = [RECIPE.model_copy(update={"augment": augment}) for augment in augments]
    assert len({folder(recipe) for recipe in recipes}) == 4
    assert folder(recipes[0]) == folder(RECIPE.model_copy(update={"workers": 5}))


def test_jitter_needs_room_in_the_store(data, tmp_path):
    recipe = RECIPE.model_copy(update={"augment": AugmentConfig(jitter=51)})
    with pytest.raises(UserError, match="window_length 1002 must be even and at most 1000"):
        run_training(data, tmp_path, model=NARROW, recipe=recipe)


def test_bf16_on_a_cpu_is_another_arithmetic_with_the_same_outcome(data, undisturbed, tmp_path):
    recipe = RECIPE.model_copy(update={"precision": "bf16"})
    metrics = run_training(data, tmp_path, recipe=recipe)
    expected = json.loads((undisturbed / "metrics.json").read_text())
    losses, exact = (
        pd.read_csv(out / "history.csv")["train_loss"] for out in (tmp_path, undisturbed)
    )
    # bfloat16 keeps 8 bits: 0.4% a number, and twelve steps in which to drift apart
    assert losses.tolist() == pytest.approx(exact.tolist(), rel=0.02)
    assert (losses != exact).all()
    assert metrics["test"]["mse"] == pytest.approx(expected["test"]["mse"], rel=0.05)
    weights = load_checkpoint(tmp_path / "model.ckpt").model.state_dict().values()
    assert {weight.dtype for weight in weights} == {torch.float32}


def test_artefacts(undisturbed):
    metrics = json.loads((undisturbed / "metrics.json").read_text())
    history = pd.read_csv(undisturbed / "history.csv")
    assert history["step"].tolist() == [3, 6, 9, 12]
    assert (metrics["train_genes"], metrics["valid_genes"], metrics["test_genes"]) == (20, 8, 8)
    best = history.loc[history["valid_mse"].idxmin()]
    assert metrics["best_step"] == best["step"]
    assert metrics["valid"]["mse"] == pytest.approx(best["valid_mse"], rel=1e-5)
    trained = load_checkpoint(undisturbed / "model.ckpt")
    assert trained.config == SOFT
    assert trained.meta["cell_line"] == "SimA"
    assert metrics["parameters"] == sum(p.numel() for p in trained.model.parameters())


def test_seed_decides_the_result_and_the_callers_randomness_is_untouched(
    data, undisturbed, tmp_path
):
    torch.manual_seed(99)
    before = torch.random.get_rng_state()
    metrics = run_training(data, tmp_path, seed=3)
    assert torch.equal(torch.random.get_rng_state(), before)
    expected = json.loads((undisturbed / "metrics.json").read_text())
    assert metrics["test"]["mse"] != expected["test"]["mse"]


def test_predictions_and_masks(data, undisturbed, tmp_path):
    predict(
        undisturbed / "model.ckpt",
        data / "store",
        data / "folds.tsv",
        out_table=tmp_path / "predictions.tsv",
        out_masks=tmp_path / "masks",
        mask_splits=("valid", "test"),
        batch_size=3,
        workers=2,
    )
    table = pd.read_csv(tmp_path / "predictions.tsv", sep="\t")
    assert table["split"].value_counts().to_dict() == {"train": 20, "valid": 8, "test": 8}
    metrics = json.loads((undisturbed / "metrics.json").read_text())
    test = table[table["split"] == "test"]
    mse = ((test["observed"] - test["predicted"]) ** 2).mean()
    assert mse == pytest.approx(metrics["test"]["mse"], rel=1e-5)
    assert test["mask_ratio"].mean() == pytest.approx(metrics["test"]["mask_ratio"], rel=1e-5)

    masks = open_masks(tmp_path / "masks")
    kept = table[table["split"] != "train"]
    assert masks.gene_ids == kept["gene_id"].tolist()
    assert masks.mask.shape == (16, 1000)
    assert (masks.mask[:, 400:600] == 1).all()
    np.testing.assert_allclose(masks.mask.astype(float).mean(axis=1), kept["mask_ratio"], atol=2e-3)
    # Where nothing is fixed, the mask lies between what sequence and signals each say.
    low = np.minimum(masks.sequence_part, masks.prior)[:, :400].astype(float)
    high = np.maximum(masks.sequence_part, masks.prior)[:, :400].astype(float)
    mask = masks.mask[:, :400].astype(float)
    free = mask > 0  # not blacklisted
    assert free.mean() > 0.5
    assert (mask >= low - 2e-3)[free].all()
    assert (mask <= high + 2e-3)[free].all()


def test_promoter_only_mask(data, tmp_path):
    model = SOFT.model_copy(update={"mask_region": "promoter"})
    metrics = run_training(data, tmp_path, model=model)
    assert metrics["test"]["mask_ratio"] == pytest.approx(0.2)  # 200 of 1,000 bases


def test_model_without_mask(data, tmp_path):
    model = CaduceusSignalsConfig(d_model=8, d_state=2, layers=1)
    metrics = run_training(data, tmp_path, model=model)
    assert metrics["test"]["mask_ratio"] is None
    predict(
        tmp_path / "model.ckpt",
        data / "store",
        data / "folds.tsv",
        out_table=tmp_path / "p.tsv",
        out_masks=None,
    )
    assert pd.read_csv(tmp_path / "p.tsv", sep="\t")["mask_ratio"].isna().all()


def test_signal_linear_is_least_squares(data, tmp_path):
    model = SignalLinearConfig(spans=(100, 500))
    run_training(data, tmp_path, model=model)
    predict(
        tmp_path / "model.ckpt",
        data / "store",
        data / "folds.tsv",
        out_table=tmp_path / "p.tsv",
        out_masks=None,
    )
    table = pd.read_csv(tmp_path / "p.tsv", sep="\t")
    fitted = table[table["split"] != "test"]
    residual = fitted["observed"] - fitted["predicted"]
    # With an intercept, least squares leaves residuals without mean or correlation.
    assert residual.mean() == pytest.approx(0, abs=1e-6)
    assert np.corrcoef(residual, fitted["predicted"])[0, 1] == pytest.approx(0, abs=1e-5)


def test_checkpoint_with_code_is_refused(tmp_path):
    torch.save({"format": 1, "weights": Path("x")}, tmp_path / "bad.ckpt")
    with pytest.raises(UserError, match="not a seq2exp checkpoint"):
        load_checkpoint(tmp_path / "bad.ckpt")
    with pytest.raises(UserError, match="no such checkpoint"):
        load_checkpoint(tmp_path / "absent.ckpt")


def test_other_features_are_refused(data, undisturbed, tmp_path):
    content = torch.load(undisturbed / "model.ckpt", weights_only=True)
    content["meta"]["feature_names"] = ["UTR5GC", "promoter_activity"]
    torch.save(content, tmp_path / "model.ckpt")
    with pytest.raises(UserError, match="trained with gene features UTR5GC, promoter_activity"):
        predict(
            tmp_path / "model.ckpt",
            data / "store",
            data / "folds.tsv",
            out_table=tmp_path / "p.tsv",
            out_masks=None,
        )
