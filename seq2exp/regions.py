"""From the mask of each gene to regions: BED, narrowPeak and one bigWig of the mask."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyBigWig
import pysam

from seq2exp.errors import UserError
from seq2exp.evaluation_config import RegionsConfig
from seq2exp.masks import MaskStore, open_masks
from seq2exp.reference import read_chrom_sizes
from seq2exp.schemas import ELEMENT_COLUMNS, GENE_COLUMNS, read_table, whole_file

NARROWPEAK_COLUMNS = (*ELEMENT_COLUMNS[:6], "signalValue", "pValue", "qValue", "peak")
BIGWIG_BATCH = 500_000  # bases handed to pyBigWig at once


# --------------------------------------------------------------------------- one mask


def call_regions(
    mask: np.ndarray,
    *,
    select: str,
    threshold: float,
    merge_gap: int,
    min_length: int,
    excluded: slice | None = None,
) -> pd.DataFrame:
    """Turn one mask into regions.

    ``fraction`` keeps at most ``floor(threshold * n)`` of the n bases outside ``excluded``: those
    whose mask is strictly above the next largest value. Bases tied with the first one left out are
    left out with it, so a constant mask has no region. ``value`` keeps the bases at or above
    ``threshold``. Kept bases are joined over gaps of at most ``merge_gap`` bases, never over
    ``excluded``; then regions shorter than ``min_length`` are dropped.

    Parameters
    ----------
    mask
        Shape (L,).
    excluded
        Bases that belong to no region (the promoter).

    Returns
    -------
    DataFrame
        ``start``, ``end`` (0-based half-open, from the first base of ``mask``), ``summit`` (the
        middle one of the bases with the highest mask) and ``score`` (mean of the mask), by start.
    """
    values = np.asarray(mask, dtype=np.float32)
    starts, ends = _merged_runs(_kept(values, select, threshold, excluded), merge_gap, excluded)
    long = ends - starts >= min_length
    starts, ends = starts[long], ends[long]
    regions = [values[start:end] for start, end in zip(starts, ends, strict=True)]
    return pd.DataFrame(
        {
            "start": starts,
            "end": ends,
            "summit": starts + np.array([_summit(region) for region in regions], dtype=np.int64),
            "score": np.array([region.mean() for region in regions], dtype=np.float64),
        }
    )


def _kept(values: np.ndarray, select: str, threshold: float, excluded: slice | None) -> np.ndarray:
    eligible = np.ones(len(values), dtype=bool)
    if excluded is not None:
        eligible[excluded] = False
    if select == "value":
        return eligible & (values >= threshold)
    assert select == "fraction"
    candidates = values[eligible]
    wanted = int(np.floor(threshold * len(candidates) + 1e-9))  # 0.1 * 70 is 7, not 6.999...
    if wanted >= len(candidates):
        return eligible
    first_left_out = np.partition(candidates, len(candidates) - 1 - wanted)[-1 - wanted]
    return eligible & (values > first_left_out)


def _merged_runs(
    kept: np.ndarray, merge_gap: int, excluded: slice | None
) -> tuple[np.ndarray, np.ndarray]:
    edges = np.flatnonzero(np.diff(kept.astype(np.int8), prepend=0, append=0))
    starts, ends = edges[0::2], edges[1::2]
    apart = starts[1:] - ends[:-1] > merge_gap
    if excluded is not None:
        apart |= (ends[:-1] <= excluded.start) & (starts[1:] >= excluded.stop)
    first = np.concatenate([[True], apart])[: len(starts)]
    last = np.concatenate([apart, [True]])[: len(starts)] if len(starts) else first
    return starts[first], ends[last]


def _summit(region: np.ndarray) -> int:
    highest = np.flatnonzero(region == region.max())
    return int(highest[len(highest) // 2])


# --------------------------------------------------------------------------- every gene


class _Window(NamedTuple):
    """One gene's window: ``[start, end)`` within the chromosome, ``row`` of the mask store."""

    row: int
    start: int
    end: int
    skipped: int
    """Bases of the stored window that lie before the chromosome."""
    gene_id: str
    gene_name: str
    tss: int
    strand: str


