"""Shuffles that keep dinucleotides: counts, ends, and every sequence equally likely."""

from collections import Counter
from itertools import product

import numpy as np
import pytest

from seq2exp.shuffling import dinucleotide_shuffle, shuffle_window


def pairs(letters):
    return Counter(zip(letters[:-1].tolist(), letters[1:].tolist(), strict=True))


def letters_of(text):
    return np.array(["ACGT".index(letter) for letter in text], dtype=np.uint8)


@pytest.mark.parametrize("length", [1, 2, 3, 10, 1_000, 50_000])
def test_dinucleotides_and_ends_are_kept(length):
    rng = np.random.default_rng(length)
    letters = rng.choice(4, length, p=[0.4, 0.1, 0.2, 0.3]).astype(np.uint8)
    shuffled = dinucleotide_shuffle(letters, rng)
    assert shuffled.dtype == np.uint8
    assert pairs(shuffled) == pairs(letters)
    assert (shuffled[0], shuffled[-1]) == (letters[0], letters[-1])
    if length >= 1_000:  # as unlike the original as any sequence of this composition
        alike = (np.bincount(letters) / length) ** 2
        assert (shuffled == letters).mean() == pytest.approx(alike.sum(), abs=0.06)


@pytest.mark.parametrize("text", ["ACGACTACA", "AACACGAA", "ATATCATG", "CAAAAAT"])
def test_every_sequence_of_these_pairs_is_equally_likely(text):
    letters = letters_of(text)
    inner = product(sorted(set(text)), repeat=len(text) - 2)
    possible = {
        sequence
        for middle in inner
        if pairs(letters_of(sequence := text[0] + "".join(middle) + text[-1])) == pairs(letters)
    }
    rng, draws = np.random.default_rng(1), 200 * len(possible)
    found = Counter(
        "".join("ACGT"[letter] for letter in dinucleotide_shuffle(letters, rng))
        for _ in range(draws)
    )
    assert set(found) == possible
    chi2 = sum((found[sequence] - 200) ** 2 / 200 for sequence in possible)
    # Mean: one less than the number of sequences; five standard deviations.
    freedom = len(possible) - 1
    assert chi2 <= freedom + 5 * np.sqrt(2 * freedom)


def test_a_window_keeps_its_n_its_ends_and_its_flags():
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 4, 400).astype(np.uint8)
    codes[:50] = 5  # off the chromosome
    codes[200:210] = 4  # N
    codes[300:320] |= 8  # blacklisted
    codes[100:130] |= 16  # in a peak
    shuffled = shuffle_window(codes, rng)
    np.testing.assert_array_equal(shuffled & 24, codes & 24)
    np.testing.assert_array_equal((shuffled & 7)[:50], 5)
    np.testing.assert_array_equal((shuffled & 7)[200:210], 4)
    for part in (slice(50, 200), slice(210, 400)):
        assert pairs(shuffled[part] & 7) == pairs(codes[part] & 7)
    assert (shuffled[50:200] != codes[50:200]).mean() > 0.5
