"""Accuracy of predicted expression."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike


class Accuracy(NamedTuple):
    """The paper's three figures over a set of genes."""

    mse: float
    mae: float
    pearson: float
    """NaN where one side is constant."""
    n: int


def accuracy(observed: ArrayLike, predicted: ArrayLike) -> Accuracy:
    """MSE, MAE and Pearson r of predictions against labels.

    Raises
    ------
    ValueError
        If there is no gene, the lengths differ, or a value is not finite.
    """
    y, p = np.asarray(observed, dtype=np.float64), np.asarray(predicted, dtype=np.float64)
    if y.shape != p.shape or y.ndim != 1 or y.size == 0:
        raise ValueError(f"observed {y.shape} and predicted {p.shape} must be equal and not empty")
    if not (np.isfinite(y).all() and np.isfinite(p).all()):
        raise ValueError("observed and predicted values must be finite")
    error = p - y
    spread = y.std() * p.std()
    covariance = ((y - y.mean()) * (p - p.mean())).mean()
    pearson = covariance / spread if spread > 0 else float("nan")
    return Accuracy(float((error**2).mean()), float(abs(error).mean()), float(pearson), y.size)
