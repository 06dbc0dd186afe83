"""Tables of intervals (``chrom``, ``start``, ``end``; 0-based half-open) by bioframe's array core.

Intervals of different chromosomes (or of different genes) are put far apart on one axis, so that
each operation is one call.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from bioframe.core import arrops


def overlapping_rows(
    first: pd.DataFrame, second: pd.DataFrame, keys: Sequence[str] = ("chrom",)
) -> tuple[np.ndarray, np.ndarray]:
    """Positions of all pairs of rows that share a base and are equal in ``keys``.

    Returns
    -------
    rows of ``first``, rows of ``second`` : int64 (pairs,)
    """
    both = pd.concat([first[list(keys)], second[list(keys)]], ignore_index=True)
    group = both.groupby(list(keys), sort=False).ngroup().to_numpy()
    farthest = max((int(table["end"].max()) for table in (first, second) if len(table)), default=0)
    shift = group * (farthest + 1)
    n = len(first)
    sides = [
        np.asarray(table[column], dtype=np.int64) + shift[part]
        for table, part in ((first, slice(n)), (second, slice(n, None)))
        for column in ("start", "end")
    ]
    rows, others = arrops.overlap_intervals(*sides)
    return rows, others


def cluster(places: pd.DataFrame) -> np.ndarray:
    """Number (n,) of the run of overlapping intervals that each interval is in.

    Intervals that only touch are in different runs.
    """
    group = places.groupby("chrom", sort=False).ngroup().to_numpy()
    shift = group * (int(places["end"].max()) + 1 if len(places) else 0)
    start, end = (places[column].to_numpy(np.int64) + shift for column in ("start", "end"))
    return arrops.merge_intervals(start, end, min_dist=None)[0]


def union(places: pd.DataFrame) -> pd.DataFrame:
    """Places covered by any interval, each base once; sorted by chromosome and start."""
    runs = places.groupby(cluster(places))
    merged = runs.agg({"chrom": "first", "start": "min", "end": "max"})
    return merged.sort_values(["chrom", "start"], ignore_index=True)
