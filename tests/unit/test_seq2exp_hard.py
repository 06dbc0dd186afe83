"""Seq2Exp-hard: what is packed, what gets a gradient, and that a window is read alone."""

import numpy as np
import pandas as pd
import pytest
import torch

from seq2exp.bottleneck import promoter_slice
from seq2exp.masks import open_masks
from seq2exp.model_config import Seq2ExpHardConfig
from seq2exp.models import InputShape, build_model
from seq2exp.models.seq2exp_hard import pack, straight_through
from seq2exp.packing import Batch
from seq2exp.prediction import predict

from .tiny_training import RECIPE, run_training, same_weights

B, L, P, F = 3, 96, 16, 4
PROMOTER = promoter_slice(L, P)
SMALL = {"d_model": 8, "d_state": 4, "layers": 2}


def random_batch(windows=B, length=L) -> Batch:
    blacklist = torch.zeros(windows, length, dtype=torch.bool)
    blacklist[0, :5] = True
    return Batch(
        sequence=torch.nn.functional.one_hot(torch.randint(4, (windows, length)), 4).float(),
        signals=torch.rand(windows, length, 3),
        gene_features=torch.randn(windows, F),
        blacklist=blacklist,
        label=torch.randn(windows),
        index=torch.arange(windows),
    )


def part(batch: Batch, windows: slice) -> Batch:
    return Batch(*(None if x is None else x[windows] for x in batch))


def random_model(**settings):
    model = build_model(Seq2ExpHardConfig(**SMALL, **settings), InputShape(L, P, F))
    with torch.no_grad():
        model.position_embedding.normal_()
        model.generator.head.weight.mul_(5)  # so that some bases are kept and some are not
    return model


@pytest.fixture(autouse=True)
def seeded():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield


def random_mask() -> torch.Tensor:
    mask = (torch.rand(B, L) < torch.tensor([[0.1], [0.5], [0.9]])).float()
    mask[:, PROMOTER] = 1
    return mask


def slow_pack(x, mask, window):
    """Base by base: what is kept, and where the promoter's bases come to lie."""
    kept, places = [], []
    for position in range(L):
        if mask[window, position]:
            if PROMOTER.start <= position < PROMOTER.stop:
                places.append(len(kept))
            kept.append(x[window, position] * mask[window, position])
    return torch.stack(kept), places


def test_packing_agrees_with_the_slow_one_and_so_do_gradients():
    x, mask = torch.randn(B, L, 5, requires_grad=True), random_mask().requires_grad_()
    packed = pack(x, mask, PROMOTER)
    slow = [slow_pack(x, mask, window) for window in range(B)]
    weight = torch.randn(L, 5)
    sums = []
    for (fast, promoter), (kept, places) in zip(packed, slow, strict=True):
        assert torch.equal(fast, kept)
        assert list(range(promoter.start, promoter.stop)) == places
        sums.append([(part * weight[: len(part)]).sum() for part in (fast, kept)])
    fast_sum, slow_sum = (sum(pair) for pair in zip(*sums, strict=True))
    gradients = [torch.autograd.grad(total, [x, mask]) for total in (fast_sum, slow_sum)]
    torch.testing.assert_close(*gradients)
    dx, dmask = gradients[0]
    assert (dx[mask == 0] == 0).all()
    assert (dmask[mask == 0] == 0).all()
    assert (dmask[mask == 1] != 0).all()


def test_a_full_mask_leaves_the_window_as_it_is():
    model, x = random_model(), torch.randn(B, L, 8)
    expected = model.predictor(x, centre=PROMOTER)
    torch.testing.assert_close(model.read_masked(x, torch.ones(B, L), PROMOTER), expected)


def test_a_mask_of_the_promoter_leaves_a_window_of_the_promoter():
    model, x = random_model(), torch.randn(B, L, 8)
    mask = torch.zeros(B, L)
    mask[:, PROMOTER] = 1
    torch.testing.assert_close(
        model.read_masked(x, mask, PROMOTER), model.predictor(x[:, PROMOTER])
    )


def test_removed_bases_are_not_there():
    model, x, mask = random_model(), torch.randn(B, L, 8), random_mask()
    other = torch.where(mask.bool().unsqueeze(-1), x, torch.randn(B, L, 8))
    assert torch.equal(
        model.read_masked(x, mask, PROMOTER), model.read_masked(other, mask, PROMOTER)
    )


@pytest.mark.parametrize("training", [False, True])
def test_a_window_is_read_alone_whatever_is_beside_it(training):
    model = random_model().train(training)
    batch = random_batch()
    seeds = (4, 5, 6)
    together = model(batch._replace(seeds=seeds))
    lengths = together.mask.sum(1)
    assert len(set(lengths.tolist())) == B
    assert (lengths > P).all()
    assert (lengths < L).all()
    for i in range(B):
        alone = model(part(batch, slice(i, i + 1))._replace(seeds=seeds[i : i + 1]))
        assert torch.equal(alone.mask[0], together.mask[i])
        torch.testing.assert_close(alone.prediction[0], together.prediction[i])


