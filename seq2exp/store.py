"""The window store of a cell line: every base of every TSS window once, memory-mapped.

Layout: docs/architecture.md, "Window store"; T bases as in :mod:`seq2exp.store_bases`.
"""

from __future__ import annotations

import hashlib
import json
import logging
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from tqdm import tqdm

from seq2exp.array_file import ArrayFile
from seq2exp.bed import check_bed_assembly, read_bed
from seq2exp.config import PowerLaw, WindowConfig
from seq2exp.contacts import (
    ContactMap,
    HiCInputs,
    bins_of_window,
    check_vectors,
    contacts_by_distance,
    open_contact_map,
    tss_contacts,
)
from seq2exp.errors import UserError
from seq2exp.expression import PROMOTER_REACH, LabelInputs, promoter_activity, read_labels
from seq2exp.reference import match_chromosome, read_chrom_sizes, shown
from seq2exp.schemas import (
    GENE_COLUMNS,
    MRNA_FEATURES,
    PROMOTER_ACTIVITY,
    STORE_GENE_COLUMNS,
    label_column,
    numbers,
    read_table,
    whole_folder,
    write_table,
)
from seq2exp.store_bases import total_bases, window_runs, window_starts, write_bases
from seq2exp.tracks import Track, check_assembly, check_chromosomes, open_bigwig, read_signal

log = logging.getLogger(__name__)

FORMAT = 2
FILES = ("store.json", "codes.npy", "signals.npy", "contacts.npy", "genes.tsv")


# --------------------------------------------------------------------------- reading


@dataclass(frozen=True, eq=False)
class WindowStore:
    """An open store. Pickling sends the path only: another process maps the files itself."""

    path: Path
    meta: dict[str, Any]
    genes: pd.DataFrame
    """One row per gene: see ``schemas.STORE_GENE_COLUMNS``, features and labels."""
    codes: np.ndarray
    """uint8 (T,), mapped: bits 0-2 the base (0 A, 1 C, 2 G, 3 T, 4 N, 5 off the chromosome), bit 3
    set where blacklisted, bit 4 in peaks."""
    signals: np.ndarray
    """float16 (T, 2), mapped: H3K27ac, DNase."""
    contacts: np.ndarray
    """float32 (genes, bins): log10(1 + contact) of each genome-aligned bin with the TSS."""
    codes_file: ArrayFile
    """The file behind ``codes``, for reading many windows."""
    signals_file: ArrayFile

    def __reduce__(self) -> tuple[Any, ...]:
        return open_store, (self.path,)

    @property
    def cell_line(self) -> str:
        return self.meta["cell_line"]

    @property
    def window_length(self) -> int:
        return self.meta["window_length"]

    @property
    def promoter_length(self) -> int:
        return self.meta["promoter_length"]

    @property
    def contact_bin(self) -> int:
        return self.meta["contact_bin"]

    @property
    def has_peaks(self) -> bool:
        """Whether the cell line's DNase peaks are known; where not, no base is in one."""
        return self.meta["peaks_from"] is not None

    @property
    def feature_names(self) -> tuple[str, ...]:
        """Gene features, in the order of ``features``; promoter activity is the last."""
        return tuple(self.meta["features"])

    @cached_property
    def features(self) -> np.ndarray:
        """float32 (genes, features)."""
        return self.genes[list(self.feature_names)].to_numpy(np.float32)

    @cached_property
    def offsets(self) -> np.ndarray:
        """int64 (genes,): the first base of every gene's window on the axis of T bases."""
        return self.genes["offset"].to_numpy(np.int64)

    @cached_property
    def contact_phases(self) -> np.ndarray:
        """int64 (genes,): bases between the first bin's start and the window's start."""
        return self.genes["contact_phase"].to_numpy(np.int64)

    def labels(self, assay: str) -> np.ndarray:
        """float32 (genes,), NaN where a gene has no label for the assay."""
        if assay not in self.meta["assays"]:
            raise UserError(
                f"{self.path}: no labels for assay {assay!r}; it has "
                f"{', '.join(self.meta['assays'])}; build the windows again with this assay"
            )
        return self.genes[label_column(assay)].to_numpy(np.float32)


