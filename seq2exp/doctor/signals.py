"""Signal tracks: what they cover, which values they hold, and whether those are of a usual kind."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd

from seq2exp.doctor.checkup import Checkup
from seq2exp.expression import PROMOTER_REACH
from seq2exp.model_config import PriorConfig
from seq2exp.reference import match_chromosome
from seq2exp.tracks import Missing, Track, read_known, read_signal

MOST_BASES = 20_000_000
"""Bases of windows that are read of a track; all of them where there are fewer."""
PAPERS_KIND = {
    "h3k27ac": "signal p-value, -log10 p",
    "dnase": "read-depth normalised signal",
}
HALF = dict(zip(PAPERS_KIND, PriorConfig().signal_betas, strict=False))
"""The value of each signal at which the paper's mask prior, s / (s + c), is one half."""
ACTIVE_SHARE = (0.001, 0.5)
"""Shares of bases above HALF outside which the units cannot be the paper's."""
LOW_P_VALUES = 10.0
"""-log10 p of a weak peak: the highest 0.1% of the bases around genes have more."""
NO_BACKGROUND = 0.001
"""A smaller share of bases between 0 and HALF has a track of called peaks only."""
PEAKS_ONLY = " in peaks"


class Window(NamedTuple):
    """A stretch of genome, 0-based half-open."""

    chrom: str
    start: int
    end: int


