"""Views of windows: a window of ten bases by hand, the store read elsewhere, the draws."""

import numpy as np
import pytest
import torch

from seq2exp.augment import Views, apply_views, crop, draw_views, reverse_complement
from seq2exp.packing import PackedBatch, unpack
from seq2exp.training_config import AugmentConfig
from seq2exp.windows import WindowDataset, read_window

from ..conftest import CONTACT_BIN, GENES, slow_window

LETTERS = "ACGTN-"  # - is a base off the chromosome
FLAGS = {".": 0, "x": 8, "p": 16, "b": 24}  # blacklisted, in a peak, both
BOTH = AugmentConfig(reverse_complement=True, jitter=40)


def packed_by_hand(letters, flags, contacts, phase):
    """A batch of one window; H3K27ac is 1, 2, 3, ... and DNase ten times that."""
    codes = [LETTERS.index(c) + FLAGS[f] for c, f in zip(letters, flags, strict=True)]
    h3k27ac = torch.arange(1.0, len(letters) + 1)
    return PackedBatch(
        codes=torch.tensor([codes], dtype=torch.uint8),
        signals=torch.stack([h3k27ac, 10 * h3k27ac], dim=-1)[None].half(),
        contacts=torch.tensor([contacts]),
        contact_phase=torch.tensor([phase]),
        gene_features=torch.tensor([[0.5]]),
        label=torch.tensor([1.5]),
        index=torch.tensor([4]),
    )


def shown(packed, contact_bin=4):
    """Letters, flags, H3K27ac, DNase and contacts of a batch of one, as models see them."""
    batch = unpack(packed, contact_bin=contact_bin, has_peaks=True)
    letters = "".join("NACGT"[i] for i in (batch.sequence[0] @ torch.arange(1.0, 5)).int())
    flags = "".join(".xpb"[i] for i in batch.blacklist[0].int() + 2 * batch.peaks[0].int())
    return letters, flags, *batch.signals[0].T.tolist()


def test_reverse_complement_of_ten_bases_by_hand():
    # Bins of 4 bp, the first of which begins 3 bp before the window: 1 base, then 4, 4 and 1.
    window = packed_by_hand("ACGTN-ACGN", "......x.xx", [5.0, 6.0, 7.0, 8.0], phase=3)
    ten = list(range(1, 11))
    assert shown(window) == (
        "ACGTNNACGN",
        "......x.xx",
        ten,
        [10 * v for v in ten],
        [5, 6, 6, 6, 6, 0, 7, 7, 7, 8],  # no contact off the chromosome
    )
    other = reverse_complement(window, contact_bin=4)
    assert shown(other) == (
        "NCGTNNACGT",
        "xx.x......",
        ten[::-1],
        [10 * v for v in ten[::-1]],
        [8, 7, 7, 7, 0, 6, 6, 6, 6, 5],
    )
    assert other.codes[0].tolist() == [4 + 8, 1 + 8, 2, 3 + 8, 5, 4, 0, 1, 2, 3]
    assert other.contact_phase.tolist() == [3]
    flagged = packed_by_hand("ACGTN-ACGN", "ppb...x.pp", [5.0, 6.0, 7.0, 8.0], phase=3)
    assert shown(flagged)[:2] == ("ACGTNNACGN", "ppb...x.pp")
    assert shown(reverse_complement(flagged, contact_bin=4))[:2] == ("NCGTNNACGT", "pp.x...bpp")
    assert (other.label.item(), other.index.item()) == (1.5, 4)


def test_phase_of_the_other_strand_is_what_the_bins_cover_on_the_right():
    window = packed_by_hand("AAAAAC", "......", [1.0, 2.0, 3.0], phase=1)
    other = reverse_complement(window, contact_bin=4)
    assert shown(window)[4] == [1, 1, 1, 2, 2, 2]
    assert shown(other)[4] == [2, 2, 2, 1, 1, 1]
    assert other.contact_phase.tolist() == [3 * 4 - 6 - 1]


