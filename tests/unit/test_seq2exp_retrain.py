"""Seq2Exp-retrain: the fixed mask against slow ones, a frozen source, one self-contained file."""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from seq2exp.checkpoints import load_checkpoint
from seq2exp.errors import UserError
from seq2exp.masks import open_masks
from seq2exp.model_config import CaduceusConfig, Seq2ExpRetrainConfig
from seq2exp.models import InputShape, build_model
from seq2exp.packing import unpack
from seq2exp.prediction import predict
from seq2exp.runs import Run, Splits, TrainingJob, with_teacher
from seq2exp.windows import WindowDataset

from .any_model import config_of
from .tiny_training import RECIPE, SOFT, run_training, same_weights

RETRAIN = Seq2ExpRetrainConfig(
    mask_from="toy", fraction=0.3, d_model=8, d_state=2, predictor_layers=1
)
SHIFTED = RETRAIN.model_copy(update={"placement": "shifted"})


@pytest.fixture(scope="module")
def retrained(training_data, undisturbed, tmp_path_factory):
    """A model retrained on the mask of the undisturbed soft one; the teacher's file is gone."""
    out = tmp_path_factory.mktemp("retrained")
    teacher = Path(shutil.copy(undisturbed / "model.ckpt", out / "teacher.ckpt"))
    run_training(training_data, out, model=RETRAIN, teacher=teacher)
    teacher.unlink()
    return out


# --------------------------------------------------------------------------- the mask


def test_the_mask_is_the_top_share_of_the_sources(training_data, undisturbed, retrained):
    dataset = WindowDataset(training_data / "store", np.arange(6), "CAGE")
    batch = unpack(dataset.read(range(6)), contact_bin=200)
    soft = load_checkpoint(undisturbed / "model.ckpt").model(batch).mask.detach().numpy()
    hard = load_checkpoint(retrained / "model.ckpt").model(batch).mask.detach().numpy()
    for scores, mask, black in zip(soft, hard, batch.blacklist.numpy(), strict=True):
        kept = sorted(range(1000), key=lambda base: (-scores[base], base))[:300]
        assert sorted(kept) == np.flatnonzero(mask).tolist()
        assert (mask[400:600] == 1).all()
        assert not mask[:400][black[:400]].any()


def test_shifted_keeps_size_promoter_and_blacklist(training_data, undisturbed, tmp_path):
    learned, shifted = (
        run_training(training_data, tmp_path, model=model, teacher=undisturbed / "model.ckpt")
        for model in (RETRAIN, SHIFTED)
    )
    assert shifted["test"]["mask_ratio"] == learned["test"]["mask_ratio"] == pytest.approx(0.3)
    trained = load_checkpoint(tmp_path / "model.ckpt")
    dataset = WindowDataset(training_data / "store", np.arange(6), "CAGE")
    batch = unpack(dataset.read(range(6)), contact_bin=200)
    ours = trained.model(batch).mask
    plain = trained.config.model_copy(update={"placement": "learned"})
    model = build_model(plain, trained.shape).eval()
    model.load_state_dict(trained.model.state_dict())
    assert torch.equal(ours.sum(1), model(batch).mask.sum(1))
    assert (ours[:, 400:600] == 1).all()
    outside = batch.blacklist.clone()
    outside[:, 400:600] = False
    assert (ours[outside] == 0).all()
    assert ((ours != model(batch).mask).sum(1) > 50).all()


# --------------------------------------------------------------------------- training


def test_the_source_stays_as_it_was(undisturbed, retrained):
    soft = load_checkpoint(undisturbed / "model.ckpt").model.state_dict()
    model = load_checkpoint(retrained / "model.ckpt").model
    names = [name for name in model.state_dict() if name.startswith("source.")]
    expected = [name for name in soft if name.startswith(("generator.", "sequence_embedding."))]
    assert sorted(names) == sorted(f"source.{name}" for name in expected)
    for name in expected:
        assert torch.equal(model.state_dict()[f"source.{name}"], soft[name])
    metrics = json.loads((retrained / "metrics.json").read_text())
    learned = [p for name, p in model.named_parameters() if not name.startswith("source.")]
    assert metrics["parameters"] == sum(p.numel() for p in learned)
    fresh = build_model(load_checkpoint(retrained / "model.ckpt").config, InputShape(1000, 200, 9))
    moved = [
        not torch.equal(value, model.state_dict()[name])
        for name, value in fresh.state_dict().items()
        if name.startswith("predictor.")
    ]
    assert all(moved)


