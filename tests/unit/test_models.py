"""What every model of the registry must do, and the loss that they share."""

import pytest
import torch

from seq2exp.model_config import Seq2ExpSoftConfig
from seq2exp.models.interface import ExpressionModel, Output


def new_model(**settings) -> ExpressionModel:
    model = ExpressionModel()
    model.config = Seq2ExpSoftConfig(**settings)
    return model


def test_loss_by_hand():
    output = Output(torch.tensor([1.0, 5.0]), kl=torch.tensor(3.0))
    loss = new_model(kl_weight=0.01).loss(output, torch.tensor([1.5, 1.0]))
    # smooth-L1: 0.5 * 0.25 within 1, |4| - 0.5 beyond
    assert loss.prediction.item() == pytest.approx((0.125 + 3.5) / 2)
    assert loss.total.item() == pytest.approx((0.125 + 3.5) / 2 + 0.03)
    assert loss.kl.item() == 3


def test_weight_of_the_kl_is_the_configs():
    output = Output(torch.tensor([1.0]), kl=torch.tensor(3.0))
    loss = new_model(kl_weight=0.5).loss(output, torch.tensor([1.0]))
    assert loss.total.item() == 1.5


def test_standardised_label_divides_the_error():
    output = Output(torch.tensor([3.0]))
    loss = new_model().loss(output, torch.tensor([1.0]), label_scale=4.0)
    assert loss.total.item() == pytest.approx(0.5 * 0.5**2)
    assert loss.kl.item() == 0
