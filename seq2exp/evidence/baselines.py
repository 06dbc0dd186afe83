"""What CRISPRi pairs are told from without any model: activity, and activity by contact.

Activity is the geometric mean of DNase and H3K27ac (Fulco et al. 2019). The score in the style of
the ABC model is the activity of the tested element times its contact with the TSS, over the sum of
the same for all candidates within ``REACH`` of the TSS. Candidates are the 500 bp tiles of the
genome with the most DNase, as many of them as the ABC model takes strongest peaks, and those with a
tested element. So it needs no peak calls, and no pair is without a score.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from seq2exp.bed import read_bed
from seq2exp.config import PowerLaw
from seq2exp.contacts import ContactMap, HiCInputs, check_vectors, open_contact_map, tss_contacts
from seq2exp.evidence.crispri import (
    PLACE,
    PREDICTED,
    LinkInputs,
    link_scores,
    read_links,
    read_pairs,
)
from seq2exp.evidence.intervals import overlapping_rows
from seq2exp.reference import match_chromosome, read_chrom_sizes
from seq2exp.schemas import write_table
from seq2exp.tracks import Missing, Track, check_assembly, open_bigwig, read_signal

log = logging.getLogger(__name__)

TILE = 500
"""bp; the ABC model's candidates are 500 bp around the summit of a peak."""
CANDIDATE_SHARE = 150_000 * TILE / 3.1e9
"""Share of tiles that are candidates: the ABC model takes the 150,000 strongest peaks."""
REACH = 5_000_000
"""bp on each side of a TSS over which the ABC model adds up."""
_PIECE = 4_000 * TILE  # bases read at once


class SignalFiles(NamedTuple):
    """Tracks of a cell line, and what to do where they lack a chromosome."""

    h3k27ac: Path
    dnase: Path
    missing: Missing = "error"


def write_baselines(
    out_table: Path,
    *,
    crispri: Path,
    cell_type: str,
    signals: SignalFiles,
    chrom_sizes: Path,
    blacklist: Path | None,
    hic: HiCInputs | None,
    power_law: PowerLaw,
    predictions: Mapping[str, LinkInputs] | None = None,
) -> None:
    """Write the valid pairs of a cell line with the scores of what needs no model of ours.

    Parameters
    ----------
    out_table
        The columns of :func:`seq2exp.evidence.crispri.read_pairs`, ``activity``, ``abc`` and a
        column, ``predicted_`` and its name, for each of ``predictions``.
    crispri, cell_type
        Table of pairs, and the name of the cell line in it.
    signals, blacklist
        H3K27ac and DNase bigWigs; excluded regions, which hold no candidate.
    chrom_sizes
        Of the prepared genome.
    hic
        The cell line's contact map; None for the power law.
    power_law
        Also for chromosomes that the map lacks.
    predictions
        Element-gene scores of other methods, by name.

    Raises
    ------
    UserError
        The table has no pair of this cell type, or a file is unreadable or of another assembly.
    """
    sizes = read_chrom_sizes(chrom_sizes)
    tracks = [open_bigwig(path) for path in (signals.h3k27ac, signals.dnase)]
    for track in tracks:
        check_assembly(track.sizes, sizes, track.path)
    pairs = read_pairs(crispri, cell_type, sizes)
    contact_map = None
    if hic is not None:
        contact_map = open_contact_map(*hic[:3], missing=hic.missing_normalization)
        check_assembly(contact_map.sizes, sizes, contact_map.path)
        contact_map = check_vectors(contact_map, pairs["chrom"])
    pairs["activity"] = element_activity(pairs, tracks, signals.missing)
    places = pairs[PLACE].drop_duplicates()
    candidates = candidate_tiles(places, sizes, tracks, blacklist, signals.missing)
    pairs["abc"] = abc_scores(pairs, candidates, contact_map, power_law)
    for name, inputs in (predictions or {}).items():
        pairs[PREDICTED + name] = link_scores(pairs, read_links(inputs, sizes))
    write_table(pairs, out_table)
    log.info(
        "%s: %d pairs, %d regulated, %d genes, %d candidate tiles",
        *(crispri, len(pairs), pairs["regulated"].sum(), pairs["gene_name"].nunique()),
        len(candidates),
    )


def element_activity(pairs: pd.DataFrame, tracks: list[Track], missing: Missing) -> np.ndarray:
    """Geometric mean (n,) of the mean signals over each tested element."""
    places = pairs[PLACE].drop_duplicates()
    means = [
        [read_signal(track, *place, missing=missing).mean(dtype=np.float64) for track in tracks]
        for place in places.itertuples(index=False)
    ]
    activity = np.sqrt(np.prod(means, axis=1))
    return pairs[PLACE].merge(places.assign(activity=activity))["activity"].to_numpy()


