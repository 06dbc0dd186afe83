"""The selective scan in plain PyTorch, in chunks: runs on any device and in any float dtype.

Two levels. The sequence is cut in chunks of CHUNK steps; all chunks advance together, one step
at a time, each from a state of 0. A loop over the chunks then carries the true states across,
and y is read from local state + decay since the chunk's start x carried state. Segments of
SEGMENT chunks follow one another, and each is recomputed in the backward pass, so that memory
does not grow with length x states.
"""

import torch
from torch import Tensor
from torch.nn.functional import pad, softplus
from torch.utils.checkpoint import checkpoint

CHUNK = 64
SEGMENT = 8


def _segment(
    h: Tensor, x: Tensor, size: Tensor, A: Tensor, B: Tensor, C: Tensor
) -> tuple[Tensor, Tensor]:
    """Scan whole chunks from state h (batch, E, N); returns (y without D x, last state)."""
    batch, channels, length = x.shape
    chunks = length // CHUNK
    # chunk axis before the channels: each step of the loop reads and writes whole blocks
    x, size = (v.view(batch, channels, chunks, CHUNK).permute(3, 0, 2, 1) for v in (x, size))
    B, C = (v.view(batch, -1, chunks, CHUNK).permute(3, 0, 2, 1) for v in (B, C))
    log_decay = size[..., None] * A  # (CHUNK, batch, chunks, E, N)
    decay = torch.exp(log_decay)
    entering = (size * x)[..., None] * B[..., None, :]
    # unbind, not indexing: an index's gradient is a whole tensor of zeros each time
    first, *rest = entering.unbind(0)
    local = [first]
    for entered, kept in zip(rest, decay.unbind(0)[1:], strict=True):
        local.append(torch.addcmul(entered, kept, local[-1]))
    since_start = torch.exp(torch.cumsum(log_decay, 0))
    carried = []
    ends = zip(local[-1].unbind(1), since_start[-1].unbind(1), strict=True)
    for end, kept in ends:
        carried.append(h)
        h = torch.addcmul(end, kept, h)
    states = torch.addcmul(torch.stack(local), since_start, torch.stack(carried, 1))
    y = torch.matmul(states, C[..., None]).squeeze(-1)  # (CHUNK, batch, chunks, E)
    return y.permute(1, 3, 2, 0).reshape(batch, channels, length), h


def chunked_scan(
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
    size = softplus(delta + delta_bias[:, None])
    if gate is not None:
        size = size * gate[:, None]
    length = x.shape[-1]
    # steps of size 0 change nothing: they fill the last chunk
    missing = (0, -length % CHUNK)
    padded = [pad(v.flip(-1) if reverse else v, missing) for v in (x, size, B, C)]
    h = x.new_zeros(x.shape[0], *A.shape)
    pieces = []
    for start in range(0, length, CHUNK * SEGMENT):
        x_part, size_part, B_part, C_part = (
            v[..., start : start + CHUNK * SEGMENT].contiguous() for v in padded
        )
        arguments = (h, x_part, size_part, A, B_part, C_part)
        if torch.is_grad_enabled():
            y, h = checkpoint(_segment, *arguments, use_reentrant=False)
        else:
            y, h = _segment(*arguments)
        pieces.append(y)
    y = torch.cat(pieces, -1)[..., :length]
    return (y.flip(-1) if reverse else y) + D[:, None] * x
