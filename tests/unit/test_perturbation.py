import shutil

import numpy as np
import pandas as pd
import pytest
import torch
from pydantic import TypeAdapter
from torch import nn

from seq2exp.attribution import attributions, base_attribution
from seq2exp.bottleneck import apply_fixed_bases, promoter_slice
from seq2exp.checkpoints import TrainedModel, load_checkpoint, save_checkpoint
from seq2exp.errors import UserError
from seq2exp.model_config import ModelConfig, Seq2ExpSoftConfig, SignalLinearConfig
from seq2exp.models import ExpressionModel, InputShape, Output, build_model
from seq2exp.models.masked import MaskedModel, Proposal
from seq2exp.packing import unpack
from seq2exp.perturbation import removal_effects, shuffle_effects
from seq2exp.store import open_store
from seq2exp.windows import read_window
from tests.conftest import slow_window
from tests.tiny_models import SETTINGS

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


def any_model(kind):
    """A model of a kind at its tiny size, with random weights, for the toy's windows."""
    settings = {"kind": kind, **SETTINGS[kind]}
    config = TypeAdapter(ModelConfig).validate_python(settings)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        return TrainedModel(build_model(config, SHAPE).eval(), config, SHAPE, {})


def elements(*rows):
    return pd.DataFrame(rows, columns=["gene_id", "chrom", "start", "end"])


HOW = {"n_shuffles": 4, "seed": 0, "batch_size": 3}
# G4's window is chr1:5000-7000, G5's chr1:7000-9000, G7's chr2:3000-5000.
SOME = elements(
    ("G5", "chr1", 7_500, 7_600), ("G4", "chr1", 5_100, 5_220), ("G4", "chr1", 6_800, 7_000)
)

