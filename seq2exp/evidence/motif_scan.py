"""Which sequences have a motif: log-odds scores at every place of both strands, and their p-value.

Scores are whole hundredths of a bit, so that the chance of each score in a random sequence is a sum
over letters, column by column, without approximation. Our own, as the scanners that we found either
carry code under the GPL in a wheel that says MIT (lightmotif) or take sequences of one length only
(memelite). Axes: w width of a motif.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numba import njit

from seq2exp.base_codes import N_CODE
from seq2exp.evidence.motif_files import Motif

P_VALUE = 1e-4
"""Of a place in a random sequence of this GC; as in the MEME suite."""
PSEUDO = 0.01
"""Share of the background in each column of a motif: no letter is impossible."""
UNITS = 100
"""Of a score, in a bit."""
NEVER = -(10**8)
"""Score of N."""


class Text:
    """Sequences that are scanned for one motif after another.

    Parameters
    ----------
    sequences
        uint8 each: A, C, G, T as 0 to 3, all else is N.
    """

    def __init__(self, sequences: Sequence[np.ndarray]) -> None:
        self._ends = np.cumsum([len(sequence) for sequence in sequences], dtype=np.int64)
        joined = np.concatenate([*sequences, np.empty(0, np.uint8)])
        self._codes = np.minimum(joined, N_CODE).astype(np.uint8)
        counted = np.bincount(self._codes, minlength=N_CODE + 1)
        # A motif of a text without G and C, or of nothing else, would have infinite scores.
        self.gc = float((counted[1:3].sum() + 1) / (counted[:N_CODE].sum() + 2))
        """Share of G and C."""

    def having(self, motif: Motif) -> np.ndarray:
        """Say which sequences have a place on either strand with P_VALUE or less; bool (n,)."""
        scores = log_odds(motif, self.gc)
        threshold = score_threshold(scores, letter_frequencies(self.gc), P_VALUE)
        found = np.zeros(len(self._ends), dtype=np.bool_)
        for strand in (scores, scores[::-1, ::-1]):  # A pairs with T, C with G
            # What tells most comes first, so that most places are given up after a few letters.
            order = np.argsort(strand.min(axis=1) - strand.max(axis=1), kind="stable")
            ahead = np.cumsum(strand.max(axis=1)[order][::-1])[::-1]
            ahead = np.append(ahead[1:], 0)  # the most that the columns after one can add
            table = np.column_stack([strand, np.full(len(strand), NEVER)])[order]
            _find(self._codes, self._ends, table, order, ahead, threshold, found)
        return found


def letter_frequencies(gc: float) -> np.ndarray:
    """Frequencies (4,) of A, C, G and T in a random sequence."""
    return np.array([1 - gc, gc, gc, 1 - gc]) / 2


def log_odds(motif: Motif, gc: float) -> np.ndarray:
    """Score of each letter: log2 of its probability over that of the background; int64 (w, 4)."""
    background = letter_frequencies(gc)
    smoothed = (motif.probabilities + PSEUDO * background) / (1 + PSEUDO)
    return np.rint(UNITS * np.log2(smoothed / background)).astype(np.int64)


def score_threshold(scores: np.ndarray, frequencies: np.ndarray, p_value: float) -> int:
    """Find the lowest score that a random place reaches with a chance of at most ``p_value``.

    Parameters
    ----------
    scores : int64 (w, 4)
    frequencies : (4,)
        Of the letters of a random sequence, independent of each other.
    p_value
        Where even the best score is likelier, as that of a motif of few letters, nothing reaches
        the threshold.
    """
    lowest = scores.min(axis=1)
    chances = np.ones(1)  # of each score above the lowest
    for column, low in zip(scores, lowest, strict=True):
        wider = np.zeros(len(chances) + int(column.max() - low))
        for score, frequency in zip((column - low).tolist(), frequencies, strict=True):
            wider[score : score + len(chances)] += frequency * chances
        chances = wider
    reached = np.cumsum(chances[::-1])[::-1]  # descending, from 1 on
    # Rounding: a chance of exactly p_value passes.
    first = int(np.sum(reached > p_value * (1 + 1e-9)))
    return int(lowest.sum()) + first


@njit(cache=True, nogil=True)
def _find(
    codes: np.ndarray,
    ends: np.ndarray,
    table: np.ndarray,
    order: np.ndarray,
    ahead: np.ndarray,
    threshold: int,
    found: np.ndarray,
) -> None:
    """Mark sequences with a place that reaches the threshold; columns are looked up in ``order``."""
    width = len(order)
    start = 0
    for sequence in range(len(ends)):
        place = start
        while place + width <= ends[sequence] and not found[sequence]:
            score = 0
            for j in range(width):
                score += table[j, codes[place + order[j]]]
                if score + ahead[j] < threshold:
                    break
            else:
                found[sequence] = True
            place += 1
        start = ends[sequence]
