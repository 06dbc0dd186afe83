import pytest
import torch

from seq2exp.models.interface import Output
from seq2exp.recipe import expression_loss, learning_rate
from seq2exp.training_config import TrainingConfig


def test_learning_rate_of_the_paper():
    recipe = TrainingConfig()
    assert learning_rate(0, recipe) == pytest.approx(1e-5)
    assert learning_rate(2_500, recipe) == pytest.approx((1e-5 + 5e-4) / 2)
    assert learning_rate(5_000, recipe) == pytest.approx(5e-4)
    assert learning_rate(27_500, recipe) == pytest.approx((5e-4 + 1e-4) / 2)
    assert learning_rate(50_000, recipe) == pytest.approx(1e-4)


def test_loss_by_hand():
    output = Output(torch.tensor([1.0, 5.0]), kl=torch.tensor(3.0))
    loss = expression_loss(output, torch.tensor([1.5, 1.0]), kl_weight=0.01)
    # smooth-L1: 0.5 * 0.25 within 1, |4| - 0.5 beyond
    assert loss.prediction.item() == pytest.approx((0.125 + 3.5) / 2)
    assert loss.total.item() == pytest.approx((0.125 + 3.5) / 2 + 0.03)


def test_standardised_label_divides_the_error():
    output = Output(torch.tensor([3.0]))
    loss = expression_loss(output, torch.tensor([1.0]), kl_weight=0.01, label_scale=4.0)
    assert loss.total.item() == pytest.approx(0.5 * 0.5**2)
    assert loss.kl.item() == 0
