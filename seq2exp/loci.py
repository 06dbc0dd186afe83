"""Example loci of one run: which test genes are shown, and all that lies in their windows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from seq2exp.errors import UserError
from seq2exp.evidence.crispri import read_pairs
from seq2exp.evidence.references import ReferenceInputs, read_peaks, read_regions
from seq2exp.masks import MaskStore, open_masks
from seq2exp.packing import unpack
from seq2exp.planted import planted_elements
from seq2exp.regions import constant_runs, read_elements
from seq2exp.schemas import PREDICTION_COLUMNS, read_table
from seq2exp.store import WindowStore, open_store
from seq2exp.windows import read_window

SIGNALS = ("dnase", "h3k27ac", "contact")


class LocusInputs(NamedTuple):
    """Files of one run, and what its cell line has to hold its regions against."""

    masks: Path
    """Mask store."""
    store: Path
    """Window store."""
    predictions: Path
    regions: Path
    """elements.bed.gz."""
    peaks: Path | None = None
    references: Mapping[str, ReferenceInputs] = {}
    """Sets of regions by name."""
    crispri: Path | None = None
    """Table of tested element-gene pairs."""
    cell_type: str = ""
    """The cell line's name in it."""
    planted: Path | None = None
    """elements.bed of a simulated genome."""


def locus_inputs(
    files: Mapping[str, Any], references: Mapping[str, Mapping[str, Any]], cell_type: str
) -> LocusInputs:
    """Put together what a workflow has of a run.

    Parameters
    ----------
    files
        Path of each field of :class:`LocusInputs`, empty where there is none; those of
        ``references`` in a list.
    references
        Name of each set of regions -> its settings, in the same order.
    cell_type
        The cell line's name in the CRISPRi table.
    """
    paths = {name: Path(file) for name, file in files.items() if file and isinstance(file, str)}
    given = zip(references.items(), files["references"], strict=True)
    sets = {name: ReferenceInputs(Path(file), **settings) for (name, settings), file in given}
    return LocusInputs(**paths, references=sets, cell_type=cell_type)


class Locus(NamedTuple):
    """One gene's window; tracks have shape (L,), places are tables of 0-based half-open intervals."""

    gene: Any
    """Row of predictions.tsv."""
    start: int
    """First base of the window; negative where it begins before the chromosome."""
    tracks: dict[str, np.ndarray]
    """float32: ``SIGNALS`` as they are stored, and the tracks of the mask store."""
    bases: str
    """Letters of the window; N also beyond the chromosome's ends."""
    promoter: tuple[int, int]
    blacklisted: np.ndarray
    """bool (L,)"""
    regions: pd.DataFrame
    """Elements called from this window."""
    genes: pd.DataFrame
    """Genes whose TSS is in the window: ``gene_name``, ``tss``, ``strand``."""
    references: dict[str, pd.DataFrame]
    """Peaks, then reference regions by name, that touch the window."""
    tested: pd.DataFrame | None
    """Elements that a CRISPRi screen has tested for this gene: ``start``, ``end``, ``regulated``."""
    planted: pd.DataFrame | None

    @property
    def length(self) -> int:
        """Of the window, bp."""
        return len(self.blacklisted)

    @property
    def end(self) -> int:
        """The base after the window's last."""
        return self.start + self.length

    def blacklist(self) -> list[tuple[int, int]]:
        """Blacklisted intervals."""
        runs = zip(*constant_runs(self.blacklisted), strict=True)
        return [
            (self.start + int(low), self.start + int(high)) for low, high, is_in in runs if is_in
        ]


def bin_means(values: np.ndarray, step: int) -> np.ndarray:
    """Means of values (L,) over bins of ``step`` bases, the last of which may be shorter."""
    starts = np.arange(0, len(values), step)
    sizes = np.diff(np.append(starts, len(values)))
    return np.add.reduceat(values.astype(np.float64), starts) / sizes