def open_store(path: Path) -> WindowStore:
    """Map a store for reading.

    Raises
    ------
    UserError
        Not a store, of another format version, or its files do not fit together.
    """
    path = Path(path)
    try:
        meta = json.loads((path / "store.json").read_text())
    except (OSError, ValueError):
        raise UserError(f"{path}: no readable store.json; build the windows first") from None
    if meta.get("format") != FORMAT:
        raise UserError(f"{path}: store format {meta.get('format')}, not {FORMAT}; build it again")
    mapped: dict[str, np.memmap] = {}
    shapes = {
        "codes": (meta["bases"],),
        "signals": (meta["bases"], 2),
        "contacts": (meta["genes"], meta["contact_bins"]),
    }
    for name, shape in shapes.items():
        try:
            mapped[name] = np.load(path / f"{name}.npy", mmap_mode="r")
        except (OSError, ValueError):
            raise UserError(f"{path}/{name}.npy: missing or truncated; build it again") from None
        if mapped[name].shape != shape:
            raise UserError(
                f"{path}/{name}.npy: shape {mapped[name].shape}, store.json says {shape}"
            )
    return WindowStore(
        path,
        meta,
        read_table(path / "genes.tsv", GENE_COLUMNS),
        # Plain arrays over the maps: slicing np.memmap itself costs microseconds each time.
        **{name: np.asarray(array) for name, array in mapped.items()},
        codes_file=ArrayFile.behind(mapped["codes"]),
        signals_file=ArrayFile.behind(mapped["signals"]),
    )


# --------------------------------------------------------------------------- building


def build_store(
    out_dir: Path,
    *,
    cell_line: str,
    genome_name: str,
    fasta: Path,
    chrom_sizes: Path,
    genes_table: Path,
    blacklist: Path | None,
    h3k27ac: Path,
    dnase: Path,
    hic: HiCInputs | None,
    labels: dict[str, LabelInputs],
    window: WindowConfig,
    power_law: PowerLaw,
    peaks: Path | None = None,
) -> None:
    """Build the store of one cell line; the folder appears whole or not at all.

    Parameters
    ----------
    out_dir
        Folder to create (an older store there is replaced).
    cell_line, genome_name
        Written into ``store.json``.
    fasta, chrom_sizes
        From :func:`seq2exp.reference.prepare_genome`.
    genes_table
        ``genes.tsv`` of the reference; genes without a label for any assay are left out.
    blacklist, h3k27ac, dnase
        BED and bigWigs.
    hic
        Path, resolution (bp) and normalisation; None for the power law.
    labels
        Per assay.
    peaks
        BED or narrowPeak of DNase peaks, where there are any.

    Raises
    ------
    UserError
        A file is unreadable or of another assembly, a signal is negative, or no gene has a label.
    """
    sizes, missing = read_chrom_sizes(chrom_sizes), window.missing_chromosome
    tracks = [open_bigwig(path) for path in (h3k27ac, dnase)]
    contact_map = None
    if hic is not None:
        contact_map = open_contact_map(*hic[:3], missing=hic.missing_normalization)
    sources: list[Track | ContactMap] = [*tracks, *([contact_map] if contact_map else [])]
    for source in sources:
        check_assembly(source.sizes, sizes, source.path)
    if peaks is not None:
        check_bed_assembly(read_bed(peaks), sizes, peaks)
    genes = _labelled_genes(genes_table, labels, sizes, window)
    for track in tracks:
        check_chromosomes(genes["chrom"], track.sizes, track.path, missing=missing)
    runs, offsets = window_runs(genes, window.length)
    genes["offset"] = offsets
    with whole_folder(out_dir, FILES) as folder:
        digests = write_bases(folder, runs, tracks, fasta, blacklist, peaks, missing)
        contacts, bin_size = _contacts(
            genes, contact_map, hic.missing_chromosome if hic else "error", window, power_law
        )
        np.save(folder / "contacts.npy", contacts)
        genes["contact_phase"] = window_starts(genes, window.length) % bin_size
        genes[PROMOTER_ACTIVITY] = _promoter_activities(genes, tracks, window)
        features = [*(name for name in MRNA_FEATURES if name in genes), PROMOTER_ACTIVITY]
        columns = [*STORE_GENE_COLUMNS, *features, *(label_column(assay) for assay in labels)]
        write_table(genes[columns], folder / "genes.tsv")
        for name in ("contacts.npy", "genes.tsv"):
            digests[name] = hashlib.sha256((folder / name).read_bytes()).hexdigest()
        meta = {
            "format": FORMAT,
            "genome": genome_name,
            "cell_line": cell_line,
            "window_length": window.length,
            "promoter_length": window.promoter_length,
            "contact_bin": bin_size,
            "contact_bins": contacts.shape[1],
            "contacts_from": "power law" if contact_map is None else contact_map.path.name,
            "peaks_from": None if peaks is None else peaks.name,
            "features": features,
            "assays": list(labels),
            "genes": len(genes),
            "bases": total_bases(runs),
            "sha256": digests,
            "runs": [list(run) for run in runs],
        }
        (folder / "store.json").write_text(json.dumps(meta, indent=1) + "\n")
    log.info("%s: %d genes, %d bases in %d runs", out_dir, len(genes), meta["bases"], len(runs))


