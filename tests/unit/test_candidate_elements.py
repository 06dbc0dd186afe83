"""Candidate elements: windows of a few bases by hand, and against a slow reading of random ones."""

import math

import numpy as np
import pytest
import torch

from seq2exp.model_config import SIGNALS
from seq2exp.models.candidate_elements import (
    candidate_elements,
    core_activity,
    cut_sequences,
    is_highest,
    run_middles,
)
from seq2exp.packing import Batch

HOW = {"signals": SIGNALS, "most": 3, "core_length": 2, "min_distance": 2, "promoter": slice(9, 11)}


def bits(text):
    return torch.tensor([[letter == "1" for letter in row] for row in text.split()])


def made_batch(h3k27ac, dnase, contact, peaks=None, blacklist=None):
    signals = torch.stack([torch.as_tensor(s).float() for s in (h3k27ac, dnase, contact)], dim=-1)
    windows, length = signals.shape[:2]
    return Batch(
        sequence=torch.zeros(windows, length, 4),
        signals=signals,
        gene_features=torch.zeros(windows, 1),
        blacklist=bits(blacklist) if blacklist else torch.zeros(windows, length, dtype=torch.bool),
        label=torch.zeros(windows),
        index=torch.arange(windows),
        peaks=bits(peaks) if peaks else None,
    )


@pytest.mark.parametrize(
    ("flags", "middles"),
    [
        ("0111100", "0001000"),  # [1, 5): 3
        ("0111000", "0010000"),  # [1, 4): 2
        ("1011011", "1001001"),  # [0, 1): 0; [2, 4): 3; [5, 7): 6
        ("1100001", "0100001"),
        ("1111111", "0001000"),
        ("0000000", "0000000"),
    ],
)
def test_middles_of_runs(flags, middles):
    assert torch.equal(run_middles(bits(flags)), bits(middles))


def test_highest_within_a_reach_and_first_of_equal_ones():
    values = torch.tensor([[1.0, 3, 3, 2, 5, 4, 4, 4, 0, 0, 6]])
    found = {
        reach: is_highest(values, reach)[0].nonzero().flatten().tolist() for reach in range(1, 7)
    }
    assert found == {
        1: list(range(11)),
        2: [1, 4, 10],
        3: [1, 4, 10],
        4: [4, 10],
        5: [4, 10],
        6: [4, 10],
    }
    assert is_highest(values, 7)[0].nonzero().flatten().tolist() == [10]


def test_activity_is_the_geometric_mean_over_the_core():
    signals = torch.tensor([[[4.0, 1.0], [0.0, 3.0], [8.0, 8.0], [0.0, 0.0]]])
    # Core of 2: bases p - 1 and p; what is before the window counts as 0.
    means = [(2, 0.5), (2, 2), (4, 5.5), (4, 4)]
    expected = [math.sqrt(a * b) for a, b in means]
    assert core_activity(signals, 2)[0].tolist() == pytest.approx(expected)
    # Core of 4: p - 2 to p + 1.
    means = [(1, 1), (3, 3), (3, 3), (2, 2.75)]
    expected = [math.sqrt(a * b) for a, b in means]
    assert core_activity(signals, 4)[0].tolist() == pytest.approx(expected)


# Twenty bases, TSS at 10, promoter 9 and 10; contacts are 9 everywhere but 99 from base 14.
LENGTH = 20
CONTACT = torch.tensor([[1.0] * 14 + [2.0] * 6])
PEAKS = "01100111000011001111"
#        runs: [1, 3) middle 2, [5, 8) 6, [12, 14) 13, [16, 20) 18


