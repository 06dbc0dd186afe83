"""Predictions of genes without and with alleles in their windows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import NamedTuple

import numpy as np
import torch
from tqdm import tqdm

from seq2exp.checkpoints import TrainedModel
from seq2exp.variants.edits import Edit
from seq2exp.variants.pairs import Pair
from seq2exp.variants.windows import Bases, Windows, batch_of


class Scores(NamedTuple):
    """What the model says of pairs; (pairs,) each."""

    predicted_ref: np.ndarray
    """Without the allele, in the label's units."""
    predicted_alt: np.ndarray
    mask_ref: np.ndarray
    """Mean mask of the old bases in the window; NaN where there are none, or no mask."""
    mask_alt: np.ndarray
    """Of the new ones."""
    unmeasured_bp: np.ndarray
    """Bases of the window with the allele whose signals the store does not have."""


class _Task(NamedTuple):
    """A window to predict, and for which pairs, with the bases whose mask is wanted for each."""

    row: int
    bases: Bases
    pairs: list[int]
    spans: list[slice]
    edited: bool


def score_pairs(
    trained: TrainedModel,
    windows: Windows,
    edits: Mapping[int, Edit],
    pairs: Sequence[Pair],
    *,
    batch_size: int,
) -> Scores:
    """Predict each gene of the pairs once as it is, and once with every allele.

    Windows of any genes fill batches together.
    """
    predicted, mask = (np.full((len(pairs), 2), np.nan) for _ in range(2))
    unmeasured = np.zeros(len(pairs), dtype=np.int64)
    tasks = _tasks(windows, edits, pairs)
    total = len(pairs) + len({pair.row for pair in pairs})
    with tqdm(total=total, unit="window", desc="predicting", disable=None) as progress:
        while group := list(islice(tasks, batch_size)):
            with torch.no_grad():
                rows = [task.row for task in group]
                batch = batch_of(
                    [task.bases for task in group], rows, windows.store, trained.device
                )
                output = trained.model(batch)
            values = output.prediction.double().cpu().numpy()
            masks = None if output.mask is None else output.mask.double().cpu().numpy()
            for i, task in enumerate(group):
                predicted[task.pairs, int(task.edited)] = values[i]
                if task.edited:
                    unmeasured[task.pairs] = np.count_nonzero(~task.bases.measured)
                for pair, span in zip(task.pairs, task.spans, strict=True):
                    if masks is not None and span.start < span.stop:
                        mask[pair, int(task.edited)] = masks[i, span].mean()
            progress.update(len(group))
    return Scores(predicted[:, 0], predicted[:, 1], mask[:, 0], mask[:, 1], unmeasured)


def _tasks(windows: Windows, edits: Mapping[int, Edit], pairs: Sequence[Pair]) -> Iterator[_Task]:
    """Yield the windows to predict, gene by gene, the reference first."""
    of_row: dict[int, list[int]] = {}
    for number, pair in enumerate(pairs):
        of_row.setdefault(pair.row, []).append(number)
    length = 2 * windows.half
    for row, numbers in of_row.items():
        start = int(windows.tss[row]) - windows.half
        own = [edits[pairs[number].allele] for number in numbers]
        spans = [slice(max(e.start - start, 0), min(e.end - start, length)) for e in own]
        yield _Task(row, windows.reference(row), numbers, spans, edited=False)
        for number, edit in zip(numbers, own, strict=True):
            bases, span = windows.edited(row, edit)
            yield _Task(row, bases, [number], [span], edited=True)
