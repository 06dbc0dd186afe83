"""Seq2Exp-gated: what a mask of zero does, and that a mask between zero and one does something."""

import pytest
import torch

from seq2exp.model_config import Seq2ExpGatedConfig, Seq2ExpSoftConfig
from seq2exp.models import InputShape, build_model
from seq2exp.models.seq2exp_gated import MaskedSum
from seq2exp.packing import Batch

B, L, P, F = 4, 192, 16, 3
PROMOTER = slice(88, 104)
SMALL = {"d_model": 16, "d_state": 4, "generator_layers": 1, "predictor_layers": 2}
AS_PUBLISHED = {"binarise": False, "mask_ratio": None, "stem_width": 0, "pooling": "promoter"}
GATES = ["embedding", "first_norm", "norm", "step"]


@pytest.fixture(autouse=True)
def seeded():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield


def random_batch() -> Batch:
    return Batch(
        sequence=torch.nn.functional.one_hot(torch.randint(4, (B, L)), 4).float(),
        signals=torch.rand(B, L, 3) * 3,
        gene_features=torch.randn(B, F),
        blacklist=torch.zeros(B, L, dtype=torch.bool),
        label=torch.randn(B),
        index=torch.arange(B),
    )


def new_model(**settings):
    return build_model(Seq2ExpGatedConfig(**{**SMALL, **settings}), InputShape(L, P, F)).eval()


def with_promoter(mask: torch.Tensor) -> torch.Tensor:
    mask = mask.clone()
    mask[:, PROMOTER] = 1
    return mask


def test_gated_at_the_embedding_it_is_the_soft_model():
    settings = {"prior": {"scale": 10, "beta_min": 1}, "marginal": {"scale": 10}}
    gated = new_model(gate="embedding", kl_weight=0.01, **AS_PUBLISHED, **settings)
    soft = build_model(Seq2ExpSoftConfig(**SMALL), InputShape(L, P, F)).eval()
    soft.load_state_dict(gated.state_dict())
    batch = random_batch()
    ours, theirs = gated(batch), soft(batch)
    for one, other in zip(ours[:-1], theirs[:-1], strict=True):
        assert torch.equal(one, other)
    assert torch.equal(gated.loss(ours, batch.label).total, soft.loss(theirs, batch.label).total)


@torch.no_grad()
def test_a_removed_base_is_not_there():
    """Where convolutions see one base, a step of 0 is the same as cutting the base out."""
    model, batch = new_model(gate="step", d_conv=1, **AS_PUBLISHED), random_batch()
    kept = with_promoter((torch.rand(B, L) < 0.5).float())
    gated = model.predict_from(batch, kept)
    for window in range(B):
        bases = kept[window].bool()
        x = model.embedded(batch)[1][window : window + 1, bases]
        before = int(bases[: PROMOTER.start].sum())
        hidden = model.predictor(x, slice(before, before + P))
        features = batch.gene_features[window : window + 1]
        torch.testing.assert_close(model.head(hidden, features)[0], gated[window])


@pytest.mark.parametrize("settings", [AS_PUBLISHED, {}], ids=["as published", "default"])
@pytest.mark.parametrize("gate", GATES)
@torch.no_grad()
def test_what_a_mask_of_zero_hides_changes_nothing(gate, settings):
    """The bases themselves; that they were there is seen everywhere but with ``step``."""
    model, batch = new_model(gate=gate, **settings), random_batch()
    mask = with_promoter((torch.rand(B, L) < 0.5).float())
    hidden = (mask == 0).unsqueeze(-1)
    other = batch._replace(sequence=torch.where(hidden, batch.sequence.roll(1, -1), batch.sequence))
    torch.testing.assert_close(model.predict_from(batch, mask), model.predict_from(other, mask))


@torch.no_grad()
def sensitivity(gate: str) -> float:
    """Change of predictions from mask 1/4 to 1/2 outside the promoter, against that from 0 to 1.

    A factor on the promoter's view of distal bases that grows evenly would give 1/4.
    """
    changes = []
    for seed in range(8):
        torch.manual_seed(seed)
        model, batch = new_model(gate=gate, **AS_PUBLISHED), random_batch()
        levels = [
            model.predict_from(batch, with_promoter(torch.full((B, L), level)))
            for level in (0.0, 0.25, 0.5, 1.0)
        ]
        changes.append([(levels[2] - levels[1]).abs(), (levels[3] - levels[0]).abs()])
    middle, whole = (torch.cat([pair[i] for pair in changes]).mean() for i in (0, 1))
    return float(middle / whole)


def test_a_mask_between_zero_and_one_acts_only_where_no_norm_undoes_it():
    found = {gate: sensitivity(gate) for gate in GATES}
    assert found["embedding"] < 0.12
    assert min(found["first_norm"], found["norm"], found["step"]) > 0.15


def test_a_binarised_mask_is_of_zeros_and_ones_and_is_taught():
    model, batch = new_model(), random_batch()._replace(seeds=tuple(range(B)))
    assert model.hard_mask
    for training in (True, False):
        output = model.train(training)(batch)
        assert set(output.mask.unique().tolist()) <= {0.0, 1.0}
    output = model.train()(batch)
    model.loss(output._replace(kl=None, for_loss=None), batch.label).total.backward()
    assert (model.generator.head.weight.grad.abs() > 0).all()


