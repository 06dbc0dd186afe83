"""Hold the share of bases that a mask keeps, without a weight to tune.

The share is a constraint, not a wish: a Lagrange multiplier, learned by gradient ascent, becomes as
large (or as negative) as it must (Platt and Barr 1987, Constrained differential optimization). The
quadratic term damps the oscillation of the two.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

MULTIPLIER_RATE = 10.0
"""How much faster the multiplier moves than the weights, whose optimiser it shares."""
DAMPING = 10.0


class RatioControl(nn.Module):
    """A term of the loss that moves the mask ratio to its target.

    Parameters
    ----------
    target, start
        Share of bases that are kept, at the end and at first.
    close
        The shares of the training between which the target falls from ``start`` to ``target``, linearly.
    """

    def __init__(self, target: float, start: float, close: tuple[float, float]) -> None:
        super().__init__()
        self.target, self.start, self.close = target, max(start, target), close
        self.multiplier = nn.Parameter(torch.zeros(()))

    def wanted(self, progress: float) -> float:
        """Return the ratio to hold when ``progress`` of the training is done."""
        first, last = self.close
        closed = min(1.0, max(0.0, (progress - first) / (last - first)))
        return self.start + (self.target - self.start) * closed

    def forward(self, ratio: Tensor, progress: float) -> Tensor:
        """Return the term (scalar) for the mean mask ratio (scalar) of a batch."""
        excess = ratio - self.wanted(progress)
        multiplier = MULTIPLIER_RATE * self.multiplier
        # Down the gradient for the mask, up for the multiplier.
        term: Tensor = multiplier.detach() * excess - multiplier * excess.detach()
        return term + DAMPING / 2 * excess**2
