"""Single loci: the signals that the model saw, its mask, the regions, and what else is known there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from scipy.ndimage import maximum_filter1d

from seq2exp.figures.style import BLACK, COLOURS, GREY, LIGHT, NAMES, new_figure, save, styled
from seq2exp.loci import SIGNALS, Locus, LocusInputs, bin_means, example_loci

POINTS = 1_000  # values drawn across a window; longer windows are averaged in bins
NAMED_GENES = 12  # with more of them in a window their names would lie on each other


class _Row(NamedTuple):
    """A row of boxes under the mask."""

    label: str
    places: pd.DataFrame
    colours: list[str]
    kinds: Mapping[str, str]
    """Colour of each kind of box, for the legend."""


@styled
def draw_loci(outs: Sequence[Path], inputs: LocusInputs, *, title: str) -> None:
    """Draw as many test loci as there are names in ``outs``.

    Parameters
    ----------
    outs
        Files to write; those with the same stem show the same locus in several formats.
    inputs
        What is read; see :func:`seq2exp.loci.example_loci`.
    title
        What was trained on what.
    """
    by_stem: dict[str, list[Path]] = {}
    for out in outs:
        by_stem.setdefault(Path(out).stem, []).append(out)
    loci = example_loci(inputs, len(by_stem))
    for locus, paths in zip(loci, by_stem.values(), strict=True):
        save(_figure(locus, title), paths)


def _rows(locus: Locus) -> list[_Row]:
    """The rows of boxes: what was called, then what else is known of the window."""
    rows = [_Row("regions", locus.regions, [COLOURS["mask"]] * len(locus.regions), {})]
    for name, places in locus.references.items():
        rows.append(_Row(NAMES.get(name, name), places, [COLOURS["peaks"]] * len(places), {}))
    if locus.tested is not None:
        kinds = {"regulates": COLOURS["active"], "does not": LIGHT}
        colours = [
            kinds["regulates" if found else "does not"] for found in locus.tested["regulated"]
        ]
        rows.append(_Row("CRISPRi", locus.tested, colours, kinds))
    if locus.planted is not None:
        kinds = {kind: COLOURS[kind] for kind in ("active", "decoy")}
        colours = [COLOURS[kind] for kind in locus.planted["kind"]]
        rows.append(_Row("planted", locus.planted, colours, kinds))
    return rows


def _drawn(locus: Locus, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Middles (kb) and means of a track in bins."""
    values, length = locus.tracks[name], locus.length
    if name in ("dnase", "h3k27ac"):
        # Artefacts would set the scale: cut them, and their flanks, at the highest value elsewhere.
        real = ~maximum_filter1d(locus.blacklisted, 2 * (length // 200) + 1)
        values = np.minimum(values, values[real].max(initial=0))
    step = -(-length // POINTS)
    middles = locus.start + bin_means(np.arange(length), step) + 0.5
    return middles / 1000, bin_means(values, step)


# --------------------------------------------------------------------------- drawing


def _figure(locus: Locus, title: str) -> Figure:
    rows = _rows(locus)
    figure = new_figure(8.0, 5.55 + 0.35 * len(rows))
    heights = [*[1] * len(SIGNALS), 2, *[0.35] * (1 + len(rows))]
    panels = figure.subplots(
        len(heights), 1, sharex=True, gridspec_kw={"height_ratios": heights}
    ).tolist()
    for axes, name in zip(panels, SIGNALS, strict=False):
        _signal(axes, locus, name)
    _mask(panels[len(SIGNALS)], locus)
    _genes(panels[len(SIGNALS) + 1], locus)
    for axes, row in zip(panels[-len(rows) :], rows, strict=True):
        _boxes(axes, row)
    for axes in panels:
        axes.axvspan(*_kb(*locus.promoter), color=LIGHT, alpha=0.5, linewidth=0, zorder=0)
        for place in locus.blacklist():
            axes.axvspan(
                *_kb(*place), facecolor="none", edgecolor=GREY, hatch="////", linewidth=0.5
            )
        axes.axvline(locus.gene.tss / 1000, color=BLACK, linewidth=0.8, zorder=1)
        axes.yaxis.set_label_coords(-0.07, 0.5)
    _tss_arrow(panels[0], locus)
    panels[-1].set_xlim(*_kb(locus.start, locus.end))
    panels[-1].ticklabel_format(axis="x", style="plain", useOffset=False)
    never = "; hatched: blacklist, never used" if locus.blacklisted.any() else ""
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
    x, values = _drawn(locus, name)
    axes.fill_between(x, values, step="mid", color=COLOURS[name], linewidth=0.5)
    axes.set_ylim(0, float(values.max()) * 1.1 or 1.0)
    unit = "\nlog10(1 + n)" if name == "contact" else "\nsignal"
    label = {"contact": "contact"}.get(name, NAMES[name])
    axes.set_ylabel(label + unit)
    axes.locator_params(axis="y", nbins=3)


def _mask(axes: Axes, locus: Locus) -> None:
    x, values = _drawn(locus, "mask")
    axes.fill_between(x, values, step="mid", color=COLOURS["mask"], alpha=0.35, linewidth=0)
    for name in ("prior", "sequence_part", "mask"):
        if name in locus.tracks:
            axes.plot(
                *_drawn(locus, name),
                color=COLOURS[name],
                linewidth=1.4 if name == "mask" else 1.0,
                drawstyle="steps-mid",
                label=NAMES[name],
            )
    axes.set_ylim(0, 1.03)
    axes.set_ylabel("mask")
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))


def _genes(axes: Axes, locus: Locus) -> None:
    """A TSS a gene, with an arrow that points downstream; the locus' own in black."""
    length = (locus.end - locus.start) / 1000
    genes: Iterator[Any] = locus.genes.itertuples()
    for gene in genes:
        downstream = 1 if gene.strand == "+" else -1
        x, colour = gene.tss / 1000, BLACK if gene.gene_id == locus.gene.gene_id else GREY
        axes.plot([x, x], [0.15, 0.6], color=colour, linewidth=1)
        axes.annotate(
            "",
            xy=(x + downstream * 0.025 * length, 0.6),
            xytext=(x, 0.6),
            arrowprops={"arrowstyle": "-|>", "color": colour, "linewidth": 1, "shrinkA": 0},
        )
        if len(locus.genes) <= NAMED_GENES:
            axes.text(
                x - downstream * 0.005 * length,
                0.6,
                gene.gene_name,
                ha="right" if downstream > 0 else "left",
                va="center",
                color=colour,
                fontsize=7,
                clip_on=True,
            )
    _bare(axes, "genes")


def _boxes(axes: Axes, row: _Row) -> None:
    spans = [
        _kb(start, end - start)
        for start, end in zip(row.places["start"], row.places["end"], strict=True)
    ]
    # An edge keeps boxes visible that are narrower than a pixel.
    axes.broken_barh(
        spans, (0.1, 0.8), facecolors=row.colours, edgecolors=row.colours, linewidth=0.8
    )
    _bare(axes, row.label)
    if row.kinds:
        patches = [Patch(color=colour, label=kind) for kind, colour in row.kinds.items()]
        axes.legend(handles=patches, loc="center left", bbox_to_anchor=(1.0, 0.5))


def _bare(axes: Axes, label: str) -> None:
    """No scale, and the label beside the row."""
    axes.set_ylim(0, 1)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    axes.set_ylabel(label, rotation=0, ha="right", va="center")


def _tss_arrow(axes: Axes, locus: Locus) -> None:
    length = (locus.end - locus.start) / 1000
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