def test_elements_of_peaks_by_hand():
    h3k27ac, dnase = torch.zeros(1, LENGTH), torch.ones(1, LENGTH)
    h3k27ac[0, 1:3] = torch.tensor([16.0, 16.0])  # middle 2: core 1 and 2, mean 16, activity 4
    h3k27ac[0, 5:7] = torch.tensor([0.0, 2.0])  # middle 6: mean 1, activity 1
    h3k27ac[0, 17:19] = torch.tensor([0.5, 0.0])  # middle 18: mean 0.25, activity 0.5
    batch = made_batch(h3k27ac, dnase, CONTACT, PEAKS)
    found = candidate_elements(batch, peaks=True, **HOW)
    # Scores: 0.5 x 99, 4 x 9, 1 x 9; the fourth, 13, has activity 0.
    assert found.centre.tolist() == [[18, 2, 6]]
    assert found.present.tolist() == [[True] * 3]
    assert found.distance.tolist() == [[8, 8, 4]]
    assert found.contact.tolist() == [[2, 1, 1]]
    assert found.activity.tolist() == [[0.5, 4, 1]]
    many = candidate_elements(batch, peaks=True, **{**HOW, "most": 30})
    assert many.centre[0, :5].tolist() == [18, 2, 6, 13, 0]
    assert many.present[0].tolist() == [True] * 4 + [False] * 26
    assert many.distance.shape == (1, 30)
    assert not many.distance[0, 4:].any()
    assert not many.contact[0, 4:].any()
    assert not many.activity[0, 4:].any()
    far = candidate_elements(batch, peaks=True, **{**HOW, "min_distance": 8})
    assert far.centre[far.present].tolist() == [18, 2]


def test_what_is_left_out_does_not_rank():
    ones = torch.ones(1, LENGTH)
    h3k27ac, dnase = ones.clone(), ones.clone()
    h3k27ac[0, 5:7], dnase[0, 1:3] = 9.0, 4.0  # at 6: 3 together; at 2: 2 together
    batch = made_batch(h3k27ac, dnase, CONTACT, PEAKS)  # middles 2, 6, 13, 18; contact 99 at 18

    def ranked(*signals):
        found = candidate_elements(batch, peaks=True, **{**HOW, "signals": signals, "most": 4})
        return found.centre[0].tolist(), found.activity[0].tolist(), found.contact[0].tolist()

    assert ranked(*SIGNALS) == ([18, 6, 2, 13], [1, 3, 2, 1], [2, 1, 1, 1])
    # Of equal ones, the nearest first.
    assert ranked("h3k27ac", "dnase") == ([6, 2, 13, 18], [3, 2, 1, 1], [0] * 4)
    assert ranked("h3k27ac") == ([6, 13, 2, 18], [9, 1, 1, 1], [0] * 4)
    assert ranked("dnase", "hic") == ([18, 2, 13, 6], [1, 4, 1, 1], [2, 1, 1, 1])
    assert ranked("hic") == ([18, 13, 6, 2], [0] * 4, [2, 1, 1, 1])
    assert ranked() == ([13, 6, 2, 18], [0] * 4, [0] * 4)


def test_neither_promoter_nor_blacklist_holds_an_element():
    ones = torch.ones(1, LENGTH)
    near = {**HOW, "min_distance": 0}
    batch = made_batch(ones, ones, CONTACT, "00000000011100000000")  # [9, 12): middle 10
    assert not candidate_elements(batch, peaks=True, **near).present.any()
    batch = made_batch(ones, ones, CONTACT, "00000000111110000000")  # [8, 13) as well
    assert not candidate_elements(batch, peaks=True, **near).present.any()
    # The blacklist cuts [12, 20) down to [15, 20): its middle moves from 16 to 17.
    black = "00000000000011100000"
    batch = made_batch(ones, ones, CONTACT, "00000000000011111111", black)
    found = candidate_elements(batch, peaks=True, **HOW)
    assert found.centre[found.present].tolist() == [17]
    # Signals there are no activity either: the core 14 and 15 of base 15 is half blacklisted.
    found = candidate_elements(batch, peaks=False, **HOW)
    assert 13 not in found.centre[found.present].tolist()
    assert 14 not in found.centre[found.present].tolist()


def test_elements_of_signal_by_hand():
    h3k27ac, dnase = torch.zeros(2, LENGTH), torch.ones(2, LENGTH)
    # Window 0: summits at bases 3 (of cores 3 = {2, 3} and 4 = {3, 4}: the first), and 16.
    h3k27ac[0, 3], h3k27ac[0, 16], h3k27ac[0, 10] = 8.0, 2.0, 50.0
    # Window 1: nothing at all.
    batch = made_batch(h3k27ac, dnase, CONTACT.expand(2, -1))
    found = candidate_elements(batch, peaks=False, **HOW)
    assert found.present.tolist() == [[True, True, False], [False] * 3]
    assert found.centre.tolist() == [[16, 3, 0], [0, 0, 0]]
    assert found.activity[0].tolist() == [1, 2, 0]
    assert found.distance[0].tolist() == [6, 7, 0]


