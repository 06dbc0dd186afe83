"""Colours of browser tracks: those of the figures, and shades by strength."""

from __future__ import annotations

import numpy as np
from matplotlib.colors import to_rgb

from seq2exp.figures.style import COLOURS

RAISES, LOWERS = "#b2182b", "#2166ac"
"""Elements whose loss lowers the prediction, and whose loss raises it."""
UNSIGNED = COLOURS["mask"]
PALEST = 0.2
"""Share of the full colour that the weakest has; 0 would be white."""


def rgb(colour: str) -> str:
    """Write a colour as browsers want it: ``r,g,b``, each 0 to 255."""
    return ",".join(str(round(255 * part)) for part in to_rgb(colour))


def shades(colour: str, strengths: np.ndarray) -> list[str]:
    """Mix a colour with white: one ``r,g,b`` a strength in [0, 1], the strongest the full colour."""
    share = PALEST + (1 - PALEST) * np.clip(np.asarray(strengths, dtype=float), 0, 1)[:, None]
    mixed = 255 * (1 - share * (1 - np.array(to_rgb(colour))))
    return [",".join(map(str, row)) for row in mixed.round().astype(int)]