def test_padded_to_the_longest_only_the_longest_is_read_as_if_alone():
    model = random_model(padding="longest").double()
    x, mask = torch.randn(B, L, 8, dtype=torch.float64), random_mask().double()
    together = model.read_masked(x, mask, PROMOTER)
    alone = [model.read_masked(x[i : i + 1], mask[i : i + 1], PROMOTER) for i in range(B)]
    difference = (together - torch.cat(alone)).abs().amax(dim=(1, 2))
    longest = int(mask.sum(1).argmax())
    assert difference[longest] < 1e-12
    assert (difference[[i for i in range(B) if i != longest]] > 1e-8).all()


def test_straight_through_is_a_step_forward_and_the_identity_backward():
    soft = torch.tensor([0.0, 0.4999999, 0.5, 0.8, 1.0], requires_grad=True)
    hard = straight_through(soft)
    assert hard.tolist() == [0, 0, 1, 1, 1]
    hard.backward(torch.tensor([1.0, 2.0, 3.0, 4.0, 5.0]))
    assert soft.grad.tolist() == [1, 2, 3, 4, 5]


def test_the_prediction_teaches_the_mask_in_training_and_not_in_evaluation():
    batch = random_batch()._replace(seeds=(1, 2, 3))
    for training in (True, False):
        model = random_model().train(training)
        output = model(batch)
        model.loss(output._replace(kl=None), batch.label).total.backward()
        gradient = model.generator.head.weight.grad
        assert (gradient.abs() > 0).all() if training else gradient is None


def test_mask_is_zeros_and_ones_with_blacklist_and_promoter_fixed():
    batch = random_batch()
    for training in (True, False):
        output = random_model().train(training)(batch)
        assert set(output.mask.unique().tolist()) == {0.0, 1.0}
        assert (output.mask[:, PROMOTER] == 1).all()
        assert (output.mask[0, :5] == 0).all()
    free = ~batch.blacklist
    free[:, PROMOTER] = False
    mean = output.alpha / (output.alpha + output.beta)
    assert torch.equal(output.mask[free], (mean >= 0.5).float()[free])


def test_generator_and_predictor_share_one_backbone_that_sees_positions():
    model = random_model().eval()
    one = sum(p.numel() for p in model.predictor.parameters())
    names = [name for name, _ in model.named_parameters() if ".layers." in name]
    assert {name.split(".layers.")[0] for name in names} == {"generator.backbone"}
    assert sum(p.numel() for p in model.generator.backbone.parameters()) == one
    batch = random_batch()
    before = model(batch)
    with torch.no_grad():
        model.position_embedding.zero_()
    assert not torch.isclose(before.alpha, model(batch).alpha).any()


def test_defaults_are_the_papers():
    config = Seq2ExpHardConfig()
    assert (config.prior.scale, config.prior.beta_min) == (1, 0)
    assert (config.marginal.mean, config.marginal.scale, config.kl_weight) == (0.45, 0.1, 0.01)
    assert (config.layers, config.d_model, config.width_times_layers) == (4, 128, 1024)
    # one setting leaves the paper's others
    assert Seq2ExpHardConfig(prior={"scale": 3}).prior.beta_min == 0
    model = build_model(config, InputShape(64, 16, 9))
    assert (model.position_embedding == 0).all()
    assert model.position_embedding.shape == (1, 64, 128)


HARD = Seq2ExpHardConfig(d_model=8, d_state=2, layers=1, signal_transform="log1p")


@pytest.mark.parametrize("seed", [2, 22, 222])
def test_trains_to_a_finite_loss_and_its_masks_are_stored(training_data, tmp_path, seed):
    metrics = run_training(training_data, tmp_path, model=HARD, seed=seed)
    history = pd.read_csv(tmp_path / "history.csv")
    assert np.isfinite(history[["train_loss", "train_kl", "valid_mse"]]).all(axis=None)
    predict(
        tmp_path / "model.ckpt",
        training_data / "store",
        training_data / "folds.tsv",
        out_table=tmp_path / "predictions.tsv",
        out_masks=tmp_path / "masks",
        batch_size=3,
    )
    table = pd.read_csv(tmp_path / "predictions.tsv", sep="\t")
    test = table[table["split"] == "test"]
    mse = ((test["observed"] - test["predicted"]) ** 2).mean()
    assert mse == pytest.approx(metrics["test"]["mse"], rel=1e-5)
    masks = open_masks(tmp_path / "masks")
    assert masks.meta["hard_mask"]
    assert set(np.unique(masks.mask)) == {0, 1}
    assert (masks.mask[:, 400:600] == 1).all()
    assert [name for name, _ in masks.tracks()] == ["mask", "sequence_part", "prior"]


def test_two_passes_train_like_one(training_data, tmp_path):
    run_training(training_data, tmp_path / "one", model=HARD)
    recipe = RECIPE.model_copy(update={"accumulate": 2})
    run_training(training_data, tmp_path / "two", model=HARD, recipe=recipe)
    same_weights(tmp_path / "one", tmp_path / "two", within=1e-5)