def gene_windows(genes: pd.DataFrame, length: int, most: int = MOST_BASES) -> list[Window]:
    """Windows [tss - length/2, tss + length/2) of genes, evenly taken, ``most`` bases in all."""
    count = min(len(genes), max(most // length, 1))
    chosen = genes.iloc[np.linspace(0, len(genes) - 1, count).astype(int)]
    return [
        Window(str(chrom), int(tss) - length // 2, int(tss) + length // 2)
        for chrom, tss in zip(chosen["chrom"], chosen["tss"], strict=True)
    ]


def spread_windows(
    sizes: Mapping[str, int], length: int = 100_000, most: int = MOST_BASES
) -> list[Window]:
    """Windows spread evenly over chromosomes, for files whose genes are not known yet."""
    total = sum(sizes.values())
    step = max(length, -(-total * length // most))
    return [
        Window(chrom, start, min(start + length, size))
        for chrom, size in sizes.items()
        for start in range(0, size, step)
    ]


def read_windows(track: Track, windows: list[Window]) -> np.ndarray:
    """Read the bases of windows, one after another; NaN where there is no data: float32 (n,)."""
    parts = [
        read_known(track, name, start, end)
        for chrom, start, end in windows
        if (name := match_chromosome(chrom, track.sizes)) is not None
    ]
    return np.concatenate([*parts, np.zeros(0, dtype=np.float32)])


def promoter_means(track: Track, genes: pd.DataFrame, missing: Missing) -> np.ndarray:
    """Mean signal over [tss - 500, tss + 500) of every gene: float64 (genes,)."""
    return np.array(
        [
            read_signal(
                *(track, chrom, int(tss) - PROMOTER_REACH, int(tss) + PROMOTER_REACH),
                missing=missing,
            ).mean(dtype=np.float64)
            for chrom, tss in zip(genes["chrom"], genes["tss"], strict=True)
        ]
    )


def kind_of_values(values: np.ndarray) -> str:
    """Say what kind of numbers these are (no NaN among them).

    ``nothing`` (all 0), ``signed``, ``counts`` (whole numbers), ``0 to 1`` or ``signal``.
    """
    filled = values[values != 0]
    if not len(filled):
        return "nothing"
    if filled.min() < 0:
        return "signed"
    if (filled == np.floor(filled)).all():
        return "counts"
    return "0 to 1" if filled.max() <= 1 else "signal"


def note_values(checkup: Checkup, item: str, known: np.ndarray) -> None:
    """Take the figures of the bases of windows.

    Parameters
    ----------
    checkup
        Gets ``bases`` (read), ``covered`` and ``nan`` (shares of them with and without data), and,
        with NaN as 0, as a model reads them: ``zero`` (share), ``min``, ``median``, ``q999``,
        ``max``, ``kind``; of the signals also ``active``, the share of bases above HALF.
    item
        ``h3k27ac``, ``dnase``, or the name of another track.
    known
        From :func:`read_windows`.
    """
    checkup.note(item, bases=len(known))
    if not len(known):
        return
    gaps = np.isnan(known)
    values = np.where(gaps, np.float32(0), known)
    median, q999 = np.quantile(values, [0.5, 0.999])
    kind = kind_of_values(values)
    if item in HALF:
        active = float((values > HALF[item]).mean())
        checkup.note(item, active=active)
        if (values > 0).mean() - active < NO_BACKGROUND and active > 0:
            kind += PEAKS_ONLY
    checkup.note(
        item,
        covered=float(1 - gaps.mean()),
        nan=float(gaps.mean()),
        zero=float((values == 0).mean()),
        min=float(values.min()),
        median=float(median),
        q999=float(q999),
        max=float(values.max()),
        kind=kind,
    )


def judge_signal(checkup: Checkup, item: str) -> None:
    """Find what is odd about the values of a signal from its figures."""
    kind, active = str(checkup.get(item, "kind")), checkup.get(item, "active")
    if active is None:
        return
    wanted = f"the mask reads values as they are, and is made for {PAPERS_KIND[item]}"
    if kind == "nothing":
        checkup.say(
            "error", item, "holds no values around any gene; give the track of this genome, whole"
        )
    elif kind == "signed":
        checkup.say(
            "error",
            item,
            f"holds negative values (down to {checkup.get(item, 'min'):.4g}), which are refused; "
            f"{wanted}, so give that, not a log ratio",
        )
    elif not ACTIVE_SHARE[0] <= float(active) <= ACTIVE_SHARE[1]:
        many = float(active) > ACTIVE_SHARE[1]
        checkup.say(
            "warning",
            item,
            f"{float(active):.2%} of the bases are above {HALF[item]}, where the mask's prior is "
            f"one half: {'almost everything' if many else 'almost nothing'} looks active; {wanted}, "
            "so give that or another scale",
        )
    else:
        odd = _described(kind)
        q999 = checkup.get(item, "q999")
        if item == "h3k27ac" and q999 is not None and float(q999) < LOW_P_VALUES:
            odd.append(
                f"0.1% of its bases are above {q999:.3g} only, as of fold change over control"
            )
        if odd:
            checkup.say("hint", item, f"{', and '.join(odd)}; {wanted}")


def _described(kind: str) -> list[str]:
    words = {
        "counts": "its values are whole numbers, as raw counts are",
        "0 to 1": "its values lie between 0 and 1",
    }
    values = kind.removesuffix(PEAKS_ONLY)
    peaks = ["it is 0 outside peaks"] if kind.endswith(PEAKS_ONLY) else []
    return [*([words[values]] if values in words else []), *peaks]


# --------------------------------------------------------------------------- chromosomes


def note_chromosomes(
    checkup: Checkup, item: str, track: Track, genes: pd.DataFrame, missing: Missing
) -> None:
    """Count the chromosomes with genes that a track has data of; find those it lacks."""
    counts = Counter(genes["chrom"])
    names = {chrom: match_chromosome(chrom, track.sizes) for chrom in counts}
    lacking = [chrom for chrom, name in names.items() if name is None]
    empty = [
        chrom
        for chrom, name in names.items()
        # From the file's own summaries: no data is read.
        if name is not None and not track.handle.stats(name, type="coverage")[0]
    ]
    checkup.note(
        item,
        chromosomes=f"{len(names) - len(lacking) - len(empty)}/{len(names)}",
        missing=",".join([*lacking, *empty]) or "none",
    )
    for chroms, state in ((lacking, "has no chromosome"), (empty, "has no data on")):
        if chroms:
            among = sum(counts[chrom] for chrom in chroms)
            fatal = state == "has no chromosome" and missing == "error"
            checkup.say(
                "error" if fatal else "warning",
                item,
                f"{state} {', '.join(chroms)}, where {among} genes are; "
                + (
                    "use a track that covers it, drop it from genome.chromosomes, or set "
                    "window.missing_chromosome: zeros"
                    if fatal
                    else "they read zeros; use a track that covers it, or drop it from "
                    "genome.chromosomes"
                ),
            )
