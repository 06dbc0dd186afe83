"""Every figure of the paper: which there are, what each shows, and from which tables it is drawn."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

from seq2exp.figures.ablations import ablation_bars, view_bars
from seq2exp.figures.accuracy import accuracy_of_models
from seq2exp.figures.architecture import architecture
from seq2exp.figures.axis import LABELS, accuracy_along_axis
from seq2exp.figures.causal_graph import causal_graph
from seq2exp.figures.mask_ratio import mask_ratios
from seq2exp.matrix import Matrix
from seq2exp.model_config import Seq2ExpSoftConfig
from seq2exp.paper.files import ablation_file, axis_figure, axis_settings
from seq2exp.paper.published import masked_models

INTERVALS = "Intervals: 95%, genes (in blocks of one window length) and seeds resampled."


class PaperFigure(NamedTuple):
    """One figure."""

    name: str
    """File name without suffix."""
    title: str
    caption: str
    draw: Callable[[Sequence[Path]], None]
    """Writes it to files, whose suffixes are the formats."""


def paper_figures(matrix: Matrix, numbers: Path, tables: Path) -> list[PaperFigure]:
    """Every figure, in the order of the page; nothing is drawn yet.

    Parameters
    ----------
    matrix
        What there should be.
    numbers, tables
        Folders that :func:`seq2exp.paper.build.build_paper` fills.
    """
    return [
        *_drawings(matrix),
        PaperFigure(
            "accuracy",
            "Accuracy of all models",
            f"Test genes of all folds together. {INTERVALS}",
            partial(accuracy_of_models, tables / "accuracy.tsv", numbers / "seeds.tsv"),
        ),
        PaperFigure(
            "mask_ratio",
            "Size of the masks",
            "Share of a window that the mask keeps, over the test genes; mean over seeds.",
            partial(
                mask_ratios,
                numbers / "mask_ratio.tsv",
                tables / "accuracy.tsv",
                models=masked_models(matrix),
            ),
        ),
        *(_along(matrix, numbers, axis) for axis in axis_settings(matrix)),
        *(_group(matrix, numbers, group) for group in matrix.ablations),
        *([_views(numbers)] if matrix.views else []),
    ]


def _drawings(matrix: Matrix) -> list[PaperFigure]:
    """The paper's figures 1 and 2; sizes are the paper's where the config has no soft model."""
    soft = {
        name: config
        for name in matrix.main_models
        if type(config := matrix.models[name]) is Seq2ExpSoftConfig  # not what derives from it
    }
    name, config = next(iter(soft.items()), ("the paper", Seq2ExpSoftConfig()))
    draw = partial(
        architecture,
        config=config,
        window_length=config.window_length or matrix.window_length,
        promoter_length=matrix.promoter_length,
        title=f"Seq2Exp-soft, with the sizes of {name}",
    )
    return [
        PaperFigure(
            "causal_graph",
            "What causes what (the paper's figure 1)",
            "The sequence decides which elements can be active; active elements leave marks in the "
            "signals and drive the expression.",
            causal_graph,
        ),
        PaperFigure(
            "architecture",
            "The model (the paper's figure 2)",
            "The generator reads the sequence, the prior the signals; their product is the mask, under "
            "which the predictor reads both.",
            draw,
        ),
    ]


def _along(matrix: Matrix, numbers: Path, axis: str) -> PaperFigure:
    tables = numbers / "accuracy.tsv", numbers / "views.tsv"
    return PaperFigure(
        axis_figure(axis),
        f"Accuracy against {LABELS.get(axis, axis)}",
        f"Every point is trained anew, but for those that are cropped at test time. {INTERVALS}",
        partial(accuracy_along_axis, *tables, matrix=matrix, axis=axis),
    )


def _group(matrix: Matrix, numbers: Path, group: str) -> PaperFigure:
    return PaperFigure(
        ablation_file(group),
        f"Ablation: {group.replace('_', ' ')}",
        f"Variants less {matrix.ablations[group].model}, on the same genes. {INTERVALS}",
        partial(ablation_bars, numbers / "comparison.tsv", group=group),
    )


def _views(numbers: Path) -> PaperFigure:
    return PaperFigure(
        "views",
        "Ablations at test time",
        f"The same trained models, shown test windows in part. {INTERVALS}",
        partial(view_bars, numbers / "views.tsv"),
    )