def _labelled_genes(
    genes_table: Path, labels: dict[str, LabelInputs], sizes: dict[str, int], window: WindowConfig
) -> pd.DataFrame:
    genes = read_table(genes_table, GENE_COLUMNS)
    genes["tss"] = numbers(genes, "tss", genes_table, whole=True)
    outside = genes[~genes["chrom"].isin(list(sizes))]
    if len(outside):
        raise UserError(
            f"{genes_table}: gene {outside['gene_id'].iloc[0]!r} is on "
            f"{outside['chrom'].iloc[0]!r}, which the genome lacks; prepare the genes again"
        )
    for name in MRNA_FEATURES:
        if name in genes and np.isnan(numbers(genes, name, genes_table)).any():
            lacking = genes["gene_id"][genes[name].isna()].iloc[0]
            raise UserError(
                f"{genes_table}: gene {lacking!r} has no {name}; fill the cell or drop the column"
            )
    for assay, inputs in labels.items():
        read = read_labels(inputs, genes, sizes, window.missing_chromosome)
        genes[label_column(assay)] = read.per_gene
    known = genes[[label_column(assay) for assay in labels]].notna()
    for assay in labels:
        log.info("label %s: %d of %d genes", assay, known[label_column(assay)].sum(), len(genes))
    kept = genes[known.any(axis=1)].reset_index(drop=True)
    if kept.empty:
        raise UserError(f"{genes_table}: no gene has a label for {', '.join(labels)}; check labels")
    if len(kept) < len(genes):
        log.warning("%d genes without any label are left out", len(genes) - len(kept))
    return kept


def _contacts(
    genes: pd.DataFrame,
    contact_map: ContactMap | None,
    missing: str,
    window: WindowConfig,
    power_law: PowerLaw,
) -> tuple[np.ndarray, int]:
    """Contacts of every gene (genes, bins), and the bin size."""
    bin_size = power_law.bin if contact_map is None else contact_map.resolution
    bins = np.arange(bins_of_window(window.length, bin_size))
    starts = window_starts(genes, window.length)
    tss = genes["tss"].to_numpy().astype(int)
    apart = abs(starts[:, None] // bin_size + bins - tss[:, None] // bin_size)  # (genes, bins)
    covered = np.ones(len(genes), dtype=bool)
    if contact_map is not None:
        check_chromosomes(
            genes["chrom"],
            contact_map.sizes,
            contact_map.path,
            missing="error" if missing == "error" else "zeros",
        )
        contact_map = check_vectors(contact_map, genes["chrom"])
        found = {c: match_chromosome(c, contact_map.sizes) for c in genes["chrom"].unique()}
        covered = genes["chrom"].map(found).notna().to_numpy()
    values = np.zeros(apart.shape, dtype=np.float32)
    rows = np.flatnonzero(covered)
    for row in tqdm(rows, unit="gene", desc="contacts", disable=None):
        values[row], _ = tss_contacts(
            *(genes["chrom"].iloc[row], tss[row], int(starts[row])),
            int(starts[row]) + window.length,
            contact_map=contact_map,
            power_law=power_law,
        )
    if missing == "distance" and not covered.all():
        values[~covered] = _expected_contacts(contact_map, values, apart, covered)
    return values, bin_size


def _expected_contacts(
    contact_map: ContactMap | None, values: np.ndarray, apart: np.ndarray, covered: np.ndarray
) -> np.ndarray:
    assert contact_map is not None
    if not covered.any():
        raise UserError(
            f"{contact_map.path}: has no chromosome of any gene; it has "
            f"{shown(contact_map.sizes)}; use a map of this genome"
        )
    log.warning("%s: mean contact at each distance from a TSS instead", contact_map.path)
    expected = contacts_by_distance(values[covered], apart[covered])
    return expected[np.minimum(apart[~covered], len(expected) - 1)]


def _promoter_activities(
    genes: pd.DataFrame, tracks: list[Track], window: WindowConfig
) -> list[float]:
    activities = []
    for chrom, tss in zip(genes["chrom"], genes["tss"].astype(int), strict=True):
        h3k27ac, dnase = (
            read_signal(
                *(track, chrom, tss - PROMOTER_REACH, tss + PROMOTER_REACH),
                missing=window.missing_chromosome,
            )
            for track in tracks
        )
        activities.append(promoter_activity(h3k27ac, dnase))
    return activities
