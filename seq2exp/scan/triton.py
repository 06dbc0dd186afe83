"""The selective scan on GPUs, by kernels in Triton: no compiler and no build step."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
import triton
from torch import Tensor

from seq2exp.scan.triton_backward import backward_kernel
from seq2exp.scan.triton_forward import forward_kernel

if TYPE_CHECKING:
    from seq2exp.scan import ScanInputs


class Tiles(NamedTuple):
    """How a kernel is cut into programs, each of warps * channels channels."""

    warps: int
    channels: int
    """Of a warp: its registers hold two, and with two it waits less for its own results."""


# To be tuned on the machine, by benchmarks.gpu_kernels. The more channels a program has, the
# fewer atomic additions the backward pass does.
FORWARD = Tiles(warps=4, channels=2)
BACKWARD = Tiles(warps=4, channels=2)
PIECES = 2
"""Of a lane's run in the forward pass; the backward pass has registers for one."""
LANES = 32
"""Of both kernels, and one warp's, so that a scan needs no shared memory."""

LOG2_E = 1.4426950408889634


def fit(tiles: Tiles, *, batch: int, channels: int, wanted: int) -> Tiles:
    """Cut finer where the programs would be fewer than wanted, first into warps."""
    warps, each = tiles
    while warps * each > 1 and batch * triton.cdiv(channels, warps * each) < wanted:
        warps, each = (warps // 2, each) if warps > 1 else (1, each // 2)
    return Tiles(warps, each)


class _Walk(NamedTuple):
    """How both kernels cut a sequence: a chunk of the backward pass is lanes * run positions."""

    lanes: int
    run: int
    slots: int
    """For the states before the backward pass's chunks."""


def _walk(x: Tensor) -> _Walk:
    length = x.shape[-1]
    run = 16 // max(2, x.element_size())  # what a thread reads at once
    needed = triton.next_power_of_2(triton.cdiv(length, run * PIECES))
    lanes = max(PIECES, min(LANES, needed))
    return _Walk(lanes, run, triton.cdiv(length, lanes * run * PIECES) * PIECES + 1)


def _launch(
    kernel: Any, tiles: Tiles, inputs: ScanInputs, others: list[Any], slots: int, **flags: Any
) -> None:
    """Run a kernel on the inputs and the other tensors."""
    batch, channels, length = inputs.x.shape
    if inputs.x.is_cuda:
        card = torch.cuda.get_device_properties(inputs.x.device)
        wanted = card.multi_processor_count
        tiles = fit(tiles, batch=batch, channels=channels, wanted=wanted)
    block = tiles.warps * tiles.channels
    unit = math.gcd(length, 16)
    walk = _walk(inputs.x)
    with torch.cuda.device_of(inputs.x):
        kernel[(triton.cdiv(channels, block), batch)](
            *inputs,
            *others,
            channels,
            length // unit,
            inputs.A.shape[1],
            slots,
            UNIT=unit,
            GATED=inputs.gate is not None,
            BLOCK_E=block,
            WARPS=tiles.warps,
            LANES=walk.lanes,
            RUN=walk.run,
            num_warps=tiles.warps,
            **flags,
        )


def forward(
    inputs: ScanInputs, *, reverse: bool, keep: bool, start: None = None
) -> tuple[Tensor, Tensor, None]:
    """Scan; returns y and, if `keep`, states for the backward pass. No state is carried on.

    x, delta, B, C and gate may each be float32, bfloat16 or float16; the state is float32.
    """
    inputs = _as_kernels_read(inputs)
    batch, channels, _ = inputs.x.shape
    slots = _walk(inputs.x).slots if keep else 4
    states = torch.empty(batch, slots, channels, inputs.A.shape[1], device=inputs.x.device)
    y = torch.empty_like(inputs.x)
    flags = {"REVERSE": reverse, "PIECES": PIECES}
    _launch(forward_kernel, FORWARD, inputs, [y, states], slots, **flags)
    return y, states, None


def backward(
    dy: Tensor, states: Tensor, inputs: ScanInputs, *, reverse: bool, carry: None = None
) -> tuple[tuple[Tensor | None, ...], None]:
    """Gradients of the inputs, in their order."""
    inputs = _as_kernels_read(inputs)
    x, delta, A, B, C, _, _, gate = inputs
    batch, channels, _ = x.shape
    dx, ddelta, dA = torch.empty_like(x), torch.empty_like(delta), torch.zeros_like(A)
    dBC = x.new_zeros(2, *B.shape, dtype=torch.float32)
    dD, dbias = x.new_empty(2, batch, channels, dtype=torch.float32)
    dgate = None if gate is None else torch.zeros_like(gate, dtype=torch.float32)
    carries = torch.empty(batch, 2, channels, A.shape[1], device=x.device)
    others = [states, dy.contiguous(), dx, ddelta, dA, dBC, dD, dbias, dgate, carries]
    _launch(backward_kernel, BACKWARD, inputs, others, states.shape[1], REVERSE=reverse)
    dB, dC = dBC[0].to(B.dtype), dBC[1].to(C.dtype)
    dgate = None if gate is None or dgate is None else dgate.to(gate.dtype)
    return (dx, ddelta, dA, dB, dC, dD.sum(0), dbias.sum(0), dgate), None


def _as_kernels_read(inputs: ScanInputs) -> ScanInputs:
    """Contiguous, parameters in float32, and A as the exponent of 2."""
    parameters = {name: getattr(inputs, name).float() for name in ("A", "D", "delta_bias")}
    parameters["A"] = parameters["A"] * LOG2_E
    return inputs._replace(**parameters).map(Tensor.contiguous)
