"""Prism's background states and its three losses, by hand."""

import math

import pytest
import torch

from seq2exp.model_config import PrismConfig
from seq2exp.models import InputShape, Output, build_model
from seq2exp.models.interface import promoter_of
from seq2exp.models.prism import Prism, contrast
from seq2exp.packing import Batch

LENGTH = 128
SETTINGS = {"d_model": 8, "d_state": 2, "layers": 1}


@pytest.fixture(autouse=True)
def seeded():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield


def new_model(**settings) -> Prism:
    return build_model(PrismConfig(**SETTINGS, **settings), InputShape(LENGTH, 16, 3))


def new_batch(windows: int = 4) -> Batch:
    base = torch.randint(4, (windows, LENGTH))
    return Batch(
        sequence=torch.nn.functional.one_hot(base, 4).float(),
        signals=5 * torch.rand(windows, LENGTH, 3),
        gene_features=torch.randn(windows, 3),
        blacklist=torch.zeros(windows, LENGTH, dtype=torch.bool),
        label=torch.rand(windows),
        index=torch.arange(windows),
    )


def set_weights(model: Prism, logit: float) -> None:
    """Every weight of every state and gene: sigmoid(logit)."""
    with torch.no_grad():
        model.background.projection.weight.zero_()
        model.background.projection.bias.fill_(logit)


# --------------------------------------------------------------------------- contrast


@pytest.mark.parametrize(
    ("vectors", "expected"),
    [
        ([[1.0, 0.0], [0.0, 1.0]], math.log(2 + 2 * math.exp(-2 * 1.5))),  # at right angles
        ([[0.2, 0.4], [0.5, 1.0]], math.log(4)),  # the same direction
        ([[3.0, 4.0], [1.0, 0.0]], math.log(2 + 2 * math.exp(2 * 1.5 * (0.6 - 1)))),  # cosine 3/5
        ([[0.3, 0.1]], 0.0),  # one state: nothing to keep apart
        ([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]], math.log(5 + 4 * math.exp(-2 * 1.5))),
    ],
)
def test_contrast_by_hand(vectors, expected):
    weights = torch.tensor(vectors).unsqueeze(0)
    assert contrast(weights, temperature=1.5).item() == pytest.approx(expected, abs=1e-6)


def test_contrast_is_a_mean_over_genes_of_gaussian_potentials():
    weights = torch.rand(5, 3, 7, dtype=torch.float64)
    unit = weights / weights.norm(dim=-1, keepdim=True)
    squared = (unit.unsqueeze(1) - unit.unsqueeze(2)).square().sum(-1)  # (B, n, n)
    expected = torch.exp(-2 * squared).sum(dim=(1, 2)).log().mean()
    assert contrast(weights, 2.0).item() == pytest.approx(expected.item(), rel=1e-5)


def test_minimising_the_contrast_moves_the_states_apart():
    model, batch = new_model(), new_batch()
    optimizer = torch.optim.SGD(model.background.parameters(), lr=1.0)

    def cosine() -> float:
        with torch.no_grad():
            return torch.cosine_similarity(*model.background(batch.signals).unbind(1)).mean().item()

    before = cosine()
    for _ in range(20):
        optimizer.zero_grad()
        contrast(model.background(batch.signals), 2.0).backward()
        optimizer.step()
    assert cosine() < before - 0.05


# --------------------------------------------------------------------------- loss


def test_loss_by_hand():
    model = new_model(adjustment_weight=0.5, contrast_weight=2.0, temperature=1.0)
    weights = torch.eye(2).expand(2, 2, 2)
    output = Output(
        torch.tensor([1.0, 5.0]),
        for_loss={"adjusted": torch.tensor([2.0, 2.0]), "weights": weights},
    )
    loss = model.loss(output, torch.tensor([1.5, 1.0]), label_scale=2.0)
    assert loss.prediction.item() == pytest.approx((0.25 + 2.0) / 2)
    adjusted, apart = (0.25 + 0.5) / 2, math.log(2 + 2 * math.exp(-2))
    assert loss.total.item() == pytest.approx(1.125 + 0.5 * adjusted + 2 * apart)
    assert loss.kl.item() == 0


def test_in_evaluation_the_loss_is_the_error_of_the_prediction():
    model, batch = new_model().eval(), new_batch()
    output = model(batch)
    assert output.for_loss is None
    loss = model.loss(output, batch.label)
    assert loss.total.item() == (output.prediction - batch.label).abs().mean().item()


# --------------------------------------------------------------------------- states


def test_weights_of_each_gene_are_its_own_and_lie_between_0_and_1():
    model, batch = new_model(background_states=3), new_batch()
    weights = model(batch).for_loss["weights"]
    assert weights.shape == (4, 3, 8)
    assert weights.min() > 0
    assert weights.max() < 1
    assert (weights[1:] != weights[:1]).all()


def test_weights_of_1_change_nothing_and_weights_of_0_take_the_signals_away():
    model, batch = new_model(), new_batch()
    set_weights(model, 100.0)
    output = model(batch)
    torch.testing.assert_close(output.for_loss["adjusted"], output.prediction)
    torch.testing.assert_close(output.prediction, model.eval()(batch).prediction)

    set_weights(model.train(), -100.0)
    adjusted = model(batch).for_loss["adjusted"]
    with torch.no_grad():
        model.signal_embedding.weight.zero_()
        model.signal_embedding.bias.zero_()
    without = model.eval()(batch).prediction
    torch.testing.assert_close(adjusted, without)
    assert not torch.allclose(without, output.prediction, atol=1e-3)


def test_the_adjusted_prediction_is_the_mean_over_the_states():
    model, batch = new_model(), new_batch()
    output = model(batch)
    predictions = []
    for k in range(2):
        states = output.for_loss["weights"][:, k : k + 1]
        x = model.sequence_embedding(batch.sequence)
        x = x + model.signal_embedding(batch.signals) * states
        predictions.append(model.predict(x, batch.gene_features, promoter_of(batch, model.shape)))
    expected = (predictions[0] + predictions[1]) / 2
    torch.testing.assert_close(output.for_loss["adjusted"], expected)


def test_size_counts_the_passes_of_a_step():
    assert PrismConfig(d_model=16, layers=2).width_times_layers == 16 * 2 * 3


def test_shortest_window_is_what_the_encoder_pools_to_one_position():
    shape = InputShape(64, 16, 3)
    model, batch = build_model(PrismConfig(**SETTINGS), shape), new_batch()
    cut = batch._replace(sequence=batch.sequence[:, :64], signals=batch.signals[:, :64])
    assert model(cut).for_loss["weights"].isfinite().all()
    assert PrismConfig().least_length == 64
