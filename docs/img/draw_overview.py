"""Draw docs/img/overview.svg: from DNA and signals to expression and regions."""

from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

INK, BLUE, GREEN, ORANGE, GREY = "#222222", "#3b6fb6", "#3f8f5f", "#d9822b", "#9a9a9a"
WINDOW = (0.2, 5.3)  # x of the window's ends
TSS = 2.75
DECOY = 2.0  # x of the open region that drives nothing
PEAKS = ((0.9, 0.10, 0.8), (DECOY, 0.08, 0.5), (TSS, 0.09, 1.0), (4.3, 0.11, 0.9))


def bumps(x: np.ndarray, peaks: tuple[tuple[float, float, float], ...]) -> np.ndarray:
    """Sum of Gaussian peaks (centre, width, height)."""
    return sum(h * np.exp(-0.5 * ((x - c) / w) ** 2) for c, w, h in peaks)


def track(ax: Axes, y: float, values: np.ndarray, colour: str, label: str) -> None:
    """One signal over the window."""
    x = np.linspace(*WINDOW, len(values))
    ax.fill_between(x, y, y + 0.42 * values, color=colour, linewidth=0)
    ax.plot(WINDOW, (y, y), color=colour, linewidth=0.8)
    ax.text(WINDOW[0] - 0.1, y + 0.15, label, ha="right", va="center", color=INK)


def box(ax: Axes, x: float, y: float, text: str, colour: str) -> None:
    """One step of the model, centred on (x, y)."""
    ax.add_patch(
        FancyBboxPatch(
            (x - 0.85, y - 0.32), 1.7, 0.64, "round,pad=0.04", facecolor="white", edgecolor=colour
        )
    )
    ax.text(x, y, text, ha="center", va="center", color=INK)


def arrow(ax: Axes, start: tuple[float, float], end: tuple[float, float]) -> None:
    """Arrow between two points."""
    ax.add_patch(FancyArrowPatch(start, end, arrowstyle="-|>", mutation_scale=11, color=GREY))


def draw(ax: Axes) -> None:
    """The whole picture; left what goes in, middle the model, right what comes out."""
    x = np.linspace(*WINDOW, 240)
    mask_peaks = tuple(peak for peak in PEAKS if peak[0] != DECOY)
    mask = np.clip(bumps(x, mask_peaks), 0, 1)
    ax.text(np.mean(WINDOW), 4.55, "window around one gene's TSS", ha="center", color=INK)
    rng = np.random.default_rng(4)
    letters = "".join(rng.choice(list("ACGT"), 42))
    ax.text(np.mean(WINDOW), 4.05, letters, ha="center", family="monospace", size=8.6, color=INK)
    ax.text(WINDOW[0] - 0.1, 4.09, "DNA", ha="right", va="center", color=INK)
    track(ax, 3.3, bumps(x, PEAKS), BLUE, "DNase")
    track(ax, 2.6, bumps(x, tuple((c, 2 * w, 0.8 * h) for c, w, h in PEAKS)), GREEN, "H3K27ac")
    track(ax, 1.9, 0.9 / (1 + 3 * np.abs(x - TSS)), GREY, "Hi-C contact")
    track(ax, 0.6, mask, ORANGE, "mask")
    ax.plot((TSS, TSS), (0.45, 3.95), color=INK, linewidth=0.8, linestyle=":")
    ax.text(TSS, 0.28, "TSS", ha="center", va="center", color=INK)
    for centre, width, _ in mask_peaks:
        if centre == TSS:
            continue  # the promoter is always seen, so it says nothing
        ax.plot((centre - 1.6 * width, centre + 1.6 * width), (0.08, 0.08), color=ORANGE, lw=4)
    ax.text(WINDOW[0] - 0.1, 0.08, "regions", ha="right", va="center", color=INK)
    box(ax, 7.1, 3.2, "predictor", BLUE)
    box(ax, 7.1, 1.3, "mask generator", ORANGE)
    ax.text(9.75, 3.2, "expression\nof the gene", ha="center", va="center", color=INK)
    ax.text(9.75, 0.2, "BED, narrowPeak,\nbigWig", ha="center", va="center", color=INK)
    arrow(ax, (5.5, 3.2), (6.15, 3.2))
    arrow(ax, (5.5, 2.1), (6.15, 1.6))
    arrow(ax, (7.1, 1.7), (7.1, 2.8))
    ax.text(7.2, 2.25, "which bases it may see", ha="left", va="center", color=INK, size=8.5)
    arrow(ax, (6.15, 1.1), (5.45, 0.8))
    arrow(ax, (8.05, 3.2), (8.85, 3.2))
    arrow(ax, (5.5, 0.2), (8.55, 0.2))


def main() -> None:
    """Write overview.svg beside this script, the same bytes every time."""
    mpl.rcParams.update({"svg.hashsalt": "seq2exp", "svg.fonttype": "none", "font.size": 10})
    figure, ax = plt.subplots(figsize=(9.4, 3.9), facecolor="white")
    draw(ax)
    ax.set(xlim=(-1.35, 10.7), ylim=(-0.15, 4.8))
    ax.axis("off")
    figure.tight_layout(pad=0.3)
    figure.savefig(Path(__file__).with_name("overview.svg"), metadata={"Date": None})


if __name__ == "__main__":
    main()
