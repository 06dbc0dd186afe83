"""The selective scan as its definition reads: one step after the other, slow and obvious.

The oracle of the other backends. Any floating dtype; autograd finds the gradients.
"""

import torch
from torch import Tensor
from torch.nn.functional import softplus


def reference_scan(
    x: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor,
    delta_bias: Tensor,
    *,
    reverse: bool = False,
    gate: Tensor | None = None,
) -> Tensor:
    """Mamba-1 selective scan; arguments as in seq2exp.scan.selective_scan."""
    step_size = softplus(delta + delta_bias[:, None])  # (batch, E, L)
    if gate is not None:
        step_size = step_size * gate[:, None]
    xs, sizes, Bs, Cs = (v.unbind(-1) for v in (x, step_size, B, C))  # one tensor a position
    length = len(xs)
    h = x.new_zeros(x.shape[0], *A.shape)  # (batch, E, N)
    y: list[Tensor] = [h] * length
    for t in reversed(range(length)) if reverse else range(length):
        size = sizes[t][..., None]  # (batch, E, 1)
        h = torch.exp(size * A) * h + size * Bs[t][:, None] * xs[t][..., None]
        y[t] = (h * Cs[t][:, None]).sum(-1) + D * xs[t]
    return torch.stack(y, -1)
