import pytest

from seq2exp.recipe import learning_rate
from seq2exp.training_config import TrainingConfig


def test_learning_rate_of_the_paper():
    recipe = TrainingConfig()
    assert learning_rate(0, recipe) == pytest.approx(1e-5)
    assert learning_rate(2_500, recipe) == pytest.approx((1e-5 + 5e-4) / 2)
    assert learning_rate(5_000, recipe) == pytest.approx(5e-4)
    assert learning_rate(27_500, recipe) == pytest.approx((5e-4 + 1e-4) / 2)
    assert learning_rate(50_000, recipe) == pytest.approx(1e-4)
