"""Windows read item by item from bigWigs and FASTA, the yardstick of benchmarks.windows.

Written for the comparison: the first as code of papers often does it, the second as well as it can
be done without a store.
"""

from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import pyBigWig
import pyfaidx
import torch
from torch import Tensor
from torch.utils.data import Dataset

TRACKS = ("h3k27ac", "dnase", "contacts")
BASES = np.frombuffer(b"ACGT", dtype=np.uint8)


class PerItem(Dataset[tuple[Tensor, Tensor]]):
    """One-hot (L, 4) and signals (L, 3), float32: files opened anew, lists, a dictionary."""

    onehot: ClassVar = {"A": [1, 0, 0, 0], "C": [0, 1, 0, 0], "G": [0, 0, 1, 0], "T": [0, 0, 0, 1]}

    def __init__(self, folder: Path, genes: pd.DataFrame, length: int) -> None:
        self.folder, self.length = folder, length
        self.places = list(zip(genes["chrom"], genes["tss"], strict=True))

    def __len__(self) -> int:
        return len(self.places)

    def place(self, item: int) -> tuple[str, int, int]:
        """Chromosome, start and end of a window, 0-based half-open."""
        chrom, tss = self.places[item]
        return chrom, tss - self.length // 2, tss + self.length // 2

    def __getitem__(self, item: int) -> tuple[Tensor, Tensor]:
        chrom, start, end = self.place(item)
        fasta = pyfaidx.Fasta(str(self.folder / "genome.fa"))
        bases = str(fasta[chrom][start:end]).upper()
        fasta.close()
        sequence = np.array([self.onehot.get(base, [0, 0, 0, 0]) for base in bases], np.float32)
        signals = []
        for name in TRACKS:
            track = pyBigWig.open(str(self.folder / f"{name}.bw"))
            signals.append(np.nan_to_num(np.array(track.values(chrom, start, end), np.float32)))
            track.close()
        return torch.from_numpy(sequence), torch.from_numpy(np.stack(signals, axis=-1))


class TunedPerItem(PerItem):
    """The same: files stay open, arrays, a lookup table."""

    table = np.zeros((256, 4), dtype=np.float32)
    table[BASES] = np.eye(4)
    files: tuple[Any, ...] = ()

    def __getitem__(self, item: int) -> tuple[Tensor, Tensor]:
        if not self.files:  # in the worker, not before it is forked
            tracks = [pyBigWig.open(str(self.folder / f"{name}.bw")) for name in TRACKS]
            self.files = (pyfaidx.Faidx(str(self.folder / "genome.fa")), *tracks)
        chrom, start, end = self.place(item)
        bases = self.files[0].fetch(chrom, start + 1, end).seq.encode()
        signals = np.empty((self.length, len(TRACKS)), dtype=np.float32)
        for column, track in enumerate(self.files[1:]):
            signals[:, column] = np.nan_to_num(track.values(chrom, start, end, numpy=True))
        sequence = self.table[np.frombuffer(bases, dtype=np.uint8)]
        return torch.from_numpy(sequence), torch.from_numpy(signals)