def test_jitter_of_ten_bases_by_hand():
    # Six bases out of ten: jitter 2, one base to the left, so bases 1 to 6.
    window = packed_by_hand("ACGTN-ACGN", ".pb...x.xx", [5.0, 6.0, 7.0, 8.0], phase=3)
    views = Views(np.array([-1]), np.array([False]))
    seen = apply_views(window, views, AugmentConfig(jitter=2), contact_bin=4)
    six = [2, 3, 4, 5, 6, 7]
    assert shown(seen) == ("CGTNNA", "pb...x", six, [10 * v for v in six], [6, 6, 6, 6, 0, 7])
    flipped = apply_views(
        window, views._replace(flipped=np.array([True])), AugmentConfig(jitter=2), contact_bin=4
    )
    assert shown(flipped)[::4] == ("TNNACG", [7, 0, 6, 6, 6, 6])
    assert shown(flipped)[1] == "x...bp"


@pytest.mark.parametrize("row", range(len(GENES)))
def test_shifted_window_is_the_window_read_elsewhere(toy, toy_store, row):
    _, chrom, tss, _ = GENES[row]
    wide = read_window(toy_store, row, 1_080)
    for shift in (-40, -7, 0, 40):
        views = Views(np.array([shift]), np.array([False]))
        seen = apply_views(wide, views, BOTH, contact_bin=CONTACT_BIN)
        batch = unpack(seen, contact_bin=CONTACT_BIN)
        onehot, signals, black = slow_window(toy, chrom, tss, 1_000, shift)
        np.testing.assert_array_equal(batch.sequence[0], onehot)
        np.testing.assert_array_equal(batch.signals[0], signals.astype(np.float32))
        np.testing.assert_array_equal(batch.blacklist[0], black)


def test_other_strand_is_all_of_the_window_backwards(toy_store_dir):
    dataset = WindowDataset(toy_store_dir, np.arange(len(GENES)), "CAGE", 1_000)
    plain = dataset.read(range(len(GENES)))
    other = reverse_complement(plain, contact_bin=CONTACT_BIN)
    again = reverse_complement(other, contact_bin=CONTACT_BIN)
    assert all(torch.equal(a, b) for a, b in zip(plain, again, strict=True))
    here, there = (unpack(p, contact_bin=CONTACT_BIN) for p in (plain, other))
    assert torch.equal(there.sequence, here.sequence.flip(1, 2))  # A C G T backwards is T G C A
    assert torch.equal(there.signals, here.signals.flip(1))
    assert torch.equal(there.blacklist, here.blacklist.flip(1))
    assert here.signals[..., 2].any()
    assert here.blacklist.any()


def test_each_window_has_its_own_view(toy_store_dir):
    dataset = WindowDataset(toy_store_dir, np.arange(3), "CAGE", 1_080)
    wide = dataset.read(range(3))
    views = Views(np.array([-40, 3, 40]), np.array([True, False, True]))
    seen = apply_views(wide, views, BOTH, contact_bin=CONTACT_BIN)
    for i, start in enumerate((0, 43, 80)):
        alone = crop(dataset.read([i]), start, 1_000)
        if views.flipped[i]:
            alone = reverse_complement(alone, contact_bin=CONTACT_BIN)
        for one, all_three in zip(alone, seen, strict=True):
            assert torch.equal(one[0], all_three[i])


def test_draws_are_uniform_and_a_function_of_seed_and_step():
    drawn = [draw_views(8, BOTH, seed=2, step=step) for step in range(5_000)]
    shift = np.concatenate([views.shift for views in drawn])
    flipped = np.concatenate([views.flipped for views in drawn])
    # 40,000 fair coins: s.d. 0.0025. Shifts: mean 0, variance ((2 x 40 + 1)^2 - 1) / 12 = 546.7.
    assert flipped.mean() == pytest.approx(0.5, abs=0.0125)
    assert (shift.min(), shift.max()) == (-40, 40)
    assert shift.mean() == pytest.approx(0, abs=0.6)
    assert shift.var() == pytest.approx(546.7, rel=0.03)
    again = draw_views(8, BOTH, seed=2, step=17)
    assert all((a == b).all() for a, b in zip(again, drawn[17], strict=True))
    assert (draw_views(8, BOTH, seed=3, step=17).shift != again.shift).any()


def test_each_setting_leaves_the_draws_of_the_other_alone():
    both = draw_views(500, BOTH, seed=2, step=3)
    flips = draw_views(500, AugmentConfig(reverse_complement=True), seed=2, step=3)
    shifts = draw_views(500, AugmentConfig(jitter=40), seed=2, step=3)
    assert (flips.flipped == both.flipped).all()
    assert (shifts.shift == both.shift).all()
    assert not flips.shift.any()
    assert not shifts.flipped.any()
