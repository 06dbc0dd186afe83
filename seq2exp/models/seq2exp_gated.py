"""Seq2Exp-gated: a mask that decides which bases the predictor has (docs/gated.md).

The soft model with five changes, each a setting: where the mask acts (`gate`), what values it has
(`binarise`), how its share is held (`mask_ratio`), how the window is embedded (`stem_width`) and how
far elements reach the head (`pooling`). With all of them as published, it is the soft model.

Axes: B batch, L window length (bp), P promoter length (bp), d model width.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seq2exp.bottleneck import BetaParameters, apply_fixed_bases, draw_mask
from seq2exp.model_config import SIGNALS, Seq2ExpGatedConfig
from seq2exp.models.interface import (
    InputShape,
    Loss,
    Output,
    keep_signals,
    network_signals,
    promoter_of,
)
from seq2exp.models.ratio_control import RatioControl
from seq2exp.models.seq2exp_hard import one_where_likely
from seq2exp.models.seq2exp_soft import Seq2ExpSoft
from seq2exp.models.stretches import stretch_draws
from seq2exp.packing import Batch
from seq2exp.recompute import Gating

N_INPUTS = 4 + 3
"""Channels of the predictor's stem: bases and signals."""
HALF_OPEN = 0.3
"""Activity of a half open base, in that of a typical open one."""


