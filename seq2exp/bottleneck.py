"""The Beta mask: what the signals say, what the sequence says, sampling and the bottleneck.

The product of two Beta densities is a Beta density, so evidence adds up (paper, section 3.3):
M ~ Beta(alpha_1 + alpha_2, beta_1 + beta_2), index 1 from the sequence, 2 from the signals.
The -1 of the exact product is dropped, as in the paper, so that all parameters stay positive.

Axes: B batch, L window length (bp), S signals (H3K27ac, DNase, Hi-C).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.distributions import Beta, kl_divergence

EPS = 1e-8


class BetaParameters(NamedTuple):
    """Parameters of one Beta density per base; each (B, L)."""

    alpha: Tensor
    beta: Tensor

    def mean(self) -> Tensor:
        """Mean of the density, alpha / (alpha + beta); (B, L)."""
        return self.alpha / (self.alpha + self.beta)


def signal_prior(
    signals: Tensor, signal_betas: Tensor, signal_weights: Tensor, *, scale: float, beta_min: float
) -> BetaParameters:
    """Beta parameters read off the signals, without learning.

    Parameters
    ----------
    signals
        (B, L, S), raw values.
    signal_betas
        (S,), the constant c_i of each signal.
    signal_weights
        (S,), w_i, summing to 1.
    scale, beta_min
        alpha_2i = (s_i + beta_min) scale + eps; beta_2i = (c_i + beta_min) scale.
    """
    alpha = (signals + beta_min) * scale + EPS  # (B, L, S)
    beta = (signal_betas + beta_min) * scale  # (S,)
    return BetaParameters(
        alpha @ signal_weights,  # (B, L)
        (beta @ signal_weights).expand(signals.shape[:-1]),  # (B, L)
    )


def sequence_evidence(logits: Tensor, beta_min: float) -> BetaParameters:
    """Beta parameters from the generator's logits (B, L, 2): beta first, alpha second."""
    positive = F.softplus(logits.float()) + beta_min + EPS
    return BetaParameters(positive[..., 1], positive[..., 0])


def draw_mask(
    parameters: BetaParameters, *, sample: bool, seeds: Sequence[int] | None = None
) -> Tensor:
    """Soft mask (B, L): a reparameterised sample in training, the mean in evaluation.

    With ``seeds`` (B,), each window's sample is drawn from its own seed, whatever windows are
    beside it; otherwise from torch's random state, which is left alone where there are seeds.
    """
    if not sample:
        return parameters.mean()
    if seeds is None:
        return Beta(*parameters, validate_args=False).rsample()
    device = parameters.alpha.device
    masks = []
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        for alpha, beta, seed in zip(*parameters, seeds, strict=True):
            torch.manual_seed(seed)
            masks.append(Beta(alpha, beta, validate_args=False).rsample())
    return torch.stack(masks)


def promoter_slice(length: int, promoter_length: int) -> slice:
    """The central promoter, in window coordinates; of a shorter window all of it."""
    promoter_length = min(promoter_length, length)
    start = (length - promoter_length) // 2
    return slice(start, start + promoter_length)


def apply_fixed_bases(mask: Tensor, blacklist: Tensor, promoter: slice) -> Tensor:
    """Set the mask to 0 on the blacklist, then to 1 on the promoter, which wins; (B, L)."""
    mask = mask.masked_fill(blacklist, 0.0)
    in_promoter = torch.zeros(mask.shape[-1], dtype=torch.bool, device=mask.device)
    in_promoter[promoter] = True
    return mask.masked_fill(in_promoter, 1.0)


def bottleneck_kl(parameters: BetaParameters, *, marginal_mean: float, scale: float) -> Tensor:
    """KL(mask || marginal), averaged over every base and window; scalar.

    The marginal is Beta(scale, scale (1 - mean) / mean). Promoter and blacklist are included.
    """
    other = scale * (1 - marginal_mean) / marginal_mean
    marginal = Beta(
        parameters.alpha.new_tensor(scale), parameters.beta.new_tensor(other), validate_args=False
    )
    return kl_divergence(Beta(*parameters, validate_args=False), marginal).mean()