def example_loci(inputs: LocusInputs, count: int, *, or_fewer: bool = False) -> Iterator[Locus]:
    """Yield as many test loci as wanted, each read when it is asked for.

    The genes are not picked by how well they came out: see :func:`choose_genes`.

    Parameters
    ----------
    inputs
        What is read.
    count
        Number of loci.
    or_fewer
        Whether fewer are yielded where there are fewer test genes with a mask.

    Raises
    ------
    UserError
        There are fewer test genes with a mask, or a file is not what it should be.
    """
    masks, store = open_masks(inputs.masks), open_store(inputs.store)
    table = read_table(inputs.predictions, PREDICTION_COLUMNS)
    planted = None
    if inputs.planted is not None:
        planted = planted_elements(inputs.planted, store.cell_line)
    if or_fewer:
        count = min(count, len(_candidates(table, masks)))
    genes = choose_genes(table, masks, count, planted)
    called, references = read_elements(inputs.regions), _references(inputs, table)
    tested = None
    if inputs.crispri is not None:
        tested = read_pairs(inputs.crispri, inputs.cell_type, set(table["chrom"]))
    for gene in genes.itertuples():
        locus = _window(gene, store, masks)
        around: Any = (gene.chrom, locus.start, locus.end)
        own_tests = None
        if tested is not None:
            own_tests = _overlapping(tested[tested["gene_name"] == gene.gene_name], *around)
        yield locus._replace(
            regions=called[called["gene_id"] == gene.gene_id],
            references={name: _overlapping(t, *around) for name, t in references.items()},
            tested=own_tests,
            planted=None if planted is None else _overlapping(planted, *around),
        )


def choose_genes(
    predictions: pd.DataFrame, masks: MaskStore, count: int, planted: pd.DataFrame | None
) -> pd.DataFrame:
    """Choose test genes at even steps of observed expression, highest first.

    Where there is a planted truth, only genes with an active element and a decoy in their window
    are considered, if there are enough of them.
    """
    candidates = _candidates(predictions, masks)
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


def _candidates(predictions: pd.DataFrame, masks: MaskStore) -> pd.DataFrame:
    masked = predictions["gene_id"].isin(masks.gene_ids) & (predictions["split"] == "test")
    return predictions[masked]


def _has_both(gene: Any, planted: pd.DataFrame, length: int) -> bool:
    first = gene.tss - length // 2
    inside = _overlapping(planted, gene.chrom, first, first + length)
    return {"active", "decoy"} <= set(inside["kind"])


def _references(inputs: LocusInputs, predictions: pd.DataFrame) -> dict[str, pd.DataFrame]:
    chroms = set(predictions["chrom"])
    references = {name: read_regions(given, chroms) for name, given in inputs.references.items()}
    if inputs.peaks is None:
        return references
    return {"peaks": read_peaks(inputs.peaks, chroms), **references}


def _overlapping(places: pd.DataFrame, chrom: str, start: int, end: int) -> pd.DataFrame:
    return places[(places["chrom"] == chrom) & (places["end"] > start) & (places["start"] < end)]


def _window(gene: Any, store: WindowStore, masks: MaskStore) -> Locus:
    """What the stores have of one gene."""
    length = masks.length
    row = store.genes["gene_id"].tolist().index(gene.gene_id)
    batch = unpack(read_window(store, row, length), contact_bin=store.contact_bin)
    h3k27ac, dnase, contact = batch.signals[0].T.numpy()
    tracks = {"dnase": dnase, "h3k27ac": h3k27ac, "contact": contact}
    mask_row = masks.gene_ids.index(gene.gene_id)
    tracks |= {name: values[mask_row].astype(np.float32) for name, values in masks.tracks()}
    start, half = gene.tss - length // 2, min(store.promoter_length, length) // 2
    one_hot = batch.sequence[0].numpy()
    letters = np.where(one_hot.any(axis=1), one_hot.argmax(axis=1), 4)
    near = store.genes[store.genes["chrom"] == gene.chrom]
    near = near[near["tss"].between(start, start + length - 1)]
    return Locus(
        gene=gene,
        start=start,
        tracks=tracks,
        bases=np.frombuffer(b"ACGTN", dtype=np.uint8)[letters].tobytes().decode(),
        promoter=(gene.tss - half, gene.tss + half),
        blacklisted=batch.blacklist[0].numpy(),
        regions=pd.DataFrame(),
        genes=near[["gene_id", "gene_name", "tss", "strand"]],
        references={},
        tested=None,
        planted=None,
    )
