import math

import pytest

from seq2exp.metrics import accuracy


def test_by_hand():
    figures = accuracy([1, 2, 3, 4], [1, 3, 3, 5])
    assert figures.mse == pytest.approx(0.5)
    assert figures.mae == pytest.approx(0.5)
    # centred: (-1.5,-.5,.5,1.5) and (-2,0,0,2): 6 / sqrt(5 * 8)
    assert figures.pearson == pytest.approx(6 / math.sqrt(40))
    assert figures.n == 4


def test_constant_prediction_has_no_correlation():
    assert math.isnan(accuracy([1, 2, 3], [2, 2, 2]).pearson)


def test_not_finite_or_empty_is_refused():
    with pytest.raises(ValueError, match="finite"):
        accuracy([1.0, float("nan")], [1.0, 2.0])
    with pytest.raises(ValueError, match="not empty"):
        accuracy([], [])
