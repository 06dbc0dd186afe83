"""Seq2Exp-soft from its inputs to the expression, with the sizes of a config (after figure 2)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes

from seq2exp.figures.diagram import Box, canvas, draw_arrow, draw_box, draw_circle, draw_elbow
from seq2exp.figures.style import BLUE, GREEN, GREY, ORANGE, VERMILION, save, styled
from seq2exp.model_config import Seq2ExpSoftConfig

TOP, MIDDLE, BOTTOM = 3.5, 2.15, 0.6
HEIGHT = 0.72
SEQUENCE, SIGNALS = Box(0.8, TOP, 1.25, HEIGHT), Box(0.8, MIDDLE, 1.25, HEIGHT)
SEQUENCE_EMBEDDING, SIGNAL_EMBEDDING = Box(2.2, TOP, 0.95, HEIGHT), Box(2.2, BOTTOM, 0.95, HEIGHT)
GENERATOR = Box(4.45, TOP, 2.0, HEIGHT)
MASK_HEAD = Box(6.25, TOP, 1.15, HEIGHT)
PRIOR = Box(4.45, MIDDLE, 2.0, HEIGHT)
MASK = Box(8.75, MIDDLE, 1.9, 1.05)
MARGINAL = Box(8.75, TOP, 1.9, HEIGHT)
PREDICTOR = Box(5.5, BOTTOM, 2.0, HEIGHT)
POOL, HEAD = Box(7.5, BOTTOM, 1.4, HEIGHT), Box(9.05, BOTTOM, 1.1, HEIGHT)
EXPRESSION, FEATURES = Box(10.5, BOTTOM, 1.1, HEIGHT), Box(10.5, MIDDLE, 1.1, HEIGHT)
PRODUCT, GATE, SUM = (7.2, MIDDLE), (3.95, BOTTOM), (3.05, BOTTOM)
TURN = 1.33  # height at which lines from above turn
SMALL = 0.16


@styled
def architecture(
    outs: Sequence[Path],
    *,
    config: Seq2ExpSoftConfig,
    window_length: int,
    promoter_length: int,
    title: str,
) -> None:
    """Draw generator, Beta mask, prior, product, predictor and head.

    Parameters
    ----------
    outs
        Files to write; the suffix is the format.
    config
        Sizes.
    window_length, promoter_length
        bp that the model reads, and bp that are always used.
    title
        Whose sizes these are.
    """
    figure, axes = canvas(11.25, 4.35)
    for box, text, colour in _boxes(config, window_length, promoter_length):
        draw_box(axes, box, text, colour)
    for place, sign in ((PRODUCT, r"$\times$"), (GATE, r"$\odot$"), (SUM, "+")):
        draw_circle(axes, place, SMALL, sign)
    _arrows(axes)
    axes.text(
        PRODUCT[0], MIDDLE - 0.24, "product of\ndensities", fontsize=7.5, ha="center", va="top"
    )
    axes.text(0.18, 4.12, title, fontsize=10, va="center")
    save(figure, outs)


def _boxes(
    config: Seq2ExpSoftConfig, window_length: int, promoter_length: int
) -> list[tuple[Box, str, str]]:
    d, marginal, prior = config.d_model, config.marginal, config.prior
    beta = marginal.scale * (1 - marginal.mean) / marginal.mean
    return [
        (SEQUENCE, f"sequence\n{window_length:,} bp x 4", GREY),
        (SIGNALS, f"signals\n{window_length:,} bp x 3", GREY),
        (FEATURES, "gene\nfeatures", GREY),
        (SEQUENCE_EMBEDDING, f"linear\n4 to {d}", BLUE),
        (SIGNAL_EMBEDDING, f"linear\n3 to {d}", BLUE),
        (
            GENERATOR,
            f"generator: {_counted(config.generator_layers)}\nMamba both ways, width {d}",
            BLUE,
        ),
        (MASK_HEAD, "linear, softplus\n" r"$\alpha_1, \beta_1$ of a base", BLUE),
        (PRIOR, "prior, not trained\n" rf"$\alpha_2, \beta_2$, scale {prior.scale:g}", ORANGE),
        (
            MASK,
            "mask: sample or mean of\n"
            r"Beta($\alpha_1+\alpha_2,\ \beta_1+\beta_2$)"
            "\nblacklist 0, promoter 1",
            VERMILION,
        ),
        (
            MARGINAL,
            f"KL to Beta({marginal.scale:g}, {beta:g})\nweight {config.kl_weight:g} in the loss",
            VERMILION,
        ),
        (
            PREDICTOR,
            f"predictor: {_counted(config.predictor_layers)}\nMamba both ways, width {d}",
            GREEN,
        ),
        (POOL, f"mean over the\n{promoter_length:,} bp promoter", GREEN),
        (HEAD, f"MLP\n{d}, {d}, 1", GREEN),
        (EXPRESSION, "expression", GREY),
    ]


def _counted(layers: int) -> str:
    return "1 layer" if layers == 1 else f"{layers} layers"


def _arrows(axes: Axes) -> None:
    straight = [
        (SEQUENCE, SEQUENCE_EMBEDDING),
        (SEQUENCE_EMBEDDING, GENERATOR),
        (GENERATOR, MASK_HEAD),
        (SIGNALS, PRIOR),
        (PREDICTOR, POOL),
        (POOL, HEAD),
        (HEAD, EXPRESSION),
    ]
    for start, end in straight:
        draw_arrow(axes, start.right, end.left)
    draw_elbow(axes, MASK_HEAD.right, (PRODUCT[0], TOP), (PRODUCT[0], MIDDLE + SMALL))
    draw_arrow(axes, PRIOR.right, (PRODUCT[0] - SMALL, MIDDLE))
    draw_arrow(axes, (PRODUCT[0] + SMALL, MIDDLE), MASK.left)
    draw_arrow(axes, MASK.top, MARGINAL.bottom)
    # Sequence and signals, added up, under the mask.
    draw_elbow(
        axes,
        SEQUENCE_EMBEDDING.bottom,
        (SEQUENCE_EMBEDDING.x, 2.85),
        (SUM[0], 2.85),
        (SUM[0], BOTTOM + SMALL),
    )
    draw_elbow(axes, SIGNALS.bottom, (SIGNALS.x, BOTTOM), SIGNAL_EMBEDDING.left)
    draw_arrow(axes, SIGNAL_EMBEDDING.right, (SUM[0] - SMALL, BOTTOM))
    draw_arrow(axes, (SUM[0] + SMALL, BOTTOM), (GATE[0] - SMALL, BOTTOM))
    draw_arrow(axes, (GATE[0] + SMALL, BOTTOM), PREDICTOR.left)
    draw_elbow(axes, MASK.bottom, (MASK.x, TURN), (GATE[0], TURN), (GATE[0], BOTTOM + SMALL))
    draw_elbow(axes, FEATURES.bottom, (FEATURES.x, TURN), (HEAD.x, TURN), HEAD.top)
