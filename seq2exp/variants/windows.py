"""The window of a gene in a chromosome that carries an edit.

The rule: the edit is made in the chromosome, and every base keeps the signals that were measured
on it. The window is then what lies around the TSS, which is the same base as before: with a
deletion bases come in at the end of the window on the deletion's side of the TSS, with an insertion
bases leave it there.

Bases that come in have their letters from the FASTA and their signals from the window store, as far
as it reaches (to the end of the run of overlapping windows). Beyond, H3K27ac and DNase are 0, no
base is flagged, and the contact with the TSS is that of the last bin that is stored.

Axes: n bases, S signals (H3K27ac, DNase, contact with the TSS of the gene).
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from typing import NamedTuple, Self

import numpy as np
import torch

from seq2exp.base_codes import BASE_BITS, BLACKLIST_BIT, FLAG_BITS, OUTSIDE_CODE
from seq2exp.errors import UserError
from seq2exp.packing import Batch, decode
from seq2exp.store import WindowStore
from seq2exp.store_bases import Run
from seq2exp.variants.edits import Edit
from seq2exp.variants.genome import Genome

LETTERS = "ACGTN"


class Bases(NamedTuple):
    """Bases with what is known of them."""

    codes: np.ndarray
    """uint8 (n,): see :mod:`seq2exp.base_codes`."""
    signals: np.ndarray
    """float32 (n, S)."""
    measured: np.ndarray
    """bool (n,): False where the store does not reach, so that the signals are made up."""

    @classmethod
    def joined(cls, parts: Sequence[Self]) -> Self:
        """Lay some one after another."""
        return cls(*(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))

    def pick(self, which: slice | np.ndarray) -> Self:
        """Take some of them."""
        return type(self)(*(array[which] for array in self))


class EditedWindow(NamedTuple):
    """A window, and where in it the new bases of the edit are."""

    bases: Bases
    allele: slice


class Windows:
    """Windows of a store's genes, as they are and with edits.

    Parameters
    ----------
    store
        Windows of the cell line.
    genome
        What it was built from.
    length
        Window length of the model, bp, at most the store's.
    """

    def __init__(self, store: WindowStore, genome: Genome, length: int) -> None:
        self.store, self.genome, self.half = store, genome, length // 2
        self.tss = store.genes["tss"].to_numpy(np.int64)
        """0-based, (genes,)."""
        names = {
            str(chrom): genome.require_name(str(chrom), f"the window store {store.path}")
            for chrom in store.genes["chrom"].unique()
        }
        self.chroms: list[str] = store.genes["chrom"].map(names).tolist()
        """As the FASTA names them, (genes,)."""
        self._runs = [Run(*run) for run in store.meta["runs"]]
        self._run_offsets = [run.offset for run in self._runs]

    def reference(self, row: int) -> Bases:
        """The window of a gene as the store has it.

        Raises
        ------
        UserError
            The FASTA has another base there.
        """
        start = int(self.tss[row]) - self.half
        bases = self.read(row, start, start + 2 * self.half)
        expected = self.genome.codes(self.chroms[row], start, start + 2 * self.half)
        wrong = np.flatnonzero((bases.codes & BASE_BITS) != expected)
        if len(wrong):
            stored, found = (int(codes[wrong[0]]) for codes in (bases.codes & BASE_BITS, expected))
            raise UserError(
                f"{self.genome.path}: has {_letter(found)} at "
                f"{self.chroms[row]}:{start + wrong[0] + 1}, "
                f"where the window store {self.store.path} has {_letter(stored)}; give the genome "
                "that the store was built from"
            )
        return bases

    def edited(self, row: int, edit: Edit) -> EditedWindow:
        """The window of a gene with an edit that leaves the base of its TSS."""
        assert not edit.deletes(int(self.tss[row]))
        tss, new = int(self.tss[row]), len(edit.codes)
        # On an axis whose base 0 is the first new one, the window is [first, last).
        first = tss - (edit.start if tss < edit.end else edit.end - new) - self.half
        last = first + 2 * self.half
        behind = edit.end - new
        parts = [
            self.read(row, edit.start + first, edit.start + min(last, 0)),
            self._allele(row, edit).pick(slice(max(first, 0), max(last, 0))),
            self.read(row, behind + max(first, new), behind + last),
        ]
        bases = Bases.joined(parts)
        assert len(bases.codes) == 2 * self.half
        begin = len(parts[0].codes)
        return EditedWindow(bases, slice(begin, begin + len(parts[1].codes)))

    def _allele(self, row: int, edit: Edit) -> Bases:
        """The new bases: each with what is known of the old one in its place, or of the last before."""
        old = self.read(row, edit.start - 1, edit.start + edit.replaced)
        bases = old.pick(np.minimum(np.arange(1, len(edit.codes) + 1), edit.replaced))
        bases.codes[:] = (bases.codes & FLAG_BITS) | edit.codes
        if edit.blank:  # a contact is of the place, which stays
            bases.codes[-edit.blank :] &= BASE_BITS | BLACKLIST_BIT
            bases.signals[-edit.blank :, :2] = 0.0
        return bases

    def read(self, row: int, start: int, end: int) -> Bases:
        """Bases [start, end) of the chromosome of a gene, 0-based, with their contact with its TSS.

        They may lie beyond its window, and beyond the chromosome.
        """
        end = max(start, end)
        store, chrom = self.store, self.chroms[row]
        run = self._runs[bisect_right(self._run_offsets, int(store.offsets[row])) - 1]
        # The part that the store has; empty where the run is elsewhere.
        first, last = (min(max(place, start), end) for place in (run.start, run.end))
        stored = slice(run.offset + first - run.start, run.offset + last - run.start)
        here = slice(first - start, last - start)
        before, behind = (self.genome.codes(chrom, *ends) for ends in ((start, first), (last, end)))
        codes = np.concatenate([before, store.codes[stored], behind])
        outside = (codes & BASE_BITS) == OUTSIDE_CODE
        signals = np.zeros((end - start, 3), dtype=np.float32)
        signals[here, :2] = store.signals[stored]
        signals[:, 2] = np.where(outside, 0.0, self._contacts(row, start, end))
        measured = outside
        measured[here] = True
        return Bases(codes, signals, measured)

    def _contacts(self, row: int, start: int, end: int) -> np.ndarray:
        """log10(1 + contact) of bases with the TSS; beyond the bins that are stored, of the last."""
        store = self.store
        first = int(self.tss[row]) - store.window_length // 2 - int(store.contact_phases[row])
        bins = (np.arange(start, end) - first) // store.contact_bin
        return store.contacts[row][np.clip(bins, 0, store.contacts.shape[1] - 1)]


def _letter(code: int) -> str:
    return "no base" if code == OUTSIDE_CODE else LETTERS[code]


def batch_of(
    windows: Sequence[Bases], rows: Sequence[int], store: WindowStore, device: torch.device
) -> Batch:
    """Lay windows of equal length out as a model reads them; gene features are the genes' own.

    Parameters
    ----------
    windows, rows
        (B,) each: bases, and whose window it is.
    store
        Where the genes are from.
    device
        Where to put them.
    """
    codes = torch.from_numpy(np.stack([window.codes for window in windows])).to(device)
    sequence, blacklist, peaks = decode(codes, has_peaks=store.has_peaks)
    signals = torch.from_numpy(np.stack([window.signals for window in windows]))
    return Batch(
        sequence=sequence,
        signals=signals.to(device),
        gene_features=torch.from_numpy(store.features[list(rows)]).to(device),
        blacklist=blacklist,
        label=torch.full((len(rows),), torch.nan, device=device),
        index=torch.tensor(list(rows), device=device),
        peaks=peaks,
    )
