"""Average precision and AUROC of float16 scores, exact, in one pass and constant memory.

A float16 in [0, inf) takes one of 31,745 values, and its bit pattern orders them. Counting
positives and negatives at each value keeps all that a ranking depends on, however many bases
there are.
"""

from __future__ import annotations

import numpy as np

INFINITY = int(np.array(np.inf, dtype=np.float16).view(np.uint16))


class ScoreCounts:
    """How often each score occurs among positives and negatives."""

    def __init__(self) -> None:
        self._counts = np.zeros((2, INFINITY + 1), dtype=np.int64)  # negatives, positives

    def add(self, scores: np.ndarray, positive: np.ndarray) -> None:
        """Count scores, float16 (n,), none of them negative, and their truth, bool (n,)."""
        assert scores.dtype == np.float16
        bits = (np.ascontiguousarray(scores) + np.float16(0)).view(np.uint16)  # -0 becomes 0
        assert bits.max(initial=0) <= INFINITY, "negative score or NaN"
        for truth in (0, 1):
            chosen = bits[positive == bool(truth)]
            self._counts[truth] += np.bincount(chosen, minlength=INFINITY + 1)

    def at_least(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Every value in ascending order, with the negatives and positives that score as much."""
        values = np.arange(INFINITY + 1, dtype=np.uint16).view(np.float16)
        negatives, positives = self._counts[:, ::-1].cumsum(axis=1)[:, ::-1]
        return values, negatives, positives

    @property
    def total(self) -> int:
        """Number of scores."""
        return int(self._counts.sum())

    @property
    def base_rate(self) -> float | None:
        """Share of positives: the average precision of a score that says nothing."""
        return float(self._counts[1].sum() / self.total) if self.total else None

    def average_precision(self) -> float | None:
        """Sum over thresholds of (recall gained) x precision, as scikit-learn has it.

        None without a positive.
        """
        negatives, positives = self._counts[:, ::-1]
        if not positives.sum():
            return None
        taken = positives.cumsum() + negatives.cumsum()
        precision = positives.cumsum() / np.maximum(taken, 1)
        return float((positives / positives.sum()) @ precision)

    def auroc(self) -> float | None:
        """Chance that a positive outranks a negative, ties counted half.

        None without a positive or without a negative.
        """
        negatives, positives = self._counts.astype(np.float64)
        pairs = positives.sum() * negatives.sum()
        if not pairs:
            return None
        below = negatives.cumsum() - negatives
        return float(positives @ (below + negatives / 2) / pairs)