def export_regions(
    masks_dir: Path,
    predictions_table: Path,
    chrom_sizes: Path,
    *,
    regions: RegionsConfig,
    out_bed_gz: Path,
    out_tbi: Path,
    out_narrowpeak: Path,
    out_bigwig: Path | None = None,
    track: str = "mask",
    cut: float | None = None,
) -> None:
    """Write the regions of every gene in a mask store, and the mask itself.

    Regions are clipped to the chromosome and lie outside the central promoter unless
    ``regions.include_promoter``. With a ``cut`` (``select: fdr``) they are of bases at or above it.
    Otherwise those of a mask of zeros and ones (``hard_mask`` of the store) are its ones, whatever
    ``regions.select`` and ``regions.threshold``. Of another ``track`` than the mask they are called
    by its values. Files are sorted by chromosome (C locale), start and end.

    ``out_bed_gz`` (bgzip, tabix index ``out_tbi``) is BED6 + 4 with one ``#`` line of column
    names: ``name`` is gene and rank of the region in it, ``score`` 1000 times the mean of the track,
    ``distance_to_tss`` bp from the TSS to the summit, negative upstream of the gene.
    ``out_narrowpeak`` has the track at the summit as ``signalValue`` and -1 for p and q.
    ``out_bigwig`` holds the largest mask of all windows over a base; outside windows it is empty.

    Raises
    ------
    UserError
        A gene of the store is not in ``predictions_table``, or its chromosome has no size.
    """
    store = open_masks(masks_dir)
    sizes = read_chrom_sizes(chrom_sizes)
    windows = _windows(store, predictions_table, sizes)
    with ExitStack() as whole:
        bed_gz, tbi, peaks = (
            whole.enter_context(whole_file(path)) for path in (out_bed_gz, out_tbi, out_narrowpeak)
        )
        with pysam.BGZFile(str(bed_gz), "w", None) as bed_file, open(peaks, "w") as peak_file:
            bed_file.write(("#" + "\t".join(ELEMENT_COLUMNS) + "\n").encode())
            for chrom in sorted(windows):
                table = _chromosome_regions(chrom, windows[chrom], store, regions, track, cut)
                bed_file.write(_lines(table, ELEMENT_COLUMNS).encode())
                peak_file.write(_lines(table, NARROWPEAK_COLUMNS))
        pysam.tabix_index(str(bed_gz), preset="bed", index=str(tbi), force=True)
        if out_bigwig is None:
            return
        _write_bigwig(whole.enter_context(whole_file(out_bigwig)), windows, store.mask, sizes)


def _windows(
    store: MaskStore, predictions_table: Path, sizes: dict[str, int]
) -> dict[str, list[_Window]]:
    """Every window by chromosome, sorted by start."""
    table = read_table(predictions_table, GENE_COLUMNS)
    genes = {gene.gene_id: gene for gene in table.itertuples()}
    windows: dict[str, list[_Window]] = {}
    for row, gene_id in enumerate(store.gene_ids):
        gene: Any = genes.get(gene_id)
        if gene is None:
            raise UserError(
                f"{predictions_table}: gene {gene_id}, which has a mask, is missing; predict again"
            )
        if gene.chrom not in sizes:
            raise UserError(
                f"{predictions_table}: {gene.chrom} of gene {gene_id} is not in the chromosome "
                "sizes; predict again with this genome"
            )
        first = int(gene.tss) - store.length // 2
        start, end = max(first, 0), min(first + store.length, sizes[gene.chrom])
        window = _Window(
            row, start, end, start - first, gene_id, gene.gene_name, int(gene.tss), gene.strand
        )
        windows.setdefault(gene.chrom, []).append(window)
    return {
        chrom: sorted(found, key=lambda w: (w.start, w.end)) for chrom, found in windows.items()
    }


def _on_chromosome(values: np.ndarray, window: _Window) -> np.ndarray:
    return values[window.row, window.skipped : window.skipped + window.end - window.start]


def _chromosome_regions(
    chrom: str,
    windows: list[_Window],
    store: MaskStore,
    regions: RegionsConfig,
    track: str,
    cut: float | None,
) -> pd.DataFrame:
    tables = [_gene_regions(window, store, regions, track, cut) for window in windows]
    table = pd.concat(tables, ignore_index=True).assign(chrom=chrom, strand=".")
    table["score"] = (table["mean"] * 1000).round().clip(0, 1000).astype(int)
    table["peak"] = table["summit"] - table["start"]
    table["pValue"] = table["qValue"] = -1
    table["signalValue"] = table["signalValue"].map("{:.4g}".format)
    table["mean_mask"] = table["mean_mask"].map("{:.4g}".format)
    return table.sort_values(["start", "end", "name"], ignore_index=True)


def _gene_regions(
    window: _Window, store: MaskStore, regions: RegionsConfig, track: str, cut: float | None
) -> pd.DataFrame:
    mask = _on_chromosome(store.mask, window)
    values = _on_chromosome(getattr(store, track), window)
    excluded = None
    if not regions.include_promoter:
        half = int(store.meta["promoter_length"]) // 2
        centre = window.tss - window.start
        excluded = slice(max(centre - half, 0), centre + half)
    select, threshold = regions.select, regions.threshold
    if cut is not None:
        select, threshold = "value", cut
    elif track == "mask" and store.meta.get("hard_mask", False):
        # A mask of zeros and ones has no top share: its ones are what the model has chosen.
        select, threshold = "value", 0.5
    found = call_regions(
        values,
        select=select,
        threshold=threshold,
        merge_gap=regions.merge_gap,
        min_length=regions.min_length,
        excluded=excluded,
    ).rename(columns={"score": "mean"})
    places = zip(found["start"], found["end"], strict=True)
    means = [mask[start:end].mean(dtype=np.float64) for start, end in places]
    found["mean_mask"] = np.array(means, dtype=np.float64)
    found["signalValue"] = values[found["summit"]]
    found[["start", "end", "summit"]] += window.start
    found["gene_id"], found["gene_name"] = window.gene_id, window.gene_name
    rank = found["mean"].rank(method="first", ascending=False).astype(int).astype(str)
    found["name"] = f"{window.gene_name}|{window.gene_id}:" + rank
    downstream = 1 if window.strand == "+" else -1
    found["distance_to_tss"] = (found["summit"] - window.tss) * downstream
    return found