def test_the_mask_does_not_change_between_training_and_evaluation(training_data, retrained):
    model = load_checkpoint(retrained / "model.ckpt").model
    dataset = WindowDataset(training_data / "store", np.arange(2), "CAGE")
    batch = unpack(dataset.read([0, 1]), contact_bin=200)
    evaluated = model(batch).mask
    model.train()
    with torch.autocast("cpu", torch.bfloat16):
        output = model(batch)
    assert torch.equal(output.mask, evaluated)
    assert not output.mask.requires_grad
    output.prediction.sum().backward()
    assert [p for name, p in model.named_parameters() if "source." in name and p.grad] == []


def test_predicts_from_its_own_file_alone(training_data, retrained, tmp_path):
    predict(
        retrained / "model.ckpt",
        training_data / "store",
        training_data / "folds.tsv",
        out_table=tmp_path / "p.tsv",
        out_masks=tmp_path / "masks",
    )
    table = pd.read_csv(tmp_path / "p.tsv", sep="\t")
    test = table[table["split"] == "test"]
    metrics = json.loads((retrained / "metrics.json").read_text())
    mse = ((test["observed"] - test["predicted"]) ** 2).mean()
    assert mse == pytest.approx(metrics["test"]["mse"], rel=1e-5)
    masks = open_masks(tmp_path / "masks")
    assert masks.meta["hard_mask"]
    assert [name for name, _ in masks.tracks()] == ["mask"]
    np.testing.assert_array_equal(masks.mask.sum(axis=1), 300)


@pytest.mark.slow
def test_several_processes_read_the_teacher_too(training_data, undisturbed, tmp_path):
    recipe = RECIPE.model_copy(update={"devices": 2})
    teacher = undisturbed / "model.ckpt"
    run_training(training_data, tmp_path / "one", model=RETRAIN, teacher=teacher)
    run_training(training_data, tmp_path / "two", model=RETRAIN, recipe=recipe, teacher=teacher)
    same_weights(tmp_path / "one", tmp_path / "two", within=1e-5)


def test_the_teacher_decides_the_work_folder_and_travels_as_json(
    training_data, undisturbed, tmp_path
):
    dataset = WindowDataset(training_data / "store", np.arange(3), "CAGE")
    paths = training_data / "store", training_data / "folds.tsv"
    other = shutil.copy(undisturbed / "model.ckpt", tmp_path / "model.ckpt")
    hashes = []
    for teacher in (undisturbed / "model.ckpt", other):
        job = with_teacher(TrainingJob(*paths, Run("CAGE", 1, 2, "toy"), RETRAIN, RECIPE, teacher))
        assert job.model.source == SOFT
        assert TrainingJob.from_json(job.to_json()) == job
        hashes.append(job.hash(Splits(dataset, dataset, dataset)))
    assert hashes[0] == hashes[1]  # the same content elsewhere
    with open(other, "ab") as file:
        file.write(b"\0")
    assert job.hash(Splits(dataset, dataset, dataset)) != hashes[0]


@pytest.mark.parametrize(
    ("fold", "assay", "message"),
    [(2, "CAGE", "trained with fold 1, not 2"), (1, "RNA", "trained with assay CAGE, not RNA")],
)
def test_a_teacher_of_another_run_may_have_seen_the_test_genes(
    training_data, undisturbed, fold, assay, message
):
    run = Run(assay, fold, 2, "toy")
    paths = training_data / "store", training_data / "folds.tsv"
    with pytest.raises(UserError, match=message):
        with_teacher(TrainingJob(*paths, run, RETRAIN, RECIPE, undisturbed / "model.ckpt"))
    with pytest.raises(UserError, match="model toy: needs the checkpoint of toy"):
        with_teacher(TrainingJob(*paths, run, RETRAIN, RECIPE))


def test_a_teacher_of_another_kind(training_data, tmp_path):
    run_training(training_data, tmp_path, model=CaduceusConfig(layers=1, d_model=8, d_state=2))
    with pytest.raises(UserError, match="of kind caduceus; the mask has to come from a seq2exp_so"):
        run_training(training_data, tmp_path, model=RETRAIN, teacher=tmp_path / "model.ckpt")


def test_size_counts_the_sources_generator():
    assert RETRAIN.width_times_layers == 8 * (1 + 1)
    source = {"source": SOFT.model_copy(update={"generator_layers": 3, "d_model": 16})}
    assert config_of("seq2exp_retrain", **source).width_times_layers == 8 * 1 + 16 * 3
