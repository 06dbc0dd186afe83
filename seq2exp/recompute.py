"""A layer's two passes, arranged so that little is kept between them.

Of a layer only the residual stream (B, L, d), the scans' summed output y (B, E, L) and the states
that the scans keep wait for the backward pass. The norm, the in-projection, the convolutions and
the step sizes are computed again there: products and single passes over memory, cheap beside the
scans. Without gradients nothing is kept at all.

What lies between in-projection and out-projection is worked through in parts of the window where
the scan's backend can go on from a state (on a CPU, so that a part stays in the cache).

Axes: B batch, L window length (bp), d model width, E inner width, P positions of a part.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import torch
from torch import Tensor

from seq2exp.scan import ScanInputs, part_length, scan_gradients, scan_part

if TYPE_CHECKING:
    from seq2exp.caduceus import DirectionalSSM, Layer, MambaMixer


class Gating(NamedTuple):
    """A mask that acts inside a layer."""

    mask: Tensor
    """(B, L) in [0, 1]."""
    at: Literal["norm", "step"]
    """norm: a factor on the mixer's input, after the norm. step: a factor on what the convolutions
    read and on the step sizes of the scans, so that the state passes a base with 0 unchanged."""


def layer_step(
    layer: Layer,
    residual: Tensor,
    hidden: Tensor | None,
    centre: slice | None,
    gating: Gating | None = None,
) -> tuple[Tensor, Tensor]:
    """Return (total, mixer(norm(total))) with total = residual + hidden; see `Layer.forward`."""
    mask, at = gating or (None, None)
    keep = torch.is_grad_enabled() and any(
        tensor is not None and tensor.requires_grad
        for tensor in (residual, hidden, mask, *layer.parameters())
    )
    result: tuple[Tensor, Tensor] = _LayerStep.apply(
        layer, centre, keep, at, residual, hidden, mask, *layer.parameters()
    )
    return result


class _LayerStep(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        layer: Layer,
        centre: slice | None,
        keep: bool,
        at: str | None,
        residual: Tensor,
        hidden: Tensor | None,
        mask: Tensor | None,
        *parameters: Tensor,
    ) -> tuple[Tensor, Tensor]:
        arithmetic = Arithmetic.now(residual)
        total, u, x = _mixer_inputs(layer, residual, hidden, mask, at, arithmetic.dtype)
        inside = centre or slice(0, total.shape[1])
        gate = mask if at == "step" else None
        y, states = _scan_all(layer.mixer, x, gate, inside, keep=keep)  # (B, E, centre)
        out = _outputs(layer.mixer, y, u[:, inside])  # (B, centre, d)
        if keep:
            ctx.layer, ctx.inside, ctx.at, ctx.arithmetic = layer, inside, at, arithmetic
            ctx.added = None if hidden is None else hidden.dtype
            ctx.parts = [len(own) for own in states]
            # the parameters are saved so that autograd notices if they are changed meanwhile
            ctx.save_for_backward(total, mask, y, *chain.from_iterable(states), *parameters)
        return (total if centre is None else total[:, centre].clone()), out

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, dtotal: Tensor, dout: Tensor) -> tuple[Tensor | None, ...]:
        layer, inside, arithmetic = ctx.layer, ctx.inside, ctx.arithmetic
        count = len(tuple(layer.parameters()))
        total, mask, y, *states = ctx.saved_tensors[:-count]
        gradients = _Gradients(ctx.saved_tensors[-count:], arithmetic)
        with arithmetic.again():
            total = total.detach().requires_grad_()
            mask = None if mask is None else mask.detach().requires_grad_()
            passed, u, x = _mixer_inputs(layer, total, None, mask, ctx.at, arithmetic.dtype)
            passed, u = passed[:, inside], u[:, inside]
        dy, du = _output_gradients(layer.mixer, y, u.detach(), dout, gradients)
        found = _Found(torch.zeros_like(x), None if mask is None else torch.zeros_like(mask))
        gate = mask if ctx.at == "step" else None
        of_direction = iter(states)
        for ssm, parts in zip(layer.mixer.directions, ctx.parts, strict=True):
            kept = list(islice(of_direction, parts))
            _scan_backwards(ssm, kept, x.detach(), gate, found, dy, inside, gradients)
        wanted = [total] if mask is None else [total, mask]
        dtotal, *dmask = gradients.add([passed, x, u], wanted, [dtotal, found.dx, du])
        dhidden = None if ctx.added is None else dtotal.to(ctx.added)
        total_dmask = None if found.dgate is None else dmask[0] + found.dgate
        return None, None, None, None, dtotal, dhidden, total_dmask, *gradients.sums()


def _mixer_inputs(
    layer: Layer,
    residual: Tensor,
    hidden: Tensor | None,
    mask: Tensor | None,
    at: str | None,
    dtype: torch.dtype,
) -> tuple[Tensor, Tensor, Tensor]:
    """Sum and normalised sum (B, L, d), and what the convolutions read (B, E, L)."""
    total, u = layer.norm(residual, hidden, dtype)
    if mask is not None and at == "norm":
        u = u * mask.unsqueeze(-1).to(u.dtype)
    x = layer.mixer.project_x(u)
    if mask is not None and at == "step":
        x = x * mask.unsqueeze(1).to(x.dtype)
    return total, u, x


# --------------------------------------------------------------------------- parts of a window


class _Part(NamedTuple):
    """Positions that are scanned together."""

    own: slice
    """In the window."""
    wide: slice
    """The same with those that the convolution looks at beside."""
    inner: slice
    """``own`` within ``wide``."""


def _direction_parts(ssm: DirectionalSSM, inside: slice, x: Tensor) -> list[_Part]:
    """Parts of what decides y on the positions inside, in the order of the scan; x (B, E, L)."""
    length, reach = x.shape[-1], ssm.conv_reach
    parts = []
    for own in _pieces(ssm.reach(inside, length), part_length(ssm.scan_backend, x.device)):
        start = own.start if ssm.leftward else max(0, own.start - reach)
        stop = min(length, own.stop + reach) if ssm.leftward else own.stop
        inner = slice(own.start - start, own.stop - start)
        parts.append(_Part(own, slice(start, stop), inner))
    return parts[::-1] if ssm.leftward else parts


def _pieces(whole: slice, length: int | None) -> list[slice]:
    """Cut a slice in pieces of a length; one piece if that is None."""
    step = length or whole.stop - whole.start
    starts = range(whole.start, whole.stop, step)
    return [slice(start, min(start + step, whole.stop)) for start in starts]


def _overlap(part: slice, inside: slice) -> tuple[slice, slice]:
    """What part and inside share, within the part and within inside; empty slices if nothing."""
    start, stop = max(part.start, inside.start), min(part.stop, inside.stop)
    stop = max(start, stop)
    return (
        slice(start - part.start, stop - part.start),
        slice(start - inside.start, stop - inside.start),
    )


# --------------------------------------------------------------------------- forward


def _scan_all(
    mixer: MambaMixer, x: Tensor, gate: Tensor | None, inside: slice, *, keep: bool
) -> tuple[Tensor, list[list[Tensor | None]]]:
    """Sum of the directions' y on the positions inside, and what each one's parts keep.

    x (B, E, L), gate (B, L).
    """
    total: Tensor | None = None
    kept: list[list[Tensor | None]] = []
    for ssm in mixer.directions:
        own: list[Tensor | None] = []
        kept.append(own)
        state = None
        for part in _direction_parts(ssm, inside, x):
            y, states, state = scan_part(
                _part_inputs(ssm, part, x[..., part.wide], gate),  # (B, E, P) and so on
                reverse=ssm.leftward,
                keep=keep,
                start=state,
                backend=ssm.scan_backend,
            )
            own.append(states)
            here, place = _overlap(part.own, inside)
            if total is None and part.own == inside:
                total = y
                continue
            if total is None:
                total = y.new_zeros(*y.shape[:2], inside.stop - inside.start)
            total[..., place] += y[..., here]
    assert total is not None
    return total, kept


def _part_inputs(ssm: DirectionalSSM, part: _Part, wide: Tensor, gate: Tensor | None) -> ScanInputs:
    """What the scan of a part reads; wide (B, E, with what is beside), gate (B, L)."""
    inputs = ssm.scan_inputs(wide, part.inner)
    return inputs if gate is None else inputs._replace(gate=gate[:, part.own])


def _outputs(mixer: MambaMixer, y: Tensor, u: Tensor) -> Tensor:
    """Gate and out-projection: y (B, E, P) and u (B, P, d) to (B, P, d)."""
    outputs = [
        mixer.output(y[..., piece], mixer.project_z(u[:, piece]))
        for piece in _output_pieces(mixer, y)
    ]
    return outputs[0] if len(outputs) == 1 else torch.cat(outputs, dim=1)


def _output_pieces(mixer: MambaMixer, y: Tensor) -> list[slice]:
    return _pieces(slice(0, y.shape[-1]), part_length(mixer.rightward.scan_backend, y.device))


# --------------------------------------------------------------------------- backward


class Arithmetic(NamedTuple):
    """Autocast as it was in the forward pass, for what the backward pass computes again."""

    device: str
    autocast: bool
    dtype: torch.dtype

    @classmethod
    def now(cls, x: Tensor) -> Arithmetic:
        """What is in force on the device of a tensor."""
        device = x.device.type
        autocast = torch.is_autocast_enabled(device)
        return cls(device, autocast, torch.get_autocast_dtype(device) if autocast else x.dtype)

    @contextmanager
    def again(self) -> Iterator[None]:
        """Record operations for autograd, in the same arithmetic."""
        # a float32 dtype is none that autocast knows
        dtype = self.dtype if self.autocast else None
        with (
            torch.enable_grad(),
            torch.autocast(self.device, dtype, enabled=self.autocast),
        ):
            yield


class _Gradients:
    """Gradients of the parameters that want one, added up part by part."""

    def __init__(self, parameters: Sequence[Tensor], arithmetic: Arithmetic) -> None:
        self.parameters, self.arithmetic = parameters, arithmetic
        self._wanted = [i for i, parameter in enumerate(parameters) if parameter.requires_grad]
        self._sums: dict[int, Tensor] = {}

    def add(
        self, outputs: Sequence[Tensor], inputs: Sequence[Tensor], given: Sequence[Tensor]
    ) -> tuple[Tensor, ...]:
        """Backpropagate from outputs; returns the gradients of the inputs."""
        wanted = [self.parameters[i] for i in self._wanted]
        found = torch.autograd.grad(outputs, [*inputs, *wanted], given, allow_unused=True)
        for i, gradient in zip(self._wanted, found[len(inputs) :], strict=True):
            if gradient is not None:
                known = self._sums.get(i)
                self._sums[i] = gradient if known is None else known + gradient
        return found[: len(inputs)]

    def sums(self) -> list[Tensor | None]:
        """One for each parameter, None where it wants none."""
        return [self._sums.get(i) for i in range(len(self.parameters))]


class _Found(NamedTuple):
    """Gradients that both scans add to."""

    dx: Tensor
    """(B, E, L), of what the convolutions read."""
    dgate: Tensor | None
    """(B, L), of the factor on the step sizes."""


def _output_gradients(
    mixer: MambaMixer, y: Tensor, u: Tensor, dout: Tensor, gradients: _Gradients
) -> tuple[Tensor, Tensor]:
    """Gradients of y (B, E, P) and of u (B, P, d) through the gate and the out-projection."""
    dy, du = [], []
    for piece in _output_pieces(mixer, y):
        y_piece = y[..., piece].detach().requires_grad_()
        u_piece = u[:, piece].detach().requires_grad_()
        with gradients.arithmetic.again():
            out = mixer.output(y_piece, mixer.project_z(u_piece))
        found = gradients.add([out], [y_piece, u_piece], [dout[:, piece]])
        dy.append(found[0])
        du.append(found[1])
    if len(dy) == 1:
        return dy[0], du[0]
    return torch.cat(dy, dim=-1), torch.cat(du, dim=1)


def _scan_backwards(
    ssm: DirectionalSSM,
    kept: Sequence[Tensor | None],
    x: Tensor,
    gate: Tensor | None,
    sums: _Found,
    dy: Tensor,
    inside: slice,
    gradients: _Gradients,
) -> None:
    """Add one direction's gradients to the sums; x (B, E, L), gate (B, L)."""
    carry = None
    parts = _direction_parts(ssm, inside, x)
    for part, states in zip(parts[::-1], kept[::-1], strict=True):
        wide = x[..., part.wide].detach().requires_grad_()
        with gradients.arithmetic.again():
            inputs = _part_inputs(ssm, part, wide, gate)
        found, carry = scan_gradients(
            _spread(dy, part.own, inside),
            states,
            inputs.map(Tensor.detach),
            reverse=ssm.leftward,
            carry=carry,
            backend=ssm.scan_backend,
        )
        if found.gate is not None and sums.dgate is not None:
            sums.dgate[:, part.own] += found.gate
        pairs = [
            (tensor, gradient)
            for tensor, gradient in zip(inputs[:-1], found[:-1], strict=True)  # without the gate
            if tensor is not None and gradient is not None and tensor.requires_grad
        ]
        (dwide,) = gradients.add([pair[0] for pair in pairs], [wide], [pair[1] for pair in pairs])
        sums.dx[..., part.wide] += dwide


def _spread(dy: Tensor, part: slice, inside: slice) -> Tensor:
    """Gradient of a part's y from that of the positions inside: 0 elsewhere; (B, E, P)."""
    if part == inside:
        return dy
    here, place = _overlap(part, inside)
    spread = dy.new_zeros(*dy.shape[:2], part.stop - part.start)
    spread[..., here] = dy[..., place]
    return spread