def _lines(table: pd.DataFrame, columns: tuple[str, ...]) -> str:
    return table[list(columns)].to_csv(sep="\t", header=False, index=False, lineterminator="\n")


def read_elements(bed_gz: Path) -> pd.DataFrame:
    """Read elements.bed.gz as :func:`export_regions` writes it."""
    try:
        table = pd.read_csv(bed_gz, sep="\t", dtype={"#chrom": "str", "gene_id": "str"})
    except (OSError, ValueError) as error:
        raise UserError(f"{bed_gz}: not a BED of regions ({error}); export them again") from None
    if list(table.columns) != ["#" + ELEMENT_COLUMNS[0], *ELEMENT_COLUMNS[1:]]:
        raise UserError(f"{bed_gz}: not a BED of regions; export them again")
    return table.rename(columns={"#chrom": "chrom"})


# --------------------------------------------------------------------------- bigWigs of the mask


def export_bigwig(
    masks_dir: Path, predictions_table: Path, chrom_sizes: Path, *, track: str, out: Path
) -> None:
    """Write one track of a mask store as a bigWig, as :func:`export_regions` writes the mask.

    Parameters
    ----------
    masks_dir, predictions_table, chrom_sizes
        As in :func:`export_regions`.
    track
        ``mask``, ``sequence_part`` or ``prior``.
    out
        Holds the largest value of all windows over a base; outside windows it is empty.

    Raises
    ------
    UserError
        The store has no such track, or a gene of it does not fit the other files.
    """
    store = open_masks(masks_dir)
    if track not in dict(store.tracks()):
        there = ", ".join(name for name, _ in store.tracks())
        raise UserError(f"{masks_dir}: no track {track!r}; it has {there}; predict again")
    sizes = read_chrom_sizes(chrom_sizes)
    windows = _windows(store, predictions_table, sizes)
    with whole_file(out) as temporary:
        _write_bigwig(temporary, windows, getattr(store, track), sizes)


def _write_bigwig(
    path: Path, windows: dict[str, list[_Window]], values: np.ndarray, sizes: dict[str, int]
) -> None:
    with pyBigWig.open(str(path), "w") as bigwig:
        # Sorted: readers of the UCSC kind look chromosome names up by bisection.
        bigwig.addHeader(sorted(sizes.items()))
        for chrom in sorted(windows):
            for start, merged in _merged_masks(windows[chrom], values):
                for low in range(0, len(merged), BIGWIG_BATCH):
                    _add_values(bigwig, chrom, start + low, merged[low : low + BIGWIG_BATCH])


def _add_values(bigwig: pyBigWig.pyBigWig, chrom: str, start: int, values: np.ndarray) -> None:
    """Add neighbouring bases as runs of equal values, or one by one where most runs are of one base.

    A run takes 12 bytes, a base 4; compressed, runs are worth it up to about two bases.
    """
    starts, ends, levels = constant_runs(values)
    if 2 * len(starts) > len(values):
        bigwig.addEntries(chrom, start, values=values.astype(np.float64), span=1, step=1)
        return
    bigwig.addEntries(
        [chrom] * len(starts),
        (starts + start).tolist(),
        ends=(ends + start).tolist(),
        values=levels.astype(float).tolist(),
    )


def _merged_masks(windows: list[_Window], values: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """Yield (start, largest value of each base) of every run of windows that meet, in order.

    Only one run is in memory at a time.
    """
    run: list[_Window] = []
    end = 0
    for window in [*windows, None]:
        if window is not None and (not run or window.start <= end):
            run.append(window)
            end = max(end, window.end)
            continue
        if run:
            start = run[0].start
            largest = np.zeros(end - start, dtype=np.float16)
            for w in run:
                covered = largest[w.start - start : w.end - start]
                np.maximum(covered, _on_chromosome(values, w), out=covered)
            yield start, largest
        if window is not None:
            run, end = [window], window.end


def constant_runs(values: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return (starts, ends, values) of the longest runs of equal values."""
    starts = np.concatenate([[0], np.flatnonzero(np.diff(values)) + 1])
    return starts, np.append(starts[1:], len(values)), values[starts]
