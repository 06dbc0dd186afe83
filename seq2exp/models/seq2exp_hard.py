"""Seq2Exp-hard: bases are kept or removed; one backbone proposes and reads (sections 3 and 4).

Axes: B batch, L window length (bp), P promoter length (bp), n kept bases of one window, d model
width.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from seq2exp.bottleneck import BetaParameters, draw_mask, promoter_slice
from seq2exp.model_config import Seq2ExpHardConfig
from seq2exp.models.interface import ExpressionHead, InputShape, zero_biases
from seq2exp.models.mask_generator import MaskGenerator
from seq2exp.models.masked import new_backbone
from seq2exp.models.seq2exp import Seq2Exp
from seq2exp.packing import Batch


class Seq2ExpHard(Seq2Exp):
    """The generator reads sequence, signals and position; the predictor is the same backbone.

    What the mask removes is not there for the predictor: the other bases move together, and each
    window is read alone, at its own length. The released code pads a batch of windows with zeros on
    the right to the longest of them (``padding: longest``). Leftward scans run through the padding
    before they meet the window, so that its prediction depends on the windows beside it: by 2e-6 in
    the golden file, but gradients of step sizes by up to 8%, and a batch divided over processes or
    passes would be learned from differently.
    """

    hard_mask = True
    config: Seq2ExpHardConfig

    def __init__(self, config: Seq2ExpHardConfig, shape: InputShape) -> None:
        super().__init__(config, shape)
        self.position_embedding = nn.Parameter(torch.zeros(1, shape.window_length, config.d_model))
        self.generator = MaskGenerator(config, new_backbone(config, config.layers))
        self.head = ExpressionHead(config.d_model, shape)
        zero_biases(self)

    @property
    def predictor(self) -> nn.Module:  # type: ignore[override]
        """The backbone, which the generator has as well: their weights are shared."""
        assert self.generator.backbone is not None
        return self.generator.backbone

    def embed(self, x_sequence: Tensor, x_signals: Tensor) -> Tensor:
        length = x_sequence.shape[1]
        place = promoter_slice(self.shape.window_length, length)  # windows may be cropped
        return x_sequence + x_signals + self.position_embedding[:, place]

    def reads_length(self, length: int) -> bool:
        return length <= self.shape.window_length

    def generator_input(self, x_sequence: Tensor, x: Tensor) -> Tensor:
        return x

    def draw(self, parameters: BetaParameters, batch: Batch) -> Tensor:
        """1 where the sample (in training) or the mean is at least 1/2, else 0; (B, L)."""
        soft = draw_mask(parameters, sample=self.training, seeds=batch.seeds)
        return straight_through(soft) if self.training else one_where_likely(soft)

    def read_masked(self, x: Tensor, mask: Tensor, promoter: slice) -> Tensor:
        windows = pack(x, mask, promoter)
        longest = max(len(window.x) for window in windows)
        hidden = []
        # One by one: no base is computed that is not there, and each has its promoter elsewhere.
        for kept, here in windows:
            padding = longest - len(kept) if self.config.padding == "longest" else 0
            padded = nn.functional.pad(kept, (0, 0, 0, padding)).unsqueeze(0)  # (1, n + padding, d)
            hidden.append(self.predictor(padded, centre=here))  # (1, P, d)
        return torch.cat(hidden)  # (B, P, d)


def one_where_likely(soft: Tensor) -> Tensor:
    """1 where ``soft`` is at least 1/2, else 0; without a gradient."""
    return (soft >= 0.5).to(soft.dtype)


def straight_through(soft: Tensor) -> Tensor:
    """1 where ``soft`` is at least 1/2, else 0; its gradient goes to ``soft`` as it is."""
    return one_where_likely(soft) + (soft - soft.detach())  # the difference is 0 exactly


class PackedWindow(NamedTuple):
    """What is left of a window."""

    x: Tensor
    """(n, d): the kept bases in their order, each multiplied by its mask."""
    promoter: slice
    """Where the promoter's bases are among them: together, as all of them are kept."""


def pack(x: Tensor, mask: Tensor, promoter: slice) -> list[PackedWindow]:
    """Remove the bases whose mask is 0.

    Parameters
    ----------
    x
        (B, L, d).
    mask
        (B, L), 0 or 1, and 1 on the promoter. Being a factor of what is left, it gets a gradient.
    promoter
        In window coordinates.
    """
    kept = mask > 0  # (B, L)
    bases = x[kept] * mask[kept].unsqueeze(-1)  # (all windows' n, d)
    counts = torch.stack([kept.sum(1), kept[:, : promoter.start].sum(1)], dim=1).tolist()
    length = promoter.stop - promoter.start
    return [
        PackedWindow(window, slice(before, before + length))
        for window, (_, before) in zip(bases.split([n for n, _ in counts]), counts, strict=True)
    ]