def test_a_base_is_kept_with_the_mean_of_its_density():
    model, batch = new_model(stretch_length=5).train(), random_batch()
    outside = torch.ones(L, dtype=torch.bool)
    outside[PROMOTER] = False
    masks, likely = [], []
    with torch.no_grad():
        for first in range(0, 400 * B, B):
            output = model(batch._replace(seeds=tuple(range(first, first + B))))
            masks.append(output.mask)
            likely.append(output.alpha / (output.alpha + output.beta))
    kept, expected = torch.stack(masks).mean(0)[:, outside], likely[0][:, outside]
    assert ((kept - expected).abs() < 5 * (expected * (1 - expected) / 400).sqrt()).all()


def test_an_untrained_mask_is_open():
    output = new_model().train()(random_batch()._replace(seeds=tuple(range(B))))
    likely = output.alpha / (output.alpha + output.beta)
    assert likely.mean() > 0.7


@torch.no_grad()
def test_far_elements_reach_the_head_as_near_ones_do():
    """With no state that carries them (d_conv 1, steps of 0) the pooled sum does."""
    model, batch = new_model(d_conv=1), random_batch()
    for ssm in (m for m in model.predictor.modules() if hasattr(m, "dt_proj")):
        ssm.dt_proj.weight.zero_()
        ssm.dt_proj.bias.fill_(-40)  # softplus(-40) is 4e-18
    batch = batch._replace(signals=torch.ones(B, L, 3))
    motif = torch.nn.functional.one_hot(torch.tensor([0, 1, 2, 3, 3, 2, 1, 0, 0, 2]), 4).float()
    background = torch.full((B, L, 4), 0.25)
    mask, found = with_promoter(torch.ones(B, L)), []
    for start in (16, 62):  # twice the reach of the stem from the edge, once from the promoter
        sequence = background.clone()
        sequence[:, start : start + 10] = motif
        found.append(model.predict_from(batch._replace(sequence=sequence), mask))
    none = model.predict_from(batch._replace(sequence=background), mask)
    torch.testing.assert_close(found[0] - none, found[1] - none)
    assert ((found[0] - none).abs() > 1e-5).all()


@pytest.mark.parametrize(
    ("signals", "expected"),
    [
        (("h3k27ac", "dnase", "hic"), 6.0),
        (("dnase",), 9.0),
        (("h3k27ac", "hic"), 4.0),
        (("hic",), 1),
    ],
)
@torch.no_grad()
def test_activity_is_the_geometric_mean_of_the_signals_there_are(signals, expected):
    model = new_model(signals=signals, signal_transform="raw")
    batch = random_batch()._replace(signals=torch.tensor([4.0, 9.0, 5.0]).expand(B, L, 3))
    torch.testing.assert_close(model.activity(batch), torch.full((B, L), float(expected)))


@torch.no_grad()
def test_the_unit_of_the_signals_does_not_matter_to_the_sum():
    """Calibrated on signals, and on signals of another unit, the weights of bases are the same."""
    batch, weights, divisors = random_batch(), [], []
    for unit in (1.0, 50.0):
        shown = batch._replace(signals=batch.signals * torch.tensor([unit, unit, 1.0]))
        model = new_model(signal_transform="raw")
        model.calibrate(iter([shown]))
        weights.append(model.pool.openness(model.activity(shown)))
        divisors.append(model.pool.divisor)
    torch.testing.assert_close(*weights)
    torch.testing.assert_close(*divisors)


@torch.no_grad()
def test_however_many_closed_bases_there_are_open_ones_weigh_the_same():
    """Of a tenth, and of a thousandth, of the bases with activity 2 beside bases with 0.002."""
    pools = []
    for length in (200, 20_000):
        activity = torch.full((1, length), 0.002)
        activity[:, :20] = 2
        pool = MaskedSum(16, InputShape(length, P, F))
        pool.calibrate([activity])
        torch.testing.assert_close(pool.half_open, torch.tensor(0.6), rtol=2e-3, atol=0)
        assert pool.openness(torch.tensor(0.6)).item() == pytest.approx(0.5, rel=2e-3)
        assert pool.openness(torch.tensor(2.0)).item() == pytest.approx(1 / 1.09, rel=1e-3)
        assert pool.openness(torch.tensor(0.002)).item() < 2e-5
        pools.append(pool)
    # 20 open bases are as many in both: so is what they add to the sum.
    torch.testing.assert_close(pools[0].divisor, pools[1].divisor, rtol=1e-3, atol=0)


@torch.no_grad()
def test_windows_without_a_signal_leave_the_sum_as_it_is():
    pool = MaskedSum(16, InputShape(L, P, F))
    pool.calibrate([torch.zeros(1, L)])
    assert torch.isfinite(pool(torch.randn(B, L, 16), pool.openness(torch.zeros(B, L)))).all()


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"stem_width": 4}, "stem_width: 4 has no middle base"),
        ({"close": (0.5, 0.5)}, "does not rise"),
        ({"evidence": ("signals",)}, "set mask_ratio: null"),
    ],
)
def test_settings_that_do_not_fit(settings, said):
    with pytest.raises(ValueError, match=said):
        Seq2ExpGatedConfig(**settings)