def slow_elements(batch, row, *, peaks, signals, most, core_length, min_distance, promoter):
    """Centres of one window, one base after another."""
    assert signals == SIGNALS
    signals = batch.signals[row].double().numpy().copy()
    black = batch.blacklist[row].numpy()
    signals[black, :2] = 0
    length = len(signals)
    activity = np.zeros(length)
    for p in range(length):
        core = range(p - core_length // 2, p - core_length // 2 + core_length)
        inside = [i for i in core if 0 <= i < length]
        means = signals[inside, :2].sum(axis=0) / core_length
        activity[p] = math.sqrt(means[0] * means[1])
    if peaks:
        flags = batch.peaks[row].numpy() & ~black
        centres, start = [], None
        for p in range(length + 1):
            inside = p < length and flags[p]
            if inside and start is None:
                start = p
            if not inside and start is not None:
                centres.append((start + p) // 2)
                start = None
    else:
        centres = []
        for p in range(length):
            around = range(max(p - core_length + 1, 0), min(p + core_length, length))
            earlier = [activity[q] for q in around if q < p]
            later = [activity[q] for q in around if q > p]
            if activity[p] > max([0, *earlier]) and activity[p] >= max([0, *later]):
                centres.append(p)
    centres = [
        p
        for p in centres
        if abs(p - length // 2) >= min_distance and not promoter.start <= p < promoter.stop
    ]
    score = activity * (10.0 ** signals[:, 2] - 1)
    return sorted(centres, key=lambda p: (-score[p], abs(p - length // 2), p))[:most], activity


@pytest.mark.parametrize("peaks", [True, False])
@pytest.mark.parametrize("core_length", [2, 8, 14])
def test_as_a_slow_reading_of_random_windows(peaks, core_length):
    rng = np.random.default_rng(core_length)
    length, windows = 200, 4
    signal = rng.integers(0, 4, (2, windows, length)) * (rng.random((2, windows, length)) < 0.4)
    contact = np.repeat(rng.integers(0, 3, (windows, 20)), 10, axis=1) / 2
    batch = made_batch(*signal, contact)._replace(
        peaks=torch.from_numpy(np.repeat(rng.random((windows, 40)) < 0.4, 5, axis=1)),
        blacklist=torch.from_numpy(np.repeat(rng.random((windows, 20)) < 0.1, 10, axis=1)),
    )
    how = {
        "signals": SIGNALS,
        "most": 6,
        "core_length": core_length,
        "min_distance": 12,
        "promoter": slice(95, 105),
    }
    found = candidate_elements(batch, peaks=peaks, **how)
    for row in range(windows):
        centres, activity = slow_elements(batch, row, peaks=peaks, **how)
        assert len(centres) > 2
        present = found.present[row].tolist()
        assert present == [True] * len(centres) + [False] * (6 - len(centres))
        assert found.centre[row, : len(centres)].tolist() == centres
        np.testing.assert_allclose(
            found.activity[row, : len(centres)], activity[centres], rtol=1e-6
        )
        assert (np.diff(sorted(centres)) >= (1 if peaks else core_length)).all()


def test_sequences_are_cut_around_centres_with_zeros_beyond_the_window():
    sequence = torch.arange(1.0, 11).reshape(1, 10, 1).expand(2, 10, 4)
    cut = cut_sequences(sequence, torch.tensor([[0, 5, 9], [1, 2, 10]]), 4)
    assert cut.shape == (2, 3, 4, 4)
    assert cut[..., 0].tolist() == [
        [[0, 0, 1, 2], [4, 5, 6, 7], [8, 9, 10, 0]],
        [[0, 1, 2, 3], [1, 2, 3, 4], [9, 10, 0, 0]],
    ]