class Seq2ExpGated(Seq2ExpSoft):
    """Generator and prior are the soft model's; mask and predictor are as its settings say."""

    config: Seq2ExpGatedConfig

    def __init__(self, config: Seq2ExpGatedConfig, shape: InputShape) -> None:
        super().__init__(config, shape)
        self.hard_mask = config.binarise
        if config.stem_width:
            del self.sequence_embedding, self.signal_embedding
            self.generator_stem = Stem(4, config.d_model, config.stem_width)
            self.predictor_stem = Stem(N_INPUTS, config.d_model, config.stem_width)
        if config.pooling != "promoter":
            self.pool = MaskedSum(config.d_model, shape)
        if config.mask_ratio is not None:
            self.ratio = RatioControl(config.mask_ratio, config.start_ratio, config.close)
            self.settled_from = config.close[1]  # a mask that is still open shows no elements
            self._open()

    @torch.no_grad()
    def _open(self) -> None:
        """Start with a mask that is open nearly everywhere: there is nothing yet to choose by."""
        self.generator.head.bias.copy_(torch.tensor([-2.0, 2.0]))  # beta, alpha

    def embedded(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Embed the sequence for the generator (B, L, d); and what the predictor reads.

        That is (B, L, d), or (B, L, 7) before its stem, which must not see what the mask hides.
        """
        if not self.config.stem_width:
            return super().embedded(batch)
        signals = network_signals(keep_signals(batch, self.signals).signals, self.signal_transform)
        x = torch.cat([batch.sequence, signals.to(batch.sequence.dtype)], dim=-1)
        return self.generator_stem(batch.sequence), x

    def forward(self, batch: Batch) -> Output:
        output = super().forward(batch)
        if self.config.mask_ratio is None or not self.training:
            return output
        assert output.alpha is not None
        assert output.beta is not None
        likely = BetaParameters(output.alpha, output.beta).mean()
        likely = apply_fixed_bases(likely, batch.blacklist, promoter_of(batch, self.shape))
        return output._replace(for_loss={"mask_ratio": likely.mean()})

    def draw(self, parameters: BetaParameters, batch: Batch) -> Tensor:
        """The mask (B, L); as the soft model's, or of zeros and ones.

        Where it is binarised, a base is kept with the probability that is the mean of its density, in
        training: stretches are kept or removed together, since what a motif says is lost with any
        of its bases. The gradient goes straight through. In evaluation likely bases are kept.
        """
        if not self.config.binarise:
            return draw_mask(parameters, sample=self.training, seeds=batch.seeds)
        likely = parameters.mean()  # (B, L)
        if not self.training:
            return one_where_likely(likely)
        draws = stretch_draws(likely, self.config.stretch_length, batch.seeds)  # (B, L)
        return (draws < likely).to(likely.dtype) + (likely - likely.detach())

    def read(self, batch: Batch, x: Tensor, mask: Tensor) -> Tensor:
        """Predict (B,) from the input x (B, L, d or 7) as the mask (B, L) shows it."""
        promoter = promoter_of(batch, self.shape)
        hidden = self.read_masked(x, mask, promoter)  # (B, L or P, d)
        if self.config.pooling != "promoter":
            weight = mask
            if self.config.pooling == "open":
                weight = mask * self.pool.openness(self.activity(batch))
            hidden = hidden[:, promoter] + self.pool(hidden, weight).unsqueeze(1)
        return self.predict_hidden(batch, hidden)

    def activity(self, batch: Batch) -> Tensor:
        """Geometric mean of H3K27ac and DNase, as the network has them; (B, L)."""
        signals = network_signals(batch.signals, self.signal_transform)
        kept = [i for i, name in enumerate(SIGNALS[:2]) if name in self.signals]
        if not kept:
            return torch.ones_like(signals[..., 0])
        return signals[..., kept].clamp(min=0).prod(dim=-1) ** (1 / len(kept))

    @torch.no_grad()
    def calibrate(self, windows: Iterator[Batch]) -> None:
        """Learn how active an open base is."""
        if self.config.pooling == "open":
            self.pool.calibrate(
                [self.activity(batch).masked_fill(batch.blacklist, 0.0) for batch in windows]
            )

    def read_masked(self, x: Tensor, mask: Tensor, promoter: slice) -> Tensor:
        """Read the window (B, L, d or 7) through the mask (B, L): hidden (B, L or P, d)."""
        if self.config.stem_width:
            x = self.predictor_stem(x * mask.unsqueeze(-1))
        elif self.config.gate in ("embedding", "first_norm"):
            x = x * mask.unsqueeze(-1)
        centre = promoter if self.config.pooling == "promoter" else None
        hidden: Tensor = self.predictor(x, centre, self.gatings(mask))
        return hidden

    def gatings(self, mask: Tensor) -> list[Gating | None]:
        """Where the mask (B, L) acts within the predictor's layers."""
        layers = self.config.predictor_layers
        if self.config.gate == "embedding":
            return [None] * layers
        if self.config.gate == "first_norm":
            return [Gating(mask, "norm"), *[None] * (layers - 1)]
        return [Gating(mask, self.config.gate)] * layers

    def loss(self, output: Output, label: Tensor, *, label_scale: float = 1.0) -> Loss:
        """Add what holds the mask's share to the soft model's loss, in training."""
        loss = super().loss(output, label, label_scale=label_scale)
        if output.for_loss is None:
            return loss
        return loss._replace(
            total=loss.total + self.ratio(output.for_loss["mask_ratio"], self.progress)
        )


class Stem(nn.Module):
    """Embed each base, and the motif around it; (B, L, channels) to (B, L, d)."""

    def __init__(self, channels: int, d_model: int, width: int) -> None:
        super().__init__()
        self.base = nn.Linear(channels, d_model)
        self.motif = nn.Conv1d(channels, d_model, width, padding=width // 2)

    def forward(self, x: Tensor) -> Tensor:
        motif = self.motif(x.transpose(1, 2)).transpose(1, 2)  # (B, L, d)
        embedded: Tensor = self.base(x) + F.gelu(motif)
        return embedded


class MaskedSum(nn.Module):
    """What all kept bases say, at any distance: sum of w GELU(W h) / sqrt(L P); (B, d).

    A state that has to carry an element to the promoter forgets it on the way. The divisor, of the
    window that the model is made for, is between that of a mean over the window and that of a mean
    over the promoter.

    The weight w is the mask, or the mask times how open a base is: in long windows the few open
    bases are lost among all others, whose features are noise (docs/gated.md).
    """

    divisor: Tensor
    half_open: Tensor
    """Activity at which a base is half open."""

    def __init__(self, d_model: int, shape: InputShape) -> None:
        super().__init__()
        self.linear = nn.Linear(d_model, d_model)
        self.size = (shape.window_length * shape.promoter_length) ** 0.5
        self.register_buffer("divisor", torch.tensor(self.size))
        self.register_buffer("half_open", torch.ones(()))

    def calibrate(self, activities: list[Tensor]) -> None:
        """Take what is typical of the data from activities (1, L) of some windows.

        The typical activity of open bases is the mean weighted by the square, to which closed bases
        add nothing however many they are. The divisor becomes as large as the root mean square of
        openness asks for.
        """
        squares = torch.stack([activity.square().sum() for activity in activities]).sum()
        cubes = torch.stack([activity.pow(3).sum() for activity in activities]).sum()
        self.half_open.copy_((HALF_OPEN * cubes / squares).nan_to_num(1.0).clamp(min=1e-6))
        openness = [self.openness(activity).square().mean() for activity in activities]
        self.divisor.copy_(self.size * torch.stack(openness).mean().sqrt().clamp(min=1e-3))

    def openness(self, activity: Tensor) -> Tensor:
        """Map activity (B, L) to [0, 1): 1/2 at ``half_open``, near 1 in a typical open base."""
        squared = activity.square()
        return squared / (squared + self.half_open.square())

    def forward(self, hidden: Tensor, weight: Tensor) -> Tensor:
        said = F.gelu(self.linear(hidden)) * weight.unsqueeze(-1)  # (B, L, d)
        return said.sum(dim=1) / self.divisor
