"""Single loci: the signals that the model saw, its mask, the regions, and what was planted."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from scipy.ndimage import maximum_filter1d

from seq2exp.errors import UserError
from seq2exp.figures.style import BLACK, COLOURS, GREY, LIGHT, NAMES, new_figure, save, styled
from seq2exp.masks import MaskStore, open_masks
from seq2exp.packing import unpack
from seq2exp.planted import planted_elements
from seq2exp.regions import constant_runs, read_elements
from seq2exp.schemas import PREDICTION_COLUMNS, read_table
from seq2exp.store import WindowStore, open_store
from seq2exp.windows import read_window

POINTS = 1_000  # values drawn across a window; longer windows are averaged in bins


class Locus(NamedTuple):
    """What is drawn of one gene; tracks have shape (points,), boxes are 0-based half-open."""

    gene: Any
    """Row of predictions.tsv."""
    positions: np.ndarray
    """Genomic middle of each point, bp."""
    tracks: dict[str, np.ndarray]
    window: tuple[int, int]
    promoter: tuple[int, int]
    blacklist: list[tuple[int, int]]
    regions: pd.DataFrame
    planted: pd.DataFrame | None


@styled
def draw_loci(
    outs: Sequence[Path],
    *,
    masks: Path,
    store_dir: Path,
    predictions: Path,
    regions: Path,
    planted: Path | None = None,
    title: str,
) -> None:
    """Draw as many test loci as there are names in ``outs``.

    The genes are not picked by how well they came out: see :func:`choose_genes`.

    Parameters
    ----------
    outs
        Files to write; those with the same stem show the same locus in several formats.
    masks, store_dir, predictions, regions
        Mask store, window store, predictions.tsv and elements.bed.gz of one run.
    planted
        elements.bed of a simulated genome.
    title
        What was trained on what.

    Raises
    ------
    UserError
        There are fewer test genes with a mask than loci to draw.
    """
    mask_store, store = open_masks(masks), open_store(store_dir)
    table = read_table(predictions, PREDICTION_COLUMNS)
    truth = None if planted is None else planted_elements(planted, store.cell_line)
    called = read_elements(regions)
    by_stem: dict[str, list[Path]] = {}
    for out in outs:
        by_stem.setdefault(Path(out).stem, []).append(out)
    genes = choose_genes(table, mask_store, len(by_stem), truth)
    for gene, paths in zip(genes.itertuples(), by_stem.values(), strict=True):
        locus = _locus(gene, store, mask_store, called, truth)
        save(_figure(locus, title), paths)


def choose_genes(
    predictions: pd.DataFrame, masks: MaskStore, count: int, planted: pd.DataFrame | None
) -> pd.DataFrame:
    """Choose test genes at even steps of observed expression, highest first.

    Where there is a planted truth, only genes with an active element and a decoy in their window
    are considered, if there are enough of them.
    """
    masked = predictions["gene_id"].isin(masks.gene_ids) & (predictions["split"] == "test")
    candidates = predictions[masked]
    if len(candidates) < count:
        raise UserError(
            f"evaluation.loci: {count} loci to draw, but {len(candidates)} test genes have a "
            "mask; lower evaluation.loci or add test to prediction.mask_splits"
        )
    if planted is not None:
        instructive = [_has_both(gene, planted, masks.length) for gene in candidates.itertuples()]
        if sum(instructive) >= count:
            candidates = candidates[instructive]
    ranked = candidates.sort_values(["observed", "gene_id"], ascending=False)
    steps = (np.arange(count) + 0.5) / max(count, 1) * len(ranked)
    return ranked.iloc[steps.astype(int)]


def _has_both(gene: Any, planted: pd.DataFrame, length: int) -> bool:
    first = gene.tss - length // 2
    inside = _overlapping(planted, gene.chrom, first, first + length)
    return {"active", "decoy"} <= set(inside["kind"])


def _overlapping(places: pd.DataFrame, chrom: str, start: int, end: int) -> pd.DataFrame:
    return places[(places["chrom"] == chrom) & (places["end"] > start) & (places["start"] < end)]


def _locus(
    gene: Any,
    store: WindowStore,
    masks: MaskStore,
    regions: pd.DataFrame,
    planted: pd.DataFrame | None,
) -> Locus:
    length = masks.length
    row = store.genes["gene_id"].tolist().index(gene.gene_id)
    batch = unpack(read_window(store, row, length), contact_bin=store.contact_bin)
    h3k27ac, dnase, contact = batch.signals[0].T.numpy()
    blacklisted = batch.blacklist[0].numpy()
    # Artefacts would set the scale: cut them, and their flanks, at the highest value elsewhere.
    real = ~maximum_filter1d(blacklisted, 2 * (length // 200) + 1)
    h3k27ac, dnase = (
        np.minimum(signal, signal[real].max(initial=0)) for signal in (h3k27ac, dnase)
    )
    tracks = {"dnase": dnase, "h3k27ac": h3k27ac, "contact": contact}
    mask_row = masks.gene_ids.index(gene.gene_id)
    tracks |= {name: values[mask_row].astype(np.float32) for name, values in masks.tracks()}
    start = gene.tss - length // 2
    step = -(-length // POINTS)
    half = min(store.promoter_length, length) // 2
    runs = zip(*constant_runs(blacklisted), strict=True)
    if planted is not None:
        planted = _overlapping(planted, gene.chrom, start, start + length)
    return Locus(
        gene=gene,
        positions=start + _means(np.arange(length), step) + 0.5,
        tracks={name: _means(values, step) for name, values in tracks.items()},
        window=(start, start + length),
        promoter=(gene.tss - half, gene.tss + half),
        blacklist=[(start + int(low), start + int(high)) for low, high, is_in in runs if is_in],
        regions=regions[regions["gene_id"] == gene.gene_id],
        planted=planted,
    )


def _means(values: np.ndarray, step: int) -> np.ndarray:
    starts = np.arange(0, len(values), step)
    sizes = np.diff(np.append(starts, len(values)))
    return np.add.reduceat(values.astype(np.float64), starts) / sizes


# --------------------------------------------------------------------------- drawing


def _figure(locus: Locus, title: str) -> Figure:
    boxes = 1 if locus.planted is None else 2
    figure = new_figure(8.0, 5.2 + 0.35 * boxes)
    heights = [1, 1, 1, 2, *[0.35] * boxes]
    panels = figure.subplots(
        len(heights), 1, sharex=True, gridspec_kw={"height_ratios": heights}
    ).tolist()
    for axes, name in zip(panels, ("dnase", "h3k27ac", "contact"), strict=False):
        _signal(axes, locus, name)
    _mask(panels[3], locus)
    _boxes(panels[4], locus.regions, "regions", [COLOURS["mask"]] * len(locus.regions))
    if locus.planted is not None:
        colours = [COLOURS[kind] for kind in locus.planted["kind"]]
        _boxes(panels[5], locus.planted, "planted", colours)
        patches = [Patch(color=COLOURS[kind], label=kind) for kind in ("active", "decoy")]
        panels[5].legend(handles=patches, loc="center left", bbox_to_anchor=(1.0, 0.5))
    for axes in panels:
        axes.axvspan(*_kb(*locus.promoter), color=LIGHT, alpha=0.5, linewidth=0, zorder=0)
        for place in locus.blacklist:
            axes.axvspan(
                *_kb(*place), facecolor="none", edgecolor=GREY, hatch="////", linewidth=0.5
            )
        axes.axvline(locus.gene.tss / 1000, color=BLACK, linewidth=0.8, zorder=1)
        axes.yaxis.set_label_coords(-0.07, 0.5)
    _tss_arrow(panels[0], locus)
    panels[-1].set_xlim(*_kb(*locus.window))
    panels[-1].ticklabel_format(axis="x", style="plain", useOffset=False)
    never = "; hatched: blacklist, never used" if locus.blacklist else ""
    panels[-1].set_xlabel(f"{locus.gene.chrom} (kb); grey: promoter, always used{never}")
    gene = locus.gene
    figure.suptitle(
        f"{gene.gene_name} ({gene.strand}): observed {gene.observed:.2f}, "
        f"predicted {gene.predicted:.2f}\n{title}",
        fontsize=10,
    )
    return figure


def _kb(start: float, end: float) -> tuple[float, float]:
    return start / 1000, end / 1000


def _signal(axes: Axes, locus: Locus, name: str) -> None:
    values = locus.tracks[name]
    axes.fill_between(
        locus.positions / 1000, values, step="mid", color=COLOURS[name], linewidth=0.5
    )
    axes.set_ylim(0, float(values.max()) * 1.1 or 1.0)
    unit = "\nlog10(1 + n)" if name == "contact" else "\nsignal"
    label = {"contact": "contact"}.get(name, NAMES[name])
    axes.set_ylabel(label + unit)
    axes.locator_params(axis="y", nbins=3)


def _mask(axes: Axes, locus: Locus) -> None:
    x = locus.positions / 1000
    axes.fill_between(
        x, locus.tracks["mask"], step="mid", color=COLOURS["mask"], alpha=0.35, linewidth=0
    )
    for name in ("prior", "sequence_part", "mask"):
        if name in locus.tracks:
            axes.plot(
                x,
                locus.tracks[name],
                color=COLOURS[name],
                linewidth=1.4 if name == "mask" else 1.0,
                drawstyle="steps-mid",
                label=NAMES[name],
            )
    axes.set_ylim(0, 1.03)
    axes.set_ylabel("mask")
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))


def _boxes(axes: Axes, places: pd.DataFrame, label: str, colours: list[str]) -> None:
    spans = [
        _kb(start, end - start) for start, end in zip(places["start"], places["end"], strict=True)
    ]
    # An edge keeps boxes visible that are narrower than a pixel.
    axes.broken_barh(spans, (0.1, 0.8), facecolors=colours, edgecolors=colours, linewidth=0.8)
    axes.set_ylim(0, 1)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    axes.set_ylabel(label, rotation=0, ha="right", va="center")


def _tss_arrow(axes: Axes, locus: Locus) -> None:
    length = (locus.window[1] - locus.window[0]) / 1000
    downstream = 1 if locus.gene.strand == "+" else -1
    tss = locus.gene.tss / 1000
    axes.annotate(
        "",
        xy=(tss + downstream * 0.05 * length, 1.08),
        xytext=(tss, 1.08),
        xycoords=("data", "axes fraction"),
        arrowprops={"arrowstyle": "-|>", "color": BLACK, "linewidth": 1, "shrinkA": 0},
        annotation_clip=False,
    )
    axes.text(
        tss - downstream * 0.01 * length,
        1.08,
        "TSS",
        transform=axes.get_xaxis_transform(),
        ha="right" if downstream > 0 else "left",
        va="center",
        fontsize=8,
    )