def candidate_tiles(
    tested: pd.DataFrame,
    sizes: dict[str, int],
    tracks: list[Track],
    blacklist: Path | None,
    missing: Missing,
) -> pd.DataFrame:
    """Tiles with the most DNase or a tested element: PLACE and ``activity``, in order.

    Parameters
    ----------
    tested
        ``chrom``, ``start``, ``end``; the share of tiles is of these chromosomes.
    tracks
        H3K27ac, DNase.
    """
    excluded = pd.DataFrame(columns=PLACE) if blacklist is None else read_bed(blacklist)
    tables = []
    for chrom in sorted(tested["chrom"].unique()):
        means = np.stack([_tile_means(track, chrom, sizes[chrom], missing) for track in tracks])
        for name, first, last in excluded.itertuples(index=False):
            if match_chromosome(name, [chrom]):
                means[:, first // TILE : -(-last // TILE)] = 0
        start = np.arange(means.shape[1]) * TILE
        h3k27ac, dnase = means
        tables.append(
            pd.DataFrame(
                {
                    "chrom": chrom,
                    "start": start,
                    "end": np.minimum(start + TILE, sizes[chrom]),
                    "dnase": dnase,
                    "activity": np.sqrt(h3k27ac * dnase),
                }
            )
        )
    tiles = pd.concat(tables, ignore_index=True)
    count = round(CANDIDATE_SHARE * len(tiles))
    strongest = tiles["dnase"][tiles["dnase"] > 0].nlargest(count, keep="all").index
    with_element, _ = overlapping_rows(tiles, tested)
    chosen = np.union1d(strongest.to_numpy(), with_element)
    return tiles.drop(columns="dnase").iloc[chosen].reset_index(drop=True)


def _tile_means(track: Track, chrom: str, size: int, missing: Missing) -> np.ndarray:
    """Mean signal (tiles,); beyond the chromosome's end there is none."""
    means = []
    for start in range(0, size, _PIECE):
        end = min(start + _PIECE, -(-size // TILE) * TILE)
        values = read_signal(track, chrom, start, end, missing=missing)
        means.append(values.reshape(-1, TILE).mean(axis=1, dtype=np.float64))
    return np.concatenate(means)


def abc_scores(
    pairs: pd.DataFrame,
    candidates: pd.DataFrame,
    contact_map: ContactMap | None,
    power_law: PowerLaw,
) -> np.ndarray:
    """Activity by contact (n,) of each pair, over its sum for all candidates around the TSS.

    Parameters
    ----------
    pairs
        ``chrom``, ``start``, ``end``, ``gene_name``, ``gene_tss``, ``activity``.
    candidates
        From :func:`candidate_tiles`.
    contact_map, power_law
        Where contacts come from; the power law without a map, or where it lacks the chromosome.
    """
    scores = np.zeros(len(pairs))
    middles = _middles(pairs)
    for rows in map(np.asarray, pairs.groupby(["chrom", "gene_name"]).indices.values()):
        chrom, tss = pairs[["chrom", "gene_tss"]].iloc[rows[0]]
        near = candidates[candidates["chrom"] == chrom]
        where = np.concatenate([middles[rows], _middles(near)])
        activity = np.concatenate([pairs["activity"].iloc[rows], near["activity"]])
        within = np.abs(where - tss) < REACH
        products = np.zeros(len(where))
        products[within] = activity[within] * _contacts(
            *(str(chrom), int(tss), where[within], contact_map, power_law)
        )
        total = products[len(rows) :].sum()
        if total > 0:
            scores[rows] = products[: len(rows)] / total
    return scores


def _middles(places: pd.DataFrame) -> np.ndarray:
    return (places["start"].to_numpy(np.int64) + places["end"].to_numpy(np.int64)) // 2


def _contacts(
    chrom: str,
    tss: int,
    positions: np.ndarray,
    contact_map: ContactMap | None,
    power_law: PowerLaw,
) -> np.ndarray:
    """Contact (n,) of positions with a TSS."""
    if contact_map is not None and match_chromosome(chrom, contact_map.sizes) is None:
        contact_map = None
    logs, bin_size = tss_contacts(
        *(chrom, tss, tss - REACH, tss + REACH), contact_map=contact_map, power_law=power_law
    )
    bins = positions // bin_size - (tss - REACH) // bin_size
    return np.expm1(np.log(10) * logs[bins].astype(np.float64))  # from log10(1 + contact)
