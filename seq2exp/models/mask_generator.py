"""Where the Beta mask comes from: evidence of the sequence and of the signals (section 3.3).

Axes: B batch, L window length (bp), S signals (H3K27ac, DNase, Hi-C), d model width.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from seq2exp.bottleneck import BetaParameters, sequence_evidence, signal_prior
from seq2exp.caduceus import Backbone
from seq2exp.model_config import SIGNALS, BetaMaskConfig


class MaskGenerator(nn.Module):
    """Beta parameters of every base: a learned part from the sequence, a fixed one from the signals.

    Parameters
    ----------
    config
        Says which evidence there is, and how the signals are read.
    backbone
        Reads the embedded window; may be None where the sequence is no evidence.
    """

    signal_betas: Tensor
    signal_weights: Tensor

    def __init__(self, config: BetaMaskConfig, backbone: Backbone | None) -> None:
        super().__init__()
        self.evidence, self.prior_config = config.evidence, config.prior
        self.backbone = backbone
        if "sequence" in self.evidence:
            self.head = nn.Linear(config.d_model, 2)
        if "signals" in self.evidence:
            kept = torch.tensor([float(name in config.signals) for name in SIGNALS])
            weights = torch.tensor(config.prior.signal_weights) * kept
            self.register_buffer("signal_betas", torch.tensor(config.prior.signal_betas))
            self.register_buffer("signal_weights", weights / weights.sum())

    def forward(self, x: Tensor, signals: Tensor) -> BetaParameters:
        """Map the embedded window x (B, L, d) and raw signals (B, L, S) to the mask's density."""
        parts = []
        if "sequence" in self.evidence:
            assert self.backbone is not None
            logits = self.head(self.backbone(x))  # (B, L, 2)
            parts.append(sequence_evidence(logits, self.prior_config.beta_min))
        if "signals" in self.evidence:
            parts.append(self.prior(signals))
        alphas, betas = zip(*parts, strict=True)
        return BetaParameters(sum(alphas[1:], alphas[0]), sum(betas[1:], betas[0]))

    def prior(self, signals: Tensor) -> BetaParameters:
        """What the raw signals (B, L, S) alone say about the mask."""
        return signal_prior(
            signals.float(),
            self.signal_betas,
            self.signal_weights,
            scale=self.prior_config.scale,
            beta_min=self.prior_config.beta_min,
        )

    def parts(self, parameters: BetaParameters, signals: Tensor) -> dict[str, Tensor]:
        """Mean of each evidence alone, by the names of the mask store; (B, L) each."""
        if "signals" not in self.evidence:
            return {"sequence_part": parameters.mean()}
        prior = self.prior(signals)
        if "sequence" not in self.evidence:
            return {"prior": prior.mean()}
        sequence = BetaParameters(parameters.alpha - prior.alpha, parameters.beta - prior.beta)
        return {"sequence_part": sequence.mean(), "prior": prior.mean()}
