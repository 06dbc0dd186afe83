"""Top bases and shifted masks, against slow ones and by hand."""

import numpy as np
import pytest
import torch

from seq2exp.bottleneck import promoter_slice
from seq2exp.fixed_masks import free_bases, shift_mask, top_bases


def test_free_bases_are_neither_blacklisted_nor_promoter():
    black = torch.tensor([[True, False, False, True, False, False]])
    assert free_bases(black, slice(2, 4)).tolist() == [[False, True, False, False, True, True]]
    assert black.tolist() == [[True, False, False, True, False, False]]


def test_top_bases_are_counted_and_of_equals_the_first():
    scores = torch.tensor([[0.1, 0.5, 0.9, 0.5, 0.5, 0.2, 0.0, 1.0, 0.3, 0.4]])
    assert top_bases(scores, 0.4).tolist() == [[0, 1, 1, 1, 0, 0, 0, 1, 0, 0]]
    assert top_bases(scores, 0.04).sum() == 0
    assert top_bases(scores, 1.0).sum() == 10


def test_a_shifted_mask_is_the_same_elsewhere():
    generator = torch.Generator().manual_seed(0)
    mask = (torch.rand(3, 400, generator=generator) < 0.2).float()
    free = torch.rand(3, 400, generator=generator) < 0.9
    free[:, promoter_slice(400, 40)] = False
    shifted = shift_mask(mask, free, [7, 8, 7])
    assert torch.equal(shifted.sum(1), mask.sum(1))
    assert torch.equal(shifted[~free], mask[~free])
    shifts = []
    for row in range(3):
        before, after = mask[row][free[row]].numpy(), shifted[row][free[row]].numpy()
        same = [s for s in range(len(before)) if np.array_equal(np.roll(before, s), after)]
        assert len(same) == 1
        shifts.append(same[0] / len(before))
    assert min(shifts) > 0.24
    assert max(shifts) < 0.76
    assert shifts[0] == pytest.approx(shifts[2], abs=0.01)  # the same gene
    assert abs(shifts[0] - shifts[1]) > 0.01
    alone = shift_mask(mask[1:2], free[1:2], [8])
    assert torch.equal(alone[0], shifted[1])


def test_shifts_are_uniform_from_a_quarter_to_three_quarters():
    mask = torch.zeros(2_000, 101)
    mask[:, 0] = 1
    places = shift_mask(mask, torch.ones_like(mask, dtype=torch.bool), range(2_000)).argmax(1)
    assert (places.min(), places.max()) == (25, 75)
    assert places.double().mean().item() == pytest.approx(50, abs=4 * 14.6 / 2_000**0.5)
    assert places.double().std().item() == pytest.approx(14.6, rel=0.05)
