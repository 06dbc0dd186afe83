"""Training on a tiny simulated genome: resume, artefacts, closed-form fit, prediction."""

import json
import logging
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from seq2exp.checkpoints import load_checkpoint
from seq2exp.errors import UserError
from seq2exp.masks import open_masks
from seq2exp.model_config import (
    CaduceusSignalsConfig,
    EnformerConfig,
    Seq2ExpGatedConfig,
    SignalLinearConfig,
)
from seq2exp.models import InputShape
from seq2exp.prediction import predict
from seq2exp.runs import Run, Splits, TrainingJob
from seq2exp.store import open_store
from seq2exp.training_config import AugmentConfig
from seq2exp.training_task import ExpressionTask
from seq2exp.windows import WindowDataset

from .tiny_training import RECIPE, SOFT, run_training, same_weights

AUGMENTED = RECIPE.model_copy(
    update={"augment": AugmentConfig(reverse_complement=True, jitter=50), "workers": 2}
)
NARROW = SOFT.model_copy(update={"window_length": 900})


def interrupt_at(monkeypatch, step: int) -> None:
    original = ExpressionTask.training_step

    def failing(self, packed, batch_idx):
        if self.global_step == step:
            raise OSError("the node died")
        return original(self, packed, batch_idx)

    monkeypatch.setattr(ExpressionTask, "training_step", failing)


def interrupted(monkeypatch, training_data, out, steps, **how) -> None:
    for step in steps:
        with monkeypatch.context() as patch:
            interrupt_at(patch, step)
            with pytest.raises(OSError, match="node died"):
                run_training(training_data, out, **how)


@pytest.mark.parametrize("steps", [(1,), (3,), (5,), (9,), (11,), (4, 8)], ids=str)
def test_interrupted_training_ends_like_an_undisturbed_one(
    training_data, undisturbed, tmp_path, monkeypatch, caplog, steps
):
    interrupted(monkeypatch, training_data, tmp_path, steps)
    with caplog.at_level(logging.INFO, logger="seq2exp.fitting"):
        metrics = run_training(training_data, tmp_path)
    # The last even step, validation (every third step here), or step before a validation.
    last = max(step for step in range(steps[-1] + 1) if step % 2 == 0 or step % 3 in (0, 2))
    assert (f"resuming at step {last} of 12" in caplog.text) == (last > 0)

    expected = json.loads((undisturbed / "metrics.json").read_text())
    assert metrics["best_step"] == expected["best_step"]
    assert metrics["test"] == pytest.approx(expected["test"], abs=1e-9)
    assert metrics["valid"] == pytest.approx(expected["valid"], abs=1e-9)
    same_weights(tmp_path, undisturbed)
    columns = ["step", "learning_rate", "train_loss", "train_kl", "valid_mse", "valid_pearson"]
    pd.testing.assert_frame_equal(
        pd.read_csv(tmp_path / "history.csv")[columns],
        pd.read_csv(undisturbed / "history.csv")[columns],
    )


def test_augmented_training_resumes_to_the_bit_and_is_validated_on_plain_windows(
    training_data, tmp_path, monkeypatch
):
    how = {"model": NARROW, "recipe": AUGMENTED}
    metrics = run_training(training_data, tmp_path / "whole", **how)
    interrupted(monkeypatch, training_data, tmp_path / "parts", (5,), **how)
    run_training(training_data, tmp_path / "parts", **how)
    same_weights(tmp_path / "whole", tmp_path / "parts")

    history = pd.read_csv(tmp_path / "whole" / "history.csv")
    assert metrics["valid"]["mse"] == pytest.approx(history["valid_mse"].min(), rel=1e-5)
    plain = run_training(training_data, tmp_path / "plain", model=NARROW)
    losses = pd.read_csv(tmp_path / "plain" / "history.csv")["train_loss"]
    assert (losses - history["train_loss"]).abs().min() > 1e-6
    assert load_checkpoint(tmp_path / "whole" / "model.ckpt").shape.window_length == 900
    assert plain["parameters"] == metrics["parameters"]


def test_dropout_and_batch_norm_resume_to_the_bit(training_data, tmp_path, monkeypatch):
    sizes = {"d_model": 24, "layers": 1, "heads": 2, "key_width": 4, "downsamples": 4}
    how = {"model": EnformerConfig(**sizes)}
    run_training(training_data, tmp_path / "whole", **how)
    interrupted(monkeypatch, training_data, tmp_path / "parts", (5,), **how)
    run_training(training_data, tmp_path / "parts", **how)
    same_weights(tmp_path / "whole", tmp_path / "parts")
    state = load_checkpoint(tmp_path / "parts" / "model.ckpt").model.state_dict()
    averages = [value for name, value in state.items() if name.endswith("running_mean")]
    assert averages
    assert all(average.abs().sum() > 0 for average in averages)


