"""The examination of one cell line: its tracks, contact map and labels against the genes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from seq2exp.config import WindowConfig
from seq2exp.contacts import HiCInputs, open_contact_map
from seq2exp.doctor import hic as contact_maps
from seq2exp.doctor import peaks as dnase_peaks
from seq2exp.doctor.assemblies import infer_assembly
from seq2exp.doctor.checkup import Checkup
from seq2exp.doctor.compare import Promoters
from seq2exp.doctor.genes import note_genes
from seq2exp.doctor.labels import note_correlations, note_labels
from seq2exp.doctor.signals import (
    gene_windows,
    judge_signal,
    note_chromosomes,
    note_values,
    promoter_means,
    read_windows,
    spread_windows,
)
from seq2exp.expression import LabelInputs, read_labels
from seq2exp.reference import read_chrom_sizes
from seq2exp.schemas import GENE_COLUMNS, label_column, read_table
from seq2exp.tracks import check_assembly, open_bigwig

NOT_FETCHED = "not fetched yet"
NOT_CALLED = "not called yet"


@dataclass(frozen=True)
class CellLine:
    """The files of a cell line."""

    name: str
    h3k27ac: Path
    dnase: Path
    hic: HiCInputs | None
    labels: Mapping[str, LabelInputs]
    peaks: Path | None = None
    absent: Mapping[Path, str] = field(default_factory=dict)
    """Files that are not examined, and why: NOT_FETCHED, NOT_CALLED, or what is wrong with them."""

    def signals(self) -> dict[str, Path]:
        """The two signal tracks by item."""
        return {"h3k27ac": self.h3k27ac, "dnase": self.dnase}

    def label_tracks(self) -> dict[str, Path]:
        """The CAGE tracks by item: assay, number of the replicate, strand."""
        found = {}
        for assay, inputs in self.labels.items():
            for number, paths in enumerate(inputs.replicates, 1):
                replicate = [str(number)] if len(inputs.replicates) > 1 else []
                ends = ("forward", "reverse") if len(paths) > 1 else ("track",)
                for end, path in zip(ends, paths, strict=True):
                    found[" ".join([assay, *replicate, end])] = path
        return found


@dataclass(frozen=True)
class Reference:
    """What all cell lines share, as the workflow prepares it."""

    chrom_sizes: Mapping[str, int]
    genes: pd.DataFrame
    dropped: pd.DataFrame


def read_reference(chrom_sizes: Path, genes: Path, dropped: Path) -> Reference:
    """Read what :mod:`seq2exp.reference` and :mod:`seq2exp.annotation` have written."""
    return Reference(
        read_chrom_sizes(chrom_sizes), read_table(genes, GENE_COLUMNS), read_table(dropped)
    )


def check_cell_line(
    cell_line: CellLine, reference: Reference | None, window: WindowConfig
) -> tuple[Checkup, Promoters]:
    """Examine the files of a cell line; whatever is wrong becomes a finding.

    Parameters
    ----------
    cell_line
        Its files.
    reference
        None where genome or genes are not there yet: then tracks are sampled all over their own
        chromosomes, and labels are left out.
    window
        As in the config.

    Returns
    -------
    checkup
        Figures and findings.
    promoters
        Labels and promoter signals of every gene, for
        :func:`seq2exp.doctor.compare.compare_cell_lines`.
    """
    checkup = Checkup(cell_line.name)
    if reference is not None:
        note_genes(checkup, reference.genes, reference.dropped)
    promoters = {}
    for item, path in cell_line.signals().items():
        if _is_there(checkup, item, path, cell_line.absent):
            with checkup.examining(item):
                means = _examine_track(checkup, item, path, reference, window, promoters=True)
                if means is not None:
                    promoters[item] = means
            judge_signal(checkup, item)
    if cell_line.hic is not None:
        _examine_map(checkup, cell_line, cell_line.hic, reference, window)
    if cell_line.peaks is not None:
        _examine_peaks(checkup, cell_line, cell_line.peaks, reference, window)
    for item, path in cell_line.label_tracks().items():
        if _is_there(checkup, item, path, cell_line.absent):
            with checkup.examining(item):
                _examine_track(checkup, item, path, reference, window, promoters=False)
    columns = dict(promoters)
    for assay, inputs in cell_line.labels.items():
        labels = _examine_labels(checkup, cell_line, assay, inputs, reference, window)
        if labels is not None:
            columns[label_column(assay)] = labels
            note_correlations(checkup, assay, labels, promoters)
    ids = [] if reference is None else reference.genes["gene_id"].tolist()
    return checkup, Promoters(cell_line.name, pd.DataFrame({"gene_id": ids, **columns}))


def _is_there(checkup: Checkup, item: str, path: Path, absent: Mapping[Path, str]) -> bool:
    state = absent.get(path)
    checkup.note(item, file=str(path))
    if state in (NOT_FETCHED, NOT_CALLED):
        checkup.note(item, state=state)
    elif state is not None:
        checkup.say("error", item, state)
    return state is None


def _examine_track(
    checkup: Checkup,
    item: str,
    path: Path,
    reference: Reference | None,
    window: WindowConfig,
    *,
    promoters: bool,
) -> np.ndarray | None:
    """Take the figures of a track; its means at promoters where these are wanted and known."""
    track = open_bigwig(path)
    try:
        checkup.note(item, assembly=infer_assembly(track.sizes))
        if reference is None:
            note_values(checkup, item, read_windows(track, spread_windows(track.sizes)))
            return None
        check_assembly(track.sizes, dict(reference.chrom_sizes), path)
        genes, missing = reference.genes, window.missing_chromosome
        note_chromosomes(checkup, item, track, genes, missing)
        known = read_windows(track, gene_windows(genes, window.length))
        note_values(checkup, item, known)
        if not promoters:
            return None
        means = promoter_means(track, genes, "zeros")
        around = float(np.nan_to_num(known).mean(dtype=np.float64)) if len(known) else 0.0
        checkup.note(item, at_tss=float(means.mean() / around) if around > 0 else 0.0)
        return means
    finally:
        track.handle.close()


def _examine_map(
    checkup: Checkup,
    cell_line: CellLine,
    hic: HiCInputs,
    reference: Reference | None,
    window: WindowConfig,
) -> None:
    item = contact_maps.ITEM
    if not _is_there(checkup, item, hic.path, cell_line.absent):
        return
    with checkup.examining(item):
        contact_map = open_contact_map(*hic[:3], missing=hic.missing_normalization)
        checkup.note(item, assembly=infer_assembly(contact_map.sizes))
        if reference is None:
            return
        check_assembly(contact_map.sizes, dict(reference.chrom_sizes), hic.path)
        contact_maps.note_contacts(checkup, contact_map, reference.genes, window.length // 2)
        lacking = checkup.get(item, "missing")
        if lacking != "none" and hic.missing_chromosome == "error":
            checkup.say(
                "error",
                item,
                f"has no chromosome {lacking}, where genes are; set hic.missing_chromosome to "
                "distance (the map's mean contact at each distance) or zeros",
            )


def _examine_peaks(
    checkup: Checkup,
    cell_line: CellLine,
    path: Path,
    reference: Reference | None,
    window: WindowConfig,
) -> None:
    item = dnase_peaks.ITEM
    if not _is_there(checkup, item, path, cell_line.absent) or reference is None:
        return
    with checkup.examining(item):
        dnase = None if cell_line.dnase in cell_line.absent else open_bigwig(cell_line.dnase)
        try:
            dnase_peaks.note_peaks(
                *(checkup, path, reference.genes, reference.chrom_sizes, dnase),
                length=window.length,
                promoter_length=window.promoter_length,
            )
        finally:
            if dnase is not None:
                dnase.handle.close()


def _examine_labels(
    checkup: Checkup,
    cell_line: CellLine,
    assay: str,
    inputs: LabelInputs,
    reference: Reference | None,
    window: WindowConfig,
) -> np.ndarray | None:
    """Take the figures of an assay's labels; the labels, where they can be read."""
    tracks = [path for paths in inputs.replicates for path in paths]
    if inputs.table is not None and not _is_there(checkup, assay, inputs.table, cell_line.absent):
        return None
    if any(path in cell_line.absent for path in tracks):
        checkup.note(assay, state="a track is missing")
        return None
    if reference is None:
        checkup.note(assay, state="no genes yet")
        return None
    with checkup.examining(assay):
        labels = read_labels(
            inputs, reference.genes, dict(reference.chrom_sizes), window.missing_chromosome
        )
        note_labels(checkup, assay, labels, inputs)
        return labels.per_gene
    return None
