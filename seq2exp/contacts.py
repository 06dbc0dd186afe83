"""Contacts of every bin of a window with the TSS: from a Hi-C map, or by a distance power law.

Bins are aligned to the genome: bin i covers [i * bin, (i + 1) * bin). Values are
log10(1 + contact), as the networks read them (paper, section 4.1).

A map's scale is that of its balancing: VC and KR vectors of .hic files keep the size of counts,
while cooler's ``weight`` makes every row sum to 1, so that log10(1 + contact) is near zero.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np

from seq2exp.config import PowerLaw
from seq2exp.errors import UserError
from seq2exp.filetypes import require_kind
from seq2exp.hictk import load_hictkpy
from seq2exp.reference import match_chromosome, shown
from seq2exp.tracks import resolve_chromosome

log = logging.getLogger(__name__)

MissingVector = Literal["error", "none"]
"""What to do where a map lacks the wanted normalisation (``hic.missing_normalization``)."""


class HiCInputs(NamedTuple):
    """Which contact map to read, and how; see :class:`seq2exp.config.HiCSource`."""

    path: Path
    resolution: int
    normalization: str
    missing_chromosome: Literal["error", "zeros", "distance"] = "error"
    missing_normalization: MissingVector = "error"


class ContactMap(NamedTuple):
    """An open .hic, .cool or .mcool at one resolution, with the normalisation to apply."""

    path: Path
    sizes: dict[str, int]
    resolution: int
    normalization: str
    handle: Any
    missing: MissingVector = "error"
    raw: frozenset[str] = frozenset()
    """Chromosomes that are read without normalisation, having no vector of it."""


def open_contact_map(
    path: Path, resolution: int, normalization: str, missing: MissingVector = "error"
) -> ContactMap:
    """Open a contact map at a resolution (bp) and check that the normalisation exists.

    Parameters
    ----------
    path
        A .hic, .cool or .mcool.
    resolution
        Bin size in bp.
    normalization
        Name of the balancing vector, or NONE for raw counts.
    missing
        ``none``: a map, or a chromosome of it, without this vector is read as raw counts, aloud.

    Raises
    ------
    UserError
        Not a contact map, or without this resolution or normalisation: lists those it has.
    """
    path = Path(path)
    require_kind(path, "hic", "HDF5")
    try:
        handle = _open(path, resolution)
        sizes = {str(name): int(size) for name, size in handle.chromosomes().items()}
        known = [str(name) for name in handle.avail_normalizations()]
    except (RuntimeError, ValueError) as error:
        reason = str(error).strip().splitlines()[0]
        raise UserError(f"{path}: unreadable contact map ({reason}); get the file again") from None
    if normalization != "NONE" and normalization not in known:
        problem = f"{path}: no normalization {normalization!r} at {resolution} bp"
        if missing == "error":
            raise UserError(
                f"{problem}; it has {', '.join(['NONE', *known])}; set hic.normalization to one of "
                "these, or hic.missing_normalization: none to use raw counts"
            )
        log.warning("%s: raw counts are used", problem)
        normalization = "NONE"
    return ContactMap(path, sizes, resolution, normalization, handle, missing)


def _open(path: Path, resolution: int) -> Any:
    # Not at the top: once it is loaded, a forked process (a DataLoader worker) can hang.
    hictkpy = load_hictkpy()
    single = hictkpy.is_cooler(path)
    if single:
        available = [hictkpy.File(path).resolution()]
    else:
        available = [int(size) for size in hictkpy.MultiResFile(path).resolutions()]
    if resolution not in available:
        raise UserError(
            f"{path}: no resolution {resolution}; it has "
            f"{', '.join(map(str, available))}; set hic.resolution to one of these"
        )
    return hictkpy.File(path) if single else hictkpy.File(path, resolution)


def bins_of_window(length: int, bin_size: int) -> int:
    """Count the genome-aligned bins that a window can touch, whatever its phase (41 for 200/5 kb).

    The last base of a window with the largest phase, bin_size - 1, is in bin
    (bin_size - 1 + length - 1) // bin_size.
    """
    return (bin_size + length - 2) // bin_size + 1


def tss_contacts(
    chrom: str,
    tss: int,
    window_start: int,
    window_end: int,
    *,
    contact_map: ContactMap | None,
    power_law: PowerLaw,
) -> tuple[np.ndarray, int]:
    """Contacts of each bin of a window with the TSS.

    Parameters
    ----------
    chrom, tss, window_start, window_end
        0-based half-open; the window may reach beyond the chromosome.
    contact_map
        From :func:`open_contact_map`; None for the power law.
    power_law
        Used only without a map.

    Returns
    -------
    values : float32 (bins,)
        log10(1 + contact); 0 for bins beyond the map's chromosome and where the map has NaN.
    bin_size : int
        In bp.
    """
    bin_size = power_law.bin if contact_map is None else contact_map.resolution
    first = window_start // bin_size
    count = bins_of_window(window_end - window_start, bin_size)
    if contact_map is None:
        contacts = power_law_contacts(np.arange(first, first + count) - tss // bin_size, power_law)
    else:
        contacts = _map_contacts(contact_map, chrom, tss // bin_size, first, count)
    return np.log10(1 + contacts).astype(np.float32), bin_size


def contacts_by_distance(values: np.ndarray, bins_apart: np.ndarray) -> np.ndarray:
    """Mean contact at each distance from the TSS, for genes where the map says nothing.

    Parameters
    ----------
    values : (genes, bins)
        log10(1 + contact) of the genes that the map covers.
    bins_apart : (genes, bins)
        Distance of each bin from its TSS, in bins, >= 0.

    Returns
    -------
    float32 (largest distance + 1,)
        log10(1 + mean contact); the mean is over contacts, not over logarithms.
    """
    totals = np.bincount(bins_apart.ravel(), weights=10.0 ** values.ravel() - 1)
    counts = np.bincount(bins_apart.ravel())
    return np.log10(1 + totals / np.maximum(counts, 1)).astype(np.float32)


def power_law_contacts(bins_apart: np.ndarray, power_law: PowerLaw) -> np.ndarray:
    """Contact of bins at a distance d of whole bins: at_bin * (max(d, bin) / bin) ** -gamma.

    A bin with itself counts as one bin apart (ABC, Fulco et al. 2019: closer is not resolved).
    """
    return power_law.at_bin * np.maximum(np.abs(bins_apart), 1.0) ** -power_law.gamma


def _map_contacts(
    contact_map: ContactMap, chrom: str, tss_bin: int, first: int, count: int
) -> np.ndarray:
    values = np.zeros(count)
    name = resolve_chromosome(contact_map.sizes, chrom, contact_map.path, missing="error")
    assert name is not None
    n_bins = -(-contact_map.sizes[name] // contact_map.resolution)
    start, end = max(first, 0), min(first + count, n_bins)
    if not start <= tss_bin < end:
        raise UserError(
            f"{contact_map.path}: {name} ends at {contact_map.sizes[name]}, before the TSS in bin "
            f"{tss_bin} of {contact_map.resolution} bp; get the map of this genome"
        )
    # Readers hold the upper triangle only: the column above the diagonal, then the row right of it.
    above = _fetch(contact_map, name, (start, tss_bin + 1), (tss_bin, tss_bin + 1))[:, 0]
    right = _fetch(contact_map, name, (tss_bin, tss_bin + 1), (tss_bin, end))[0]
    values[start - first : end - first] = np.concatenate([above, right[1:]])
    values[np.isnan(values)] = 0
    return values


def check_vectors(contact_map: ContactMap, chroms: Iterable[str]) -> ContactMap:
    """Check that chromosomes have the normalisation's vector, before anything is read.

    Parameters
    ----------
    contact_map
        From :func:`open_contact_map`.
    chroms
        Those to be read; those that the map lacks are passed over.

    Returns
    -------
    ContactMap
        With ``missing="none"``, one that reads the chromosomes without vector as raw counts.

    Raises
    ------
    UserError
        Some lack it, with ``missing="error"``: names them.
    """
    raw = set()
    for chrom in sorted(set(chroms)):
        name = match_chromosome(chrom, contact_map.sizes)
        try:
            if name is not None:
                _read(contact_map, f"{name}:0-1", f"{name}:0-1", name)
        except RuntimeError:
            raw.add(str(name))
    if not raw:
        return contact_map
    problem = f"{contact_map.path}: no {contact_map.normalization} vector for {shown(sorted(raw))}"
    if contact_map.missing == "error":
        raise UserError(
            f"{problem}; choose another hic.normalization, or hic.missing_normalization: none to "
            "use raw counts there"
        )
    log.warning("%s: raw counts are used there", problem)
    return contact_map._replace(raw=frozenset(raw))


def _fetch(
    contact_map: ContactMap, name: str, rows: tuple[int, int], columns: tuple[int, int]
) -> np.ndarray:
    size, step = contact_map.sizes[name], contact_map.resolution
    down, across = (
        f"{name}:{start * step}-{min(end * step, size)}" for start, end in (rows, columns)
    )
    try:
        return _read(contact_map, down, across, name)
    except RuntimeError as error:
        reason = str(error).strip().splitlines()[0]
        raise UserError(
            f"{contact_map.path}: cannot read {down} x {across} with normalization "
            f"{contact_map.normalization} ({reason}); choose another hic.normalization"
        ) from None


def _read(contact_map: ContactMap, rows: str, columns: str, name: str) -> np.ndarray:
    normalization = "NONE" if name in contact_map.raw else contact_map.normalization
    selector = contact_map.handle.fetch(
        rows, columns, normalization=normalization, count_type="float64"
    )
    return selector.to_numpy()