def test_work_folder_depends_on_what_decides_the_weights(training_data):
    dataset = WindowDataset(training_data / "store", np.arange(3), "CAGE")
    splits = Splits(dataset, dataset, dataset)

    def folder(recipe):
        job = TrainingJob(
            training_data / "store",
            training_data / "folds.tsv",
            Run("CAGE", 1, 2, "toy"),
            SOFT,
            recipe,
        )
        return job.hash(splits)

    augments = [AugmentConfig(reverse_complement=rc, jitter=j) for rc in (0, 1) for j in (0, 50)]
    recipes = [RECIPE.model_copy(update={"augment": augment}) for augment in augments]
    assert len({folder(recipe) for recipe in recipes}) == 4
    assert folder(recipes[0]) == folder(RECIPE.model_copy(update={"workers": 5}))
    assert folder(recipes[0]) == folder(RECIPE.model_copy(update={"devices": 2, "accumulate": 2}))


def test_a_window_shorter_than_the_promoter_is_promoter_alone(training_data):
    paths = training_data / "store", training_data / "folds.tsv"
    for length, promoter_length in ((100, 100), (200, 200), (202, 200)):
        model = SOFT.model_copy(update={"window_length": length})
        job = TrainingJob(*paths, Run("CAGE", 1, 2, "toy"), model, RECIPE)
        shape = job.input_shape(open_store(paths[0]))
        assert shape == InputShape(length, promoter_length, n_gene_features=9)


def test_jitter_needs_room_in_the_store(training_data, tmp_path):
    recipe = RECIPE.model_copy(update={"augment": AugmentConfig(jitter=51)})
    with pytest.raises(UserError, match="window_length 1002 must be even and at most 1000"):
        run_training(training_data, tmp_path, model=NARROW, recipe=recipe)


def test_bf16_on_a_cpu_is_another_arithmetic_with_the_same_outcome(
    training_data, undisturbed, tmp_path
):
    recipe = RECIPE.model_copy(update={"precision": "bf16"})
    metrics = run_training(training_data, tmp_path, recipe=recipe)
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
    settings = metrics["settings"]
    assert settings["model"] == SOFT.model_dump(mode="json")
    assert settings["training"]["steps"] == 12
    assert not set(settings["training"]) & type(RECIPE).HOW
    assert settings["window"] == {"window_length": 1000, "promoter_length": 200} | {
        "n_gene_features": trained.shape.n_gene_features
    }


def test_a_mask_that_is_still_open_is_not_kept(training_data, tmp_path):
    """Whatever the validation says: with a rate that destroys the weights, it was best before."""
    model = Seq2ExpGatedConfig(
        **{
            **SOFT.model_dump(include={"d_model", "d_state", "signal_transform"}),
            "mask_ratio": 0.3,
        },
        **{"generator_layers": 1, "predictor_layers": 1, "close": (0.5, 0.9)},
    )
    recipe = RECIPE.model_copy(update={"learning_rate": 0.5, "warmup_steps": 11})
    metrics = run_training(training_data, tmp_path, model=model, recipe=recipe)
    history = pd.read_csv(tmp_path / "history.csv")
    assert history["step"].tolist() == [3, 6, 9, 12]
    assert history["step"][history["valid_mse"].idxmin()] < 12
    assert metrics["best_step"] == 12


def test_seed_decides_the_result_and_the_callers_randomness_is_untouched(
    training_data, undisturbed, tmp_path
):
    torch.manual_seed(99)
    before = torch.random.get_rng_state()
    metrics = run_training(training_data, tmp_path, seed=3)
    assert torch.equal(torch.random.get_rng_state(), before)
    expected = json.loads((undisturbed / "metrics.json").read_text())
    assert metrics["test"]["mse"] != expected["test"]["mse"]


def test_predictions_and_masks(training_data, undisturbed, tmp_path):
    predict(
        undisturbed / "model.ckpt",
        training_data / "store",
        training_data / "folds.tsv",
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


def test_promoter_only_mask(training_data, tmp_path):
    model = SOFT.model_copy(update={"mask_region": "promoter"})
    metrics = run_training(training_data, tmp_path, model=model)
    assert metrics["test"]["mask_ratio"] == pytest.approx(0.2)  # 200 of 1,000 bases


def test_model_without_mask(training_data, tmp_path):
    model = CaduceusSignalsConfig(d_model=8, d_state=2, layers=1)
    metrics = run_training(training_data, tmp_path, model=model)
    assert metrics["test"]["mask_ratio"] is None
    predict(
        tmp_path / "model.ckpt",
        training_data / "store",
        training_data / "folds.tsv",
        out_table=tmp_path / "p.tsv",
        out_masks=None,
    )
    assert pd.read_csv(tmp_path / "p.tsv", sep="\t")["mask_ratio"].isna().all()


def test_signal_linear_is_least_squares(training_data, tmp_path):
    model = SignalLinearConfig(spans=(100, 500))
    run_training(training_data, tmp_path, model=model)
    predict(
        tmp_path / "model.ckpt",
        training_data / "store",
        training_data / "folds.tsv",
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


def test_other_features_are_refused(training_data, undisturbed, tmp_path):
    content = torch.load(undisturbed / "model.ckpt", weights_only=True)
    content["meta"]["feature_names"] = ["UTR5GC", "promoter_activity"]
    torch.save(content, tmp_path / "model.ckpt")
    with pytest.raises(UserError, match="trained with gene features UTR5GC, promoter_activity"):
        predict(
            tmp_path / "model.ckpt",
            training_data / "store",
            training_data / "folds.tsv",
            out_table=tmp_path / "p.tsv",
            out_masks=None,
        )
