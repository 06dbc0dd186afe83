"""A sequence in random order that keeps its pairs of neighbours: a null for what sequence says.

Every base of a sequence but the last points at the one after it. A shuffled sequence is a walk that
uses each of these edges once, so that it has the same number of each dinucleotide, the same first and
the same last base. Such walks are all equally likely to be drawn (Altschul and Erickson, Mol Biol Evol
1985; the last edges out of each letter form a tree toward the last base, the other edges are free).
"""

from __future__ import annotations

from itertools import product

import numpy as np
from numba import njit

from seq2exp.base_codes import BASE_BITS, FLAG_BITS, N_CODE

LETTERS = 4


def shuffle_window(codes: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Shuffle each stretch of A, C, G and T of a window; N, bases off the chromosome and flags stay.

    Parameters
    ----------
    codes : uint8 (L,)
        See :mod:`seq2exp.base_codes`.
    rng
        Where the order is drawn from.

    Returns
    -------
    uint8 (L,)
    """
    bases = codes & BASE_BITS
    edges = np.flatnonzero(np.diff((bases < N_CODE).astype(np.int8), prepend=0, append=0))
    shuffled = bases.copy()
    for start, end in zip(edges[0::2], edges[1::2], strict=True):
        shuffled[start:end] = dinucleotide_shuffle(bases[start:end], rng)
    return shuffled | (codes & FLAG_BITS)


def dinucleotide_shuffle(letters: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draw one of the sequences with the same dinucleotides and the same ends.

    Parameters
    ----------
    letters : uint8 (n,)
        0 to 3.
    rng
        Where it is drawn from.

    Returns
    -------
    uint8 (n,)
    """
    if len(letters) < 3:
        return letters.copy()
    tree = _last_edges(letters, rng)
    parts = []
    for letter in range(LETTERS):
        following = letters[1:][letters[:-1] == letter]
        if letter in tree:
            last = np.flatnonzero(following == tree[letter])[0]
            following = np.append(rng.permutation(np.delete(following, last)), tree[letter])
        else:
            following = rng.permutation(following)
        parts.append(following.astype(np.uint8))
    starts = np.cumsum([0, *(len(part) for part in parts)])[:LETTERS]
    return _walk(np.concatenate(parts), starts, letters[0], len(letters))


def _last_edges(letters: np.ndarray, rng: np.random.Generator) -> dict[int, int]:
    """Draw for each letter where its last edge leads, so that all lead to the last letter.

    All trees are listed (27 at most), and drawn by the number of edges that each could be made of.
    """
    pairs = letters[:-1].astype(np.int64) * LETTERS + letters[1:]
    counts = np.bincount(pairs, minlength=LETTERS**2).reshape(LETTERS, LETTERS)
    root = int(letters[-1])
    inner = [letter for letter in range(LETTERS) if letter != root and counts[letter].any()]
    options = [[t for t in np.flatnonzero(counts[v]).tolist() if t != v] for v in inner]
    choices = [dict(zip(inner, targets, strict=True)) for targets in product(*options)]
    trees = [tree for tree in choices if _lead_to(root, tree)]
    # In logarithms: of a long window the products are large.
    logs = np.array([sum(np.log(counts[edge]) for edge in tree.items()) for tree in trees])
    weights = np.exp(logs - logs.max())
    return trees[rng.choice(len(trees), p=weights / weights.sum())]


def _lead_to(root: int, tree: dict[int, int]) -> bool:
    """Whether every letter of the tree leads to the root."""
    for letter in tree:
        for _ in tree:
            letter = tree.get(letter, letter)
        if letter != root:
            return False
    return True


@njit(cache=True)
def _walk(following: np.ndarray, starts: np.ndarray, first: int, length: int) -> np.ndarray:
    """Follow each letter's edges in their order, those of letter v from ``starts[v]`` on."""
    used = starts.copy()
    walk = np.empty(length, np.uint8)
    walk[0] = first
    for i in range(1, length):
        letter = walk[i - 1]
        walk[i] = following[used[letter]]
        used[letter] += 1
    return walk
