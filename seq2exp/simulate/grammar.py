"""Motifs and sequence: what an element is made of.

Bases are coded A, C, G, T, N = 0, 1, 2, 3, 4, so that 3 - code is the complement. All motifs are
their own reverse complement: they read the same in a window of either strand.
"""

from __future__ import annotations

import numpy as np

from seq2exp.simulate.settings import COPY_PITCH, MOTIF_LENGTH

LETTERS = np.frombuffer(b"ACGTN", dtype=np.uint8)
N = 4
ACTIVE_MOTIF = "CGACGCGTCG"
DECOY_MOTIF = "GCAGGCCTGC"  # the bases of the active motif in another order: equal composition
PROMOTER_MOTIF = ACTIVE_MOTIF  # strong promoters and enhancers are read by the same factors
CPG_KEPT = 0.2  # share of CpG that vertebrate genomes keep; the others deaminated to TpG or CpA
BASE_FREQUENCIES = (0.29, 0.21, 0.21, 0.29)
STOP_CODONS = ("TAA", "TAG", "TGA")


def encode(sequence: str) -> np.ndarray:
    """Return the base codes (uint8) of an upper-case sequence."""
    return np.array(["ACGTN".index(base) for base in sequence], dtype=np.uint8)


def decode(codes: np.ndarray) -> str:
    """Return the sequence of base codes as an upper-case string."""
    return LETTERS[codes].tobytes().decode()


def cell_line_motifs(count: int) -> list[str]:
    """Return one promoter motif a cell line: palindromes at least 6 mismatches from all others."""
    chosen = [encode(m) for m in (ACTIVE_MOTIF, DECOY_MOTIF)]
    for number in np.random.default_rng(0).permutation(4**5):
        half = (number // 4 ** np.arange(5) % 4).astype(np.uint8)
        motif = np.concatenate([half, 3 - half[::-1]])
        without_cpg = "CG" not in decode(motif)
        if (
            without_cpg
            and len(set(half)) >= 3
            and all((motif != other).sum() >= 6 for other in chosen)
        ):
            chosen.append(motif)
    return [decode(motif) for motif in chosen[2 : 2 + count]]


def background(length: int, rng: np.random.Generator) -> np.ndarray:
    """Return random base codes (uint8): independent, 42% G and C, then CpG-depleted.

    As in vertebrate genomes, most CpG have become TpG or CpA, so that a motif with CpG, like the
    active one (and like those of CREB, ETS or NRF1), stands out.
    """
    thresholds = np.cumsum(BASE_FREQUENCIES)[:3]
    codes = np.searchsorted(thresholds, rng.random(length, dtype=np.float32)).astype(np.uint8)
    deplete_cpg(codes, rng)
    return codes


def deplete_cpg(codes: np.ndarray, rng: np.random.Generator) -> None:
    """Deaminate, in place, all but `CPG_KEPT` of the CpG: half to TpG, half to CpA."""
    c = np.flatnonzero((codes[:-1] == 1) & (codes[1:] == 2))
    c = c[rng.random(c.size) >= CPG_KEPT]
    on_plus = rng.random(c.size) < 0.5
    codes[c[on_plus]] = 3  # C to T
    codes[c[~on_plus] + 1] = 0  # C to T on the other strand: G to A


def coding_sequence(codons: int, rng: np.random.Generator) -> np.ndarray:
    """Return base codes of ATG, ``codons - 1`` sense codons without CpG, a stop."""
    stops = [encode(stop) @ (16, 4, 1) for stop in STOP_CODONS]
    cpg = [n for n in range(64) if n // 4 == 6 or n % 16 == 6]  # CGN and NCG
    sense = np.setdiff1d(np.arange(64), [*stops, *cpg])
    start, stop = encode("ATG"), encode(STOP_CODONS[rng.integers(3)])
    while True:
        numbers = rng.choice(sense, size=codons - 1)
        middle = np.stack([numbers // 16, numbers // 4 % 4, numbers % 4], axis=1).ravel()
        codes = np.concatenate([start, middle.astype(np.uint8), stop])
        if not motif_starts(codes, ACTIVE_MOTIF).size:
            return codes


def copy_offsets(length: int, copies: int, rng: np.random.Generator) -> np.ndarray:
    """Return sorted starts of ``copies`` motif copies in ``length`` bp, 2 bp or more apart."""
    slack = length - copies * COPY_PITCH
    assert slack >= 0, "the settings guarantee room for the copies"
    return np.sort(rng.integers(0, slack + 1, size=copies)) + np.arange(copies) * COPY_PITCH


def motif_starts(codes: np.ndarray, motif: str) -> np.ndarray:
    """Return the starts of all exact occurrences of ``motif``."""
    hit = np.ones(max(len(codes) - MOTIF_LENGTH + 1, 0), dtype=bool)
    for i, base in enumerate(encode(motif)):
        hit &= codes[i : i + len(hit)] == base
    return np.flatnonzero(hit)


def remove_chance_hits(codes: np.ndarray, motif: str, protected: np.ndarray) -> None:
    """Break, in place, every occurrence of ``motif`` that has an unprotected base.

    Parameters
    ----------
    codes : (length,) base codes.
    protected : (length,) bool, the bases to leave alone: planted copies, coding sequence.
    """
    found = True
    while found:  # a changed base may, rarely, complete another occurrence
        found = False
        for start in motif_starts(codes, motif):
            free = np.flatnonzero(~protected[start : start + MOTIF_LENGTH]) + start
            if free.size:
                codes[free[0]] = (codes[free[0]] + 1) % N
                found = True
