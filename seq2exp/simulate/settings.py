"""Settings of the simulated genome; the defaults are the demo."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

import numpy as np

from seq2exp.errors import UserError

CAGE_HALF = 192  # the CAGE label is summed over [tss - 192, tss + 192)
MOTIF_LENGTH = 10
COPY_PITCH = MOTIF_LENGTH + 2  # room that one planted motif copy takes, at least


@dataclass(frozen=True)
class Settings:
    """What a simulated genome looks like. Lengths in bp, effects in log10(1 + CAGE).

    ``spacing`` is the mean distance of neighbouring TSSs in windows; ``close_pairs`` the share of
    neighbours that are closer than one window. Elements lie from ``element_nearest`` to
    ``element_reach`` away from a TSS, in halves of a window. The three shares split the variance
    of the label.
    ``contact_exponent`` is the gamma of the contact law, see `contacts.contact`.
    """

    cell_lines: tuple[str, ...] = ("SimA", "SimB")
    genes: int = 800
    chromosome_weights: tuple[int, ...] = (2, 2, 2, 1, 1)
    window: int = 2_000
    promoter: int = 200
    spacing: float = 2.8
    close_pairs: float = 0.1
    gaps_per_chromosome: int = 2
    blacklisted_per_chromosome: int = 3
    element_nearest: float = 0.0
    element_reach: float = 0.6
    max_active: int = 2
    max_decoys: int = 2
    element_length: tuple[int, int] = (150, 250)
    motif_copies: tuple[int, int] = (8, 12)
    open_probability: float = 0.75
    promoter_copies: int = 8
    cell_line_copies: int = 3
    promoter_share: float = 0.46
    distal_share: float = 0.46
    noise_share: float = 0.08
    label_mean: float = 1.5
    label_sd: float = 0.5
    rna_noise_sd: float = 0.15
    contact_exponent: float = 0.75
    contact_depth: float = 3.0
    signal_step: int = 20

    def __post_init__(self) -> None:
        for key, message in _problems(self):
            raise UserError(f"simulation setting {key}={getattr(self, key)!r}: {message}")

    @property
    def half(self) -> int:
        """Half a window: a window is [tss - half, tss + half)."""
        return self.window // 2

    @property
    def reach(self) -> int:
        """Elements lie in [tss - reach, tss + reach): ``element_reach`` of half a window."""
        return round(self.half * self.element_reach)

    @property
    def nearest(self) -> int:
        """Distance in bp from the TSS within which its own elements have no base."""
        return round(self.half * self.element_nearest)

    @property
    def contact_scale(self) -> float:
        """Distance up to which the contact with the TSS is 1: an eighth of the window."""
        return self.window / 8

    @property
    def contact_resolution(self) -> int:
        """Bin size of the contact matrix: 200 bp, more for windows beyond 8 kb."""
        return max(200, self.window // 40)

    @property
    def chromosomes(self) -> dict[str, int]:
        """Genes on each chromosome, split by ``chromosome_weights``."""
        bounds = np.cumsum((0, *self.chromosome_weights)) / sum(self.chromosome_weights)
        counts = np.diff(np.rint(bounds * self.genes).astype(int))
        return {f"chr{i}": int(n) for i, n in enumerate(counts, start=1)}


def _reach_fits(s: Settings) -> bool:
    """Return whether an element of any length fits between promoter, nearest and reach."""
    inner = max(s.promoter // 2, s.nearest)
    return s.element_reach <= 1 and s.reach - inner >= s.element_length[1]


def _problems(s: Settings) -> list[tuple[str, str]]:
    """Return (setting, what to do) for each setting that cannot work."""
    room = s.promoter_copies + s.cell_line_copies * len(s.cell_lines)
    shares = (s.promoter_share, s.distal_share, s.noise_share)
    names_fit = all(re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]*", name) for name in s.cell_lines)
    checks = [
        (
            bool(s.cell_lines) and names_fit and len(set(s.cell_lines)) == len(s.cell_lines),
            "cell_lines",
            "give one or more different names of letters, digits, _ and -",
        ),
        (len(s.chromosome_weights) > 0, "chromosome_weights", "give at least one chromosome"),
        (s.genes >= 2 and min(s.chromosomes.values()) >= 2, "genes", "needs 2 a chromosome"),
        (s.window >= 1_000 and s.window % 2 == 0, "window", "must be even and at least 1000"),
        (
            s.promoter % 2 == 0 and room * COPY_PITCH <= s.promoter <= s.window // 4,
            "promoter",
            f"must be even, hold {room} motif copies ({room * COPY_PITCH} bp), "
            "and fill at most a quarter of the window",
        ),
        (s.spacing > 0, "spacing", "must be positive"),
        (s.element_nearest >= 0, "element_nearest", "must not be negative"),
        (
            _reach_fits(s),
            "element_reach",
            "must be at most 1 and leave room for an element beyond promoter and element_nearest",
        ),
        (0 <= s.close_pairs <= 0.4, "close_pairs", "must lie in 0..0.4"),
        (
            s.motif_copies[1] * COPY_PITCH <= s.element_length[0] <= s.element_length[1],
            "element_length",
            "the shortest element must hold the most motif copies",
        ),
        (0 < s.motif_copies[0] <= s.motif_copies[1], "motif_copies", "give (fewest, most)"),
        (0 < s.open_probability <= 1, "open_probability", "must lie in (0, 1]"),
        (s.signal_step >= 1, "signal_step", "must be at least 1"),
        (
            math.isclose(sum(shares), 1.0, abs_tol=1e-6) and min(shares) >= 0,
            "noise_share",
            "promoter_share + distal_share + noise_share must be 1, none of them negative",
        ),
    ]
    return [(key, message) for passed, key, message in checks if not passed]
