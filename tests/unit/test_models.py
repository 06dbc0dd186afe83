"""What every model of the registry must do, and the loss that they share."""

import math
from typing import get_args

import pytest
import torch

from seq2exp.model_config import (
    EnformerConfig,
    HyenaConfig,
    MambaConfig,
    ModelConfig,
    PrismConfig,
    Seq2ExpSoftConfig,
)
from seq2exp.models import MODELS, ExpressionModel, Output
from tests import tiny_models
from tests.tiny_models import SHAPE, WINDOWS, new_batch, new_model, train, with_seeds

KINDS = pytest.mark.parametrize("kind", sorted(MODELS))
SEEDS = pytest.mark.parametrize("seed", [2, 22, 222])


def training_loss(kind: str, *, in_bfloat16: bool = False) -> tuple[ExpressionModel, torch.Tensor]:
    model, batch = new_model(kind, seed=2).train(), with_seeds(new_batch(), 0)
    with torch.autocast("cpu", torch.bfloat16, enabled=in_bfloat16):
        output = model(batch)
    return model, model.loss(output, batch.label).total


# --------------------------------------------------------------------------- every kind


def test_every_kind_of_the_config_has_a_model_and_tiny_settings():
    """A kind that is missing in tests/tiny_models.py: add a line to its SETTINGS."""
    kinds = {config.model_fields["kind"].default for config in get_args(get_args(ModelConfig)[0])}
    assert set(MODELS) == kinds
    assert set(tiny_models.SETTINGS) == kinds


@KINDS
def test_shapes(kind):
    model = new_model(kind, seed=2).eval()
    with torch.no_grad():
        output = model(new_batch())
    assert output.prediction.shape == (WINDOWS,)
    assert output.prediction.dtype == torch.float32
    # peaks are a mask, but none that the model has found
    assert (output.mask is not None) == (model.config.has_mask or kind == "peaks_mask")
    for per_base in (output.mask, output.alpha, output.beta):
        assert per_base is None or per_base.shape == (WINDOWS, SHAPE.window_length)


@KINDS
@pytest.mark.parametrize("in_bfloat16", [False, True], ids=["float32", "bf16"])
def test_loss_and_every_gradient_are_finite(kind, in_bfloat16):
    """And there is one: processes that train together wait for each parameter's."""
    model, loss = training_loss(kind, in_bfloat16=in_bfloat16)
    assert loss.isfinite()
    if kind == "signal_linear":
        assert not loss.requires_grad  # it is fitted in closed form
        return
    loss.backward()
    trained = {name: weight for name, weight in model.named_parameters() if weight.requires_grad}
    for name, parameter in trained.items():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name


@KINDS
def test_bfloat16_stays_near_float32(kind):
    exact, found = (training_loss(kind, in_bfloat16=half)[1].item() for half in (False, True))
    assert found == pytest.approx(exact, rel=0.02)


@KINDS
def test_a_step_is_a_function_of_its_seeds_alone(kind):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        before = torch.random.get_rng_state()
        _, one = training_loss(kind)
        assert torch.equal(before, torch.random.get_rng_state())
        torch.manual_seed(2)
        _, again = training_loss(kind)
    assert torch.equal(one, again)


@KINDS
@SEEDS
def test_trains_from_every_seed(kind, seed):
    losses = train(new_model(kind, seed), new_batch(), steps=20)
    assert all(map(math.isfinite, losses))
    assert losses[-1] < 0.8 * losses[0]


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@KINDS
@SEEDS
def test_trains_from_every_seed_in_bfloat16_on_a_gpu(kind, seed):
    batch = tiny_models.on(new_batch(), "cuda")
    losses = train(new_model(kind, seed).cuda(), batch, steps=20, in_bfloat16=True)
    assert all(map(math.isfinite, losses))
    assert losses[-1] < 0.8 * losses[0]


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (MambaConfig(), 128 * 4 / 2),  # one scan a layer
        (HyenaConfig(), 128 * 4),
        (EnformerConfig(), 1536 * 2),  # convolutions, and 11 layers on a 128th of the positions
        (PrismConfig(), 128 * 4 * 3),  # passes: the signals as they are, and in two states
    ],
)
def test_sizes_for_estimates(config, expected):
    assert config.width_times_layers == expected


# --------------------------------------------------------------------------- the shared loss


def model_of(**settings) -> ExpressionModel:
    model = ExpressionModel()
    model.config = Seq2ExpSoftConfig(**settings)
    return model


def test_loss_by_hand():
    output = Output(torch.tensor([1.0, 5.0]), kl=torch.tensor(3.0))
    loss = model_of(kl_weight=0.01).loss(output, torch.tensor([1.5, 1.0]))
    # smooth-L1: 0.5 * 0.25 within 1, |4| - 0.5 beyond
    assert loss.prediction.item() == pytest.approx((0.125 + 3.5) / 2)
    assert loss.total.item() == pytest.approx((0.125 + 3.5) / 2 + 0.03)
    assert loss.kl.item() == 3


def test_weight_of_the_kl_is_the_configs():
    output = Output(torch.tensor([1.0]), kl=torch.tensor(3.0))
    loss = model_of(kl_weight=0.5).loss(output, torch.tensor([1.0]))
    assert loss.total.item() == 1.5


def test_standardised_label_divides_the_error():
    output = Output(torch.tensor([3.0]))
    loss = model_of().loss(output, torch.tensor([1.0]), label_scale=4.0)
    assert loss.total.item() == pytest.approx(0.5 * 0.5**2)
    assert loss.kl.item() == 0
