"""A layer's two passes, arranged so that little is kept between them.

Of a layer only the residual stream (B, L, d), the scans' summed output y (B, E, L) and the states
that the scans keep wait for the backward pass. The norm, the in-projection, the convolutions and
the step sizes are computed again there: products and single passes over memory, cheap beside the
scans. Without gradients nothing is kept at all.

Axes: B batch, L window length (bp), d model width, E inner width.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor, nn

from seq2exp.scan import scan_gradients, scan_keeping_states

if TYPE_CHECKING:
    from seq2exp.caduceus import DirectionalSSM, Layer


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


def layer_step(
    layer: Layer, residual: Tensor, hidden: Tensor | None, centre: slice | None
) -> tuple[Tensor, Tensor]:
    """Return (total, mixer(norm(total))) with total = residual + hidden; see `Layer.forward`."""
    keep = torch.is_grad_enabled() and any(
        tensor is not None and tensor.requires_grad
        for tensor in (residual, hidden, *layer.parameters())
    )
    result: tuple[Tensor, Tensor] = _LayerStep.apply(
        layer, centre, keep, residual, hidden, *layer.parameters()
    )
    return result


class _LayerStep(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        layer: Layer,
        centre: slice | None,
        keep: bool,
        residual: Tensor,
        hidden: Tensor | None,
        *parameters: Tensor,
    ) -> tuple[Tensor, Tensor]:
        arithmetic = Arithmetic.now(residual)
        total, u = layer.norm(residual, hidden, arithmetic.dtype)  # (B, L, d) each
        inside = centre or slice(0, total.shape[1])
        y, states = _scan_both(layer, u, inside, keep=keep)  # (B, E, centre)
        out = layer.mixer.output(y, layer.mixer.project_z(u[:, inside]))  # (B, centre, d)
        if keep:
            ctx.layer, ctx.inside, ctx.arithmetic = layer, inside, arithmetic
            ctx.added = None if hidden is None else hidden.dtype
            # the parameters are saved so that autograd notices if they are changed meanwhile
            ctx.save_for_backward(total, y, *states, *parameters)
        return (total if centre is None else total[:, centre].clone()), out

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, dtotal: Tensor, dout: Tensor) -> tuple[Tensor | None, ...]:
        total, y, right, left, *parameters = ctx.saved_tensors
        layer, inside, arithmetic = ctx.layer, ctx.inside, ctx.arithmetic
        mixer, gradients = layer.mixer, _Gradients(parameters)
        with arithmetic.again():
            total = total.detach().requires_grad_()
            passed, u = layer.norm(total, None, arithmetic.dtype)
            x, z = mixer.project_x(u), mixer.project_z(u[:, inside])
            passed = passed[:, inside]
        dy, dz = _output_gradients(ctx, y, z.detach(), dout, gradients)
        dx = torch.zeros_like(x)
        for ssm, states in zip(mixer.directions, (right, left), strict=True):
            reach = ssm.reach(inside, x.shape[-1])
            dx[..., reach] += _scan_backwards(
                ssm,
                states,
                x.detach()[..., reach],
                _spread(dy, inside, reach),
                arithmetic,
                gradients,
            )
        (dtotal,) = gradients.add([passed, x, z], [total], [dtotal, dx, dz])
        dhidden = None if ctx.added is None else dtotal.to(ctx.added)
        return None, None, None, dtotal, dhidden, *gradients.of(parameters)


class _Gradients:
    """Gradients of the parameters that want one, added up part by part."""

    def __init__(self, parameters: Sequence[Tensor]) -> None:
        self.wanted = [parameter for parameter in parameters if parameter.requires_grad]
        self.sums: dict[int, Tensor] = {}

    def add(
        self, outputs: Sequence[Tensor], inputs: Sequence[Tensor], given: Sequence[Tensor]
    ) -> tuple[Tensor, ...]:
        """Backpropagate from outputs; returns the gradients of the inputs."""
        found = torch.autograd.grad(outputs, [*inputs, *self.wanted], given, allow_unused=True)
        for parameter, gradient in zip(self.wanted, found[len(inputs) :], strict=True):
            if gradient is not None:
                known = self.sums.get(id(parameter))
                self.sums[id(parameter)] = gradient if known is None else known + gradient
        return found[: len(inputs)]

    def of(self, parameters: Sequence[Tensor]) -> list[Tensor | None]:
        return [self.sums.get(id(parameter)) for parameter in parameters]


def _scan_both(
    layer: Layer, u: Tensor, inside: slice, *, keep: bool
) -> tuple[Tensor, list[Tensor | None]]:
    """Sum of both directions' y on the positions inside, and the states that each keeps."""
    x = layer.mixer.project_x(u)  # (B, E, L)
    total, kept = None, []
    for ssm in layer.mixer.directions:
        reach = ssm.reach(inside, x.shape[-1])
        inputs = ssm.scan_inputs(x[..., reach])
        y, states = scan_keeping_states(
            inputs, reverse=ssm.leftward, keep=keep, backend=ssm.scan_backend
        )
        del inputs
        y = y[..., inside.start - reach.start : inside.stop - reach.start]
        total = y if total is None else total + y
        kept.append(states)
    assert total is not None
    return total, kept


def _output_gradients(
    ctx: Any, y: Tensor, z: Tensor, dout: Tensor, gradients: _Gradients
) -> tuple[Tensor, ...]:
    """Gradients of y and z."""
    y, z = y.detach().requires_grad_(), z.requires_grad_()
    with ctx.arithmetic.again():
        out = ctx.layer.mixer.output(y, z)
    return gradients.add([out], [y, z], [dout])


def _spread(dy: Tensor, inside: slice, reach: slice) -> Tensor:
    """Gradient of a direction's y: that of the centre, and 0 elsewhere; (B, E, reach)."""
    before, after = inside.start - reach.start, reach.stop - inside.stop
    return nn.functional.pad(dy, (before, after)) if before or after else dy


def _scan_backwards(
    ssm: DirectionalSSM,
    states: Tensor | None,
    x: Tensor,
    dy: Tensor,
    arithmetic: Arithmetic,
    gradients: _Gradients,
) -> Tensor:
    """Gradient of one direction's x."""
    x = x.requires_grad_()
    with arithmetic.again():
        inputs = ssm.scan_inputs(x)
    found = scan_gradients(
        dy, states, inputs.map(Tensor.detach), reverse=ssm.leftward, backend=ssm.scan_backend
    )
    pairs = [
        (tensor, gradient)
        for tensor, gradient in zip(inputs, found, strict=True)
        if tensor is not None and gradient is not None and tensor.requires_grad
    ]
    (dx,) = gradients.add([pair[0] for pair in pairs], [x], [pair[1] for pair in pairs])
    return dx
