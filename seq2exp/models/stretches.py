"""Random numbers that neighbouring bases share.

Axes: B batch, L window length (bp).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

_STREAM = 3
"""Keeps these draws apart from those of the order, of the views and of shifted masks."""


def stretch_draws(like: Tensor, mean_length: int, seeds: Sequence[int] | None) -> Tensor:
    """Draw numbers in [0, 1), constant over stretches of geometric length.

    Parameters
    ----------
    like
        (B, L): shape, dtype and device of the result.
    mean_length
        Of a stretch, bp; 1 draws every base by itself.
    seeds
        (B,), one a window, whatever windows are beside it; without, from torch's random state.

    Returns
    -------
    Tensor
        (B, L).
    """
    if seeds is None:
        seeds = torch.randint(2**62, (len(like),)).tolist()
    length = like.shape[1]
    rows = []
    for seed in seeds:
        rng = np.random.default_rng([_STREAM, int(seed)])
        stretch = np.cumsum(rng.random(length) * mean_length < 1)  # (L,): number of its stretch
        rows.append(rng.random(stretch[-1] + 1)[stretch])
    return torch.from_numpy(np.stack(rows)).to(like)
