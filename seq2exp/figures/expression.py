"""Predicted against observed expression of the test genes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from seq2exp.errors import UserError
from seq2exp.figures.style import BLUE, GREY, new_figure, save, styled
from seq2exp.metrics import accuracy
from seq2exp.schemas import PREDICTION_COLUMNS, read_table


@styled
def predicted_vs_observed(
    predictions: Path, outs: Sequence[Path], *, title: str, assay: str, transform: str = "log10_1p"
) -> None:
    """Draw one point a test gene, with r, MSE, the number of genes and the line of equality.

    Parameters
    ----------
    predictions
        predictions.tsv.
    outs
        Files to write; the suffix is the format.
    title
        What was trained on what.
    assay, transform
        Name and scale of the label (``expression`` of the config).
    """
    table = read_table(predictions, PREDICTION_COLUMNS)
    test = table[table["split"] == "test"]
    if test.empty:
        raise UserError(f"{predictions}: no gene in test; change folds")
    observed, predicted = test["observed"].to_numpy(), test["predicted"].to_numpy()
    found = accuracy(observed, predicted)
    figure = new_figure(4.2, 4.2)
    axes = figure.subplots()
    low = float(min(observed.min(), predicted.min()))
    high = float(max(observed.max(), predicted.max()))
    margin = 0.05 * (high - low) or 1.0
    limits = (low - margin, high + margin)
    axes.plot(limits, limits, color=GREY, linewidth=1, linestyle="--", label="predicted = observed")
    size = float(np.clip(3_000 / len(test), 4, 18))
    axes.scatter(
        observed, predicted, s=size, color=BLUE, alpha=0.6, linewidths=0, rasterized=len(test) > 500
    )
    axes.set_aspect("equal")
    axes.set_xlim(limits)
    axes.set_ylim(limits)
    unit = f"log10({assay} + 1)" if transform == "log10_1p" else assay
    axes.set_xlabel(f"observed {unit}")
    axes.set_ylabel(f"predicted {unit}")
    axes.set_title(title)
    figures = f"r = {found.pearson:.3f}\nMSE = {found.mse:.4f}\nn = {found.n} test genes"
    axes.text(0.03, 0.97, figures, transform=axes.transAxes, va="top")
    axes.legend(loc="lower right")
    save(figure, outs)
