import shutil

import numpy as np
import pandas as pd
import pytest
import torch

from seq2exp.checkpoints import TrainedModel, save_checkpoint
from seq2exp.errors import UserError
from seq2exp.model_config import Seq2ExpSoftConfig, SignalLinearConfig
from seq2exp.models import ExpressionModel, InputShape, Output, build_model
from seq2exp.perturbation import effects_of, shuffle_effects
from seq2exp.store import open_store

LENGTH = 2_000
SHAPE = InputShape(window_length=LENGTH, promoter_length=200, n_gene_features=1)


class Counting(ExpressionModel):
    """Predicts the number of A's, plus ``pairs`` times the number of C's followed by a G."""

    def __init__(self, pairs):
        super().__init__()
        self.register_buffer("pairs", torch.tensor(float(pairs)))

    def forward(self, batch):
        a, c, g, _ = batch.sequence.unbind(-1)
        in_order = (c[:, :-1] * g[:, 1:]).sum(dim=1)
        return Output(a.sum(dim=1) + self.pairs * in_order)


def trained(model, length=LENGTH):
    shape = SHAPE._replace(window_length=length)
    return TrainedModel(model.eval(), SignalLinearConfig(), shape, {})


def elements(*rows):
    return pd.DataFrame(rows, columns=["gene_id", "chrom", "start", "end"])


HOW = {"n_shuffles": 4, "seed": 0, "batch_size": 3}
# G4's window is chr1:5000-7000, G5's chr1:7000-9000, G7's chr2:3000-5000.
SOME = elements(
    ("G5", "chr1", 7_500, 7_600), ("G4", "chr1", 5_100, 5_220), ("G4", "chr1", 6_800, 7_000)
)


def with_sequence(store, folder, gene_id, start, sequence):
    """The store with a stretch of one gene's window, from window base ``start``, written anew."""
    shutil.copytree(store.path, folder)
    codes = np.load(folder / "codes.npy", mmap_mode="r+")
    row = store.genes["gene_id"].tolist().index(gene_id)
    offset = store.offsets[row] + start
    codes[offset : offset + len(sequence)] = ["ACGT".index(base) for base in sequence]
    codes.flush()
    return open_store(folder)


def test_composition_alone_has_no_effect(toy_store):
    np.testing.assert_array_equal(effects_of(trained(Counting(0)), toy_store, SOME, **HOW), 0)


def test_order_has_the_effect_that_combinatorics_says(toy_store, tmp_path):
    # n/2 times CG, between A's that no edge pair forms: n/2 pairs before the shuffle. After it
    # each of the n - 1 neighbouring places holds CG with chance (n/2)^2 / (n (n-1)): n/4 pairs.
    n = 40
    store = with_sequence(toy_store, tmp_path / "s", "G7", 500, "A" + "CG" * (n // 2) + "A")
    element = elements(("G7", "chr2", 3_501, 3_501 + n))
    effect = effects_of(
        *(trained(Counting(2)), store, element), n_shuffles=1_000, seed=1, batch_size=16
    )
    # s.d. of the number of pairs is about 1.6, so the mean of 1,000 has an error of 0.05, twice that for effects.
    assert effect == pytest.approx([2 * (n / 2 - n / 4)], abs=0.4)


def test_effects_do_not_depend_on_batches_or_company(toy_store):
    model = trained(Counting(1))
    together = effects_of(model, toy_store, SOME, **HOW)
    assert np.abs(together).max() > 0
    one_by_one = [
        effects_of(model, toy_store, SOME.iloc[[i]], **{**HOW, "batch_size": 1})[0]
        for i in range(len(SOME))
    ]
    np.testing.assert_array_equal(together, one_by_one)
    other_seed = effects_of(model, toy_store, SOME, **{**HOW, "seed": 1})
    assert (together != other_seed).any()


def test_only_the_elements_bases_move(toy_store):
    # Outside the element everything counts, inside nothing does: the effect must be 0.
    class Outside(Counting):
        def forward(self, batch):
            rest = torch.cat([batch.sequence[:, :500], batch.sequence[:, 600:]], dim=1)
            weight = torch.arange(rest.shape[1], dtype=torch.float32)
            signals = (batch.signals.sum(dim=-1) * torch.arange(LENGTH)).sum(dim=1)
            return Output(rest[..., 0] @ weight + signals + batch.blacklist.sum(dim=1))

    element = elements(("G5", "chr1", 7_500, 7_600))
    np.testing.assert_array_equal(effects_of(trained(Outside(0)), toy_store, element, **HOW), 0)


@pytest.mark.parametrize("flag", ["blacklist", "peaks"])
def test_flagged_bases_stay_where_they_are(toy_store, flag):
    class Flagged(Counting):
        def forward(self, batch):
            return Output((getattr(batch, flag) * torch.arange(LENGTH)).sum(dim=1).float())

    # chr1:250-260 is blacklisted, 200-255 a peak, G1's window is chr1:-700 to 1300.
    element = elements(("G1", "chr1", 240, 300))
    np.testing.assert_array_equal(effects_of(trained(Flagged(0)), toy_store, element, **HOW), 0)


def test_a_shorter_window_is_cropped_around_the_tss(toy_store):
    model = trained(Counting(1), length=1_000)
    inside = elements(("G5", "chr1", 7_500, 7_600))
    assert effects_of(model, toy_store, inside, **HOW)[0] != 0
    with pytest.raises(UserError, match="not within the 1000 bp window of G5"):
        effects_of(model, toy_store, elements(("G5", "chr1", 7_450, 7_600)), **HOW)


@pytest.mark.parametrize(
    ("element", "message"),
    [
        (("G99", "chr1", 7_500, 7_600), "gene G99 has no window"),
        (("G5", "chr2", 7_500, 7_600), r"not within .* \(chr1, TSS 8000\)"),
        (("G5", "chr1", 8_950, 9_001), "not within the 2000 bp window"),
        (("G5", "chr1", 6_999, 7_100), "not within the 2000 bp window"),
    ],
)
def test_elements_elsewhere_are_named(toy_store, element, message):
    with pytest.raises(UserError, match=message):
        effects_of(trained(Counting(1)), toy_store, elements(element), **HOW)


def test_no_elements_no_effects(toy_store):
    assert effects_of(trained(Counting(1)), toy_store, SOME.iloc[:0], **HOW).shape == (0,)


def test_from_a_checkpoint_in_evaluation_mode(toy_store_dir, tmp_path):
    config = Seq2ExpSoftConfig(d_model=4, d_state=2, generator_layers=1, predictor_layers=1)
    torch.manual_seed(0)
    save_checkpoint(tmp_path / "model.ckpt", build_model(config, SHAPE), config, SHAPE, {})
    promoter = elements(("G5", "chr1", 7_950, 8_050))
    results = [
        shuffle_effects(tmp_path / "model.ckpt", toy_store_dir, promoter, n_shuffles=2, seed=3)
        for _ in range(2)
    ]
    # A sampled mask would differ from call to call.
    pd.testing.assert_frame_equal(*results)
    assert list(results[0].columns) == [*promoter.columns, "effect"]
    assert abs(results[0]["effect"][0]) > 1e-6