# At the edges of promoters, where random networks have not yet forgotten them.
NEAR = elements(
    ("G5", "chr1", 7_860, 7_902), ("G4", "chr1", 6_095, 6_140), ("G4", "chr1", 5_890, 5_910)
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
    np.testing.assert_array_equal(shuffle_effects(trained(Counting(0)), toy_store, SOME, **HOW), 0)


def test_order_has_the_effect_that_combinatorics_says(toy_store, tmp_path):
    # n/2 times CG, between A's that no edge pair forms: n/2 pairs before the shuffle. After it
    # each of the n - 1 neighbouring places holds CG with chance (n/2)^2 / (n (n-1)): n/4 pairs.
    n = 40
    store = with_sequence(toy_store, tmp_path / "s", "G7", 500, "A" + "CG" * (n // 2) + "A")
    element = elements(("G7", "chr2", 3_501, 3_501 + n))
    effect = shuffle_effects(
        *(trained(Counting(2)), store, element), n_shuffles=1_000, seed=1, batch_size=16
    )
    # s.d. of the number of pairs is about 1.6, so the mean of 1,000 has an error of 0.05, twice that for effects.
    assert effect == pytest.approx([2 * (n / 2 - n / 4)], abs=0.4)


def test_effects_do_not_depend_on_batches_or_company(toy_store):
    model = trained(Counting(1))
    together = shuffle_effects(model, toy_store, SOME, **HOW)
    assert np.abs(together).max() > 0
    one_by_one = [
        shuffle_effects(model, toy_store, SOME.iloc[[i]], **{**HOW, "batch_size": 1})[0]
        for i in range(len(SOME))
    ]
    np.testing.assert_array_equal(together, one_by_one)
    other_seed = shuffle_effects(model, toy_store, SOME, **{**HOW, "seed": 1})
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
    np.testing.assert_array_equal(
        shuffle_effects(trained(Outside(0)), toy_store, element, **HOW), 0
    )


@pytest.mark.parametrize("flag", ["blacklist", "peaks"])
def test_flagged_bases_stay_where_they_are(toy_store, flag):
    class Flagged(Counting):
        def forward(self, batch):
            return Output((getattr(batch, flag) * torch.arange(LENGTH)).sum(dim=1).float())

    # chr1:250-260 is blacklisted, 200-255 a peak, G1's window is chr1:-700 to 1300.
    element = elements(("G1", "chr1", 240, 300))
    np.testing.assert_array_equal(
        shuffle_effects(trained(Flagged(0)), toy_store, element, **HOW), 0
    )


def test_a_shorter_window_is_cropped_around_the_tss(toy_store):
    model = trained(Counting(1), length=1_000)
    inside = elements(("G5", "chr1", 7_500, 7_600))
    assert shuffle_effects(model, toy_store, inside, **HOW)[0] != 0
    with pytest.raises(UserError, match="not within the 1000 bp window of G5"):
        shuffle_effects(model, toy_store, elements(("G5", "chr1", 7_450, 7_600)), **HOW)


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
        shuffle_effects(trained(Counting(1)), toy_store, elements(element), **HOW)


def test_no_elements_no_effects(toy_store):
    assert shuffle_effects(trained(Counting(1)), toy_store, SOME.iloc[:0], **HOW).shape == (0,)


def test_from_a_checkpoint_in_evaluation_mode(toy_store, tmp_path):
    config = Seq2ExpSoftConfig(d_model=4, d_state=2, generator_layers=1, predictor_layers=1)
    torch.manual_seed(0)
    save_checkpoint(tmp_path / "model.ckpt", build_model(config, SHAPE), config, SHAPE, {})
    promoter = elements(("G5", "chr1", 7_950, 8_050))
    results = [
        shuffle_effects(load_checkpoint(tmp_path / "model.ckpt"), toy_store, promoter, **HOW)
        for _ in range(2)
    ]
    # A sampled mask would differ from call to call.
    np.testing.assert_array_equal(*results)
    assert abs(results[0][0]) > 1e-6


# ------------------------------------------------------------------------- taken away


def test_without_a_mask_bases_become_n_and_signals_0(toy, toy_store):
    class Sums(Counting):
        def forward(self, batch):
            return Output(batch.sequence[..., 0].sum(1) + batch.signals @ torch.ones(3) @ ONES)

    ONES = torch.ones(LENGTH)
    effects = removal_effects(trained(Sums(0)), toy_store, SOME, batch_size=2)
    for effect, element in zip(effects, SOME.itertuples(), strict=True):
        bases = slice(element.start, element.end)
        tss = toy_store.genes.set_index("gene_id")["tss"][element.gene_id]
        _, signals, _ = slow_window(toy, element.chrom, tss, LENGTH)
        first = tss - LENGTH // 2
        letters = toy.sequence["chr1"][bases].upper().count("A")
        lost = letters + signals[element.start - first : element.end - first].sum()
        assert effect == pytest.approx(lost, rel=1e-3)


def test_without_a_mask_no_peak_is_left_and_blacklist_stays(toy_store):
    class Flagged(Counting):
        def forward(self, batch):
            return Output(batch.peaks.sum(1).float() + 1_000 * batch.blacklist.sum(1))

    # G1: chr1:250-260 is blacklisted, 200-255 a peak.
    element = elements(("G1", "chr1", 240, 300))
    assert removal_effects(trained(Flagged(0)), toy_store, element).tolist() == [15]


class MaskSum(MaskedModel):
    """Its mask is 1 on every A; it predicts the sum of the mask, each base by its place."""

    def __init__(self):
        nn.Module.__init__(self)
        self.shape = SHAPE
        self.register_buffer("place", torch.arange(LENGTH, dtype=torch.float32))

    def mask_of(self, batch):
        mask = batch.sequence[..., 0]
        return Proposal(apply_fixed_bases(mask, batch.blacklist, promoter_slice(LENGTH, 200)))

    def predict_from(self, batch, mask):
        return (mask * self.place).sum(dim=1) + batch.sequence[..., 3].sum(dim=1)

    def forward(self, batch):
        own = self.mask_of(batch)
        return Output(self.predict_from(batch, own.mask), own.mask)


def test_with_a_mask_it_is_0_on_the_element_and_the_window_stays(toy, toy_store):
    # The last one reaches 30 bases into G5's promoter, chr1:7900-8100, whose mask stays 1.
    table = pd.concat([SOME, elements(("G5", "chr1", 7_800, 7_930))], ignore_index=True)
    effects = removal_effects(trained(MaskSum()), toy_store, table, batch_size=3)
    firsts = {"G4": 5_000, "G5": 7_000}
    for effect, element in zip(effects, table.itertuples(), strict=True):
        stop = min(element.end, 7_900) if element.start == 7_800 else element.end
        a = [i for i in range(element.start, stop) if toy.sequence["chr1"][i] in "Aa"]
        assert effect == sum(i - firsts[element.gene_id] for i in a)


@pytest.mark.parametrize("kind", ["seq2exp_soft", "seq2exp_hard", "caduceus_signals"])
def test_removal_does_not_depend_on_batches_or_company(toy_store, kind):
    model = any_model(kind)
    together = removal_effects(model, toy_store, NEAR, batch_size=8)
    one_by_one = [
        removal_effects(model, toy_store, NEAR.iloc[[i]], batch_size=1)[0] for i in range(len(NEAR))
    ]
    np.testing.assert_allclose(together, one_by_one, atol=5e-7)
    assert np.abs(together).min() > 5e-6
    assert removal_effects(model, toy_store, SOME.iloc[:0]).shape == (0,)


# ------------------------------------------------------------------------- attribution


class Linear(Counting):
    """A weight for each letter and signal of each base, and one for the gene feature."""

    def __init__(self):
        super().__init__(0)
        generator = torch.Generator().manual_seed(0)
        self.register_buffer("letters", torch.randn(LENGTH, 4, generator=generator))
        self.register_buffer("signals", torch.randn(LENGTH, 3, generator=generator))

    def forward(self, batch):
        letters = (batch.sequence * self.letters).sum(dim=(1, 2))
        signals = (batch.signals * self.signals).sum(dim=(1, 2))
        return Output(letters + signals + batch.gene_features.sum(dim=1) + 3)


def test_attribution_of_a_linear_model_is_its_closed_form_and_what_removal_takes(toy, toy_store):
    model = Linear()
    found = attributions(trained(model), toy_store, SOME)
    for value, element in zip(found, SOME.itertuples(), strict=True):
        tss = toy_store.genes.set_index("gene_id")["tss"][element.gene_id]
        letters, signals, _ = slow_window(toy, element.chrom, tss, LENGTH)
        bases = slice(element.start - tss + LENGTH // 2, element.end - tss + LENGTH // 2)
        own = letters[bases] * model.letters[bases].numpy()
        own_signals = signals[bases] * model.signals[bases].numpy()
        assert value == pytest.approx(own.sum() + own_signals.sum(), rel=1e-4)
    removed = removal_effects(trained(model), toy_store, SOME)
    np.testing.assert_allclose(found, removed, atol=2e-3)


def test_attribution_goes_through_the_mask(toy_store):
    class Squared(MaskSum):
        """The prediction is the sum over bases of (mask x A), the mask being A itself: A squared."""

        def predict_from(self, batch, mask):
            return (mask * batch.sequence[..., 0]).sum(dim=1)

    # Gradient 2 A outside the promoter, where both factors count, and 1 in it, where the mask is 1.
    bases = base_attribution(trained(Squared()), toy_store, 4)
    (a,) = read_window(toy_store, 4).codes & 7 == 0
    expected = np.where(np.abs(np.arange(LENGTH) - 999.5) < 100, 1, 2) * a.numpy()
    np.testing.assert_array_equal(bases, expected)


def test_attribution_against_finite_differences(toy_store):
    model = any_model("seq2exp_soft")
    row, step = 4, 1e-2
    batch = unpack(read_window(toy_store, row), contact_bin=toy_store.contact_bin)
    bases = slice(880, 920)

    def at(scale):
        sequence, signals = batch.sequence.clone(), batch.signals.clone()
        sequence[:, bases] *= scale
        signals[:, bases] *= scale
        scaled = batch._replace(sequence=sequence, signals=signals)
        with torch.no_grad():
            return model.model(scaled).prediction.double().item()

    slope = (at(1 + step) - at(1 - step)) / (2 * step)
    element = elements(("G5", "chr1", 7_880, 7_920))
    assert toy_store.genes["gene_id"].iloc[row] == "G5"
    assert attributions(model, toy_store, element)[0] == pytest.approx(slope, rel=0.02)
    assert abs(slope) > 5e-4


@pytest.mark.parametrize("kind", sorted(set(SETTINGS) - {"enformer"}))
def test_every_kind_of_model_has_effects(toy_store, kind):
    model = any_model(kind)
    found = [
        attributions(model, toy_store, NEAR),
        removal_effects(model, toy_store, NEAR),
        shuffle_effects(model, toy_store, NEAR, **HOW),
    ]
    assert np.isfinite(found).all()
    if kind == "signal_linear":  # it reads no sequence, and is not fitted
        assert not np.any(found)
    assert all(parameter.grad is None for parameter in model.model.parameters())
