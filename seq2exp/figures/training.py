"""Loss, KL and validation accuracy in the course of a training."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes

from seq2exp.figures.style import BLACK, BLUE, GREY, VERMILION, new_figure, note, save, styled
from seq2exp.schemas import HISTORY_COLUMNS, read_table


@styled
def training_curves(history: Path, metrics: Path, outs: Sequence[Path], *, title: str) -> None:
    """Draw loss, KL of the mask and validation r against the training step.

    The step that was kept is marked.

    Parameters
    ----------
    history
        history.csv; without a row (a model fitted in closed form) the figure says so.
    metrics
        metrics.json of the run, which knows the step that was kept.
    outs
        Files to write; the suffix is the format.
    title
        What was trained on what.
    """
    table = read_table(history, HISTORY_COLUMNS)
    figure = new_figure(6.4, 5.6 if len(table) else 1.6)
    figure.suptitle(title, fontsize=10)
    if table.empty:
        note(figure.subplots(), "fitted in closed form: no training steps")
        save(figure, outs)
        return
    loss, kl, pearson = figure.subplots(3, 1, sharex=True)
    kept_step = json.loads(metrics.read_text())["best_step"]
    (best,) = table[table["step"] == kept_step].to_dict("records")
    _line(loss, table, "train_loss", BLUE, "training")
    _line(loss, table, "valid_loss", VERMILION, "validation")
    loss.set_ylabel("loss")
    if table["train_kl"].abs().sum() > 0:
        _line(kl, table, "train_kl", BLUE, "training")
        kl.set_ylabel("KL of the mask\n(nats a base)")
    else:
        note(kl, "no mask, no KL")
    _line(pearson, table, "valid_pearson", VERMILION, "validation")
    pearson.set_ylabel("validation\nPearson r")
    pearson.set_xlabel("training step")
    for axes in (loss, kl, pearson):
        axes.axvline(best["step"], color=GREY, linestyle="--", linewidth=1)
    pearson.plot(best["step"], best["valid_pearson"], "o", color=BLACK, markersize=4)
    kept = f"kept: step {best['step']:.0f}, validation r = {best['valid_pearson']:.3f}"
    pearson.text(0.99, 0.04, kept, transform=pearson.transAxes, ha="right", fontsize=8)
    loss.legend()
    save(figure, outs)


def _line(axes: Axes, table: pd.DataFrame, column: str, colour: str, label: str) -> None:
    known = table[table[column].notna()]
    marker = "o" if len(known) < 40 else ""
    axes.plot(known["step"], known[column], color=colour, marker=marker, markersize=3, label=label)
