"""Cases of the scan's Triton kernels, against the float64 reference."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from seq2exp.scan import ScanInputs
from seq2exp.scan.chunked import chunked_scan
from seq2exp.scan.reference import reference_scan
from tests.kernels.compare import (
    DEVICE,
    Case,
    Error,
    differentiate,
    error,
    errors,
    generator,
    normal,
)

FLOAT, BF16 = torch.float32, torch.bfloat16


def make_inputs(
    batch: int, channels: int, states: int, length: int, gated: bool, dtype: torch.dtype, seed: int
) -> ScanInputs:
    """Random inputs; a gate that is closed at a third of the positions."""
    of_channels = normal(seed, 2, channels)
    rates = torch.rand(channels, states, generator=generator(seed + 1), device=DEVICE)
    gate = None
    if gated:
        gate = torch.rand(batch, length, generator=generator(seed + 2), device=DEVICE)
        gate = (gate * (gate > 0.3)).to(dtype)
    return ScanInputs(
        normal(seed + 3, batch, channels, length, dtype=dtype),
        normal(seed + 4, batch, channels, length, dtype=dtype),
        -16 * rates,
        normal(seed + 5, batch, states, length, dtype=dtype),
        normal(seed + 6, batch, states, length, dtype=dtype),
        of_channels[0],
        of_channels[1] - 4,  # step sizes about 0.02
        gate,
    )


def scan(inputs: ScanInputs, reverse: bool) -> dict[str, Tensor]:
    """Results of both kernels, as `exact` gives them."""
    from seq2exp.scan import triton

    y, states, _ = triton.forward(inputs, reverse=reverse, keep=True)
    weight = normal(99, *y.shape).bfloat16().to(y)
    gradients, _ = triton.backward(weight, states, inputs, reverse=reverse)
    pairs = zip(ScanInputs._fields, gradients, strict=True)
    return {"y": y} | {f"d{name}": gradient for name, gradient in pairs if gradient is not None}


def exact(
    inputs: ScanInputs, reverse: bool, oracle: Callable[..., Tensor] = reference_scan
) -> dict[str, Tensor]:
    """The same in float64."""
    doubles = {k: v.double() for k, v in inputs._asdict().items() if v is not None}

    return differentiate(partial(oracle, reverse=reverse), doubles, ("y",))


def agrees(
    batch: int,
    channels: int,
    states: int,
    length: int,
    reverse: bool,
    gated: bool,
    dtype: torch.dtype,
    *,
    seed: int,
    settings: dict[str, Any],
    oracle: Callable[..., Tensor] = reference_scan,
) -> list[Error]:
    """Errors of y and of every gradient."""
    inputs = make_inputs(batch, channels, states, length, gated, dtype, seed)
    found = _with_settings(settings, lambda: scan(inputs, reverse))
    return errors(found, exact(inputs, reverse, oracle), {"y"}, dtype == BF16)


def _with_settings(settings: dict[str, Any], run: Callable[[], Any]) -> Any:
    """Run with other values of seq2exp.scan.triton's tunables."""
    from seq2exp.scan import triton

    before = {name: getattr(triton, name) for name in settings}
    try:
        vars(triton).update(settings)
        return run()
    finally:
        vars(triton).update(before)


def a_closed_gate_removes_positions(reverse: bool) -> list[Error]:
    """y with a gate of 0 and 1 is that of the open positions alone."""
    from seq2exp.scan import triton

    length = 50
    inputs = make_inputs(1, 8, 3, length, False, FLOAT, 0)
    kept = torch.rand(length, generator=generator(9), device=DEVICE) > 0.4
    packed = inputs.map(lambda v: v[..., kept] if v.shape[-1] == length else v)
    gated = inputs._replace(gate=kept.float()[None])

    def run() -> list[Tensor]:
        return [triton.forward(i, reverse=reverse, keep=False)[0] for i in (gated, packed)]

    y, expected = _with_settings({"LANES": 2}, run)
    return [error("y", y[..., kept], expected.double(), {"y"}, False)]


def keeping_states_changes_nothing() -> list[Error]:
    """y is the same, bit for bit, whether there will be a backward pass or not."""
    from seq2exp.scan import triton

    inputs = make_inputs(1, 8, 3, 50, True, FLOAT, 0)

    def run() -> list[Tensor]:
        return [triton.forward(inputs, reverse=False, keep=keep)[0] for keep in (False, True)]

    y, expected = _with_settings({"LANES": 2}, run)
    return [Error("y", float((y - expected).abs().max()), 0.0)]


def cases(count: int = 36) -> Iterator[Case]:
    """Small shapes: every mixture of direction, gate and dtype; chunks that end anywhere."""
    from seq2exp.scan.triton import Tiles

    rng = np.random.default_rng(0)
    tilings = [Tiles(4, 2), Tiles(1, 2), Tiles(2, 1), Tiles(8, 2)]
    fixed = [  # lanes, batch, channels, states, length
        (32, 1, 8, 2, 300),  # the lanes of use; two chunks
        (32, 1, 16, 1, 520),
        (4, 1, 2, 64, 8),
        (1, 1, 3, 17, 9),
        (32, 2, 4, 3, 1),
        (32, 1, 16, 2, 256),
    ]
    for case in range(count):
        lanes = int(rng.choice([1, 2, 4]))
        channels = int(rng.choice([1, 5, 8, 11]))
        # up to three chunks of 8 positions a lane, of few channels for the interpreter's sake
        length = int(rng.integers(1, 20 * lanes if channels < 10 else 20))
        shape = (lanes, 1 + (case % 5 == 0), channels, int(rng.choice([1, 2])), length)
        lanes, *sizes = fixed[case // 6] if case % 6 == 5 else shape
        reverse, gated, dtype = bool(case & 1), bool(case & 2), (FLOAT, BF16)[case >> 2 & 1]
        forward, backward = tilings[case % 3], tilings[case % 4]
        settings = {"LANES": lanes, "FORWARD": forward, "BACKWARD": backward}
        settings["PIECES"] = 1 + (case % 4 != 3)
        run = partial(agrees, *sizes, reverse, gated, dtype, seed=case, settings=settings)
        yield Case("scan", _name(sizes, reverse, gated), dtype, run)
    for reverse in (False, True):
        run = partial(a_closed_gate_removes_positions, reverse)
        yield Case("scan", f"closed gate, {'leftward' if reverse else 'rightward'}", FLOAT, run)
    yield Case("scan", "states kept or not", FLOAT, keeping_states_changes_nothing)


def _name(sizes: list[int], reverse: bool, gated: bool) -> str:
    batch, channels, states, length = sizes
    direction = "leftward" if reverse else "rightward"
    return f"{(batch, channels, length)}, N {states}, {direction}{', gated' if gated else ''}"


def full_cases() -> Iterator[Case]:
    """The size of use, and one beyond 2^31 numbers, on a GPU."""
    for reverse in (False, True):
        for dtype in (FLOAT, BF16):  # few channels, since the oracle takes memory
            sizes = [2, 16, 16, 200_000]
            run = partial(
                agrees, *sizes, reverse, False, dtype, seed=0, settings={}, oracle=chunked_scan
            )
            yield Case("scan", _name(sizes, reverse, False), dtype, run)
        for sizes in ([8, 256, 16, 200_000], [44, 256, 16, 200_000]):
            run = partial(last_channels_agree, tuple(sizes), reverse)
            yield Case("scan, last channels", _name(sizes, reverse, False), BF16, run)


def last_channels_agree(sizes: tuple[int, int, int, int], reverse: bool) -> list[Error]:
    """Errors of the last channels of the last sequence, to which no other adds."""
    inputs = make_inputs(*sizes, False, BF16, 0)
    found = scan(inputs, reverse)
    found = {name: found[name][-1:, -2:].clone() for name in ("y", "dx", "ddelta")}
    few = ScanInputs(
        *(tensor[-1:, -2:] for tensor in inputs[:2]),
        inputs.A[-2:],
        *(tensor[-1:] for tensor in (inputs.B, inputs.C)),
        *(tensor[-2:] for tensor in (inputs.D, inputs.delta_bias)),
    )
    weight = normal(99, *inputs.x.shape).bfloat16()[-1:, -2:].double()
    doubles = [tensor.double().requires_grad_() for tensor in few if tensor is not None]
    y = chunked_scan(*doubles, reverse=reverse)
    dx, ddelta = torch.autograd.grad(y, doubles[:2], weight)
    return errors(found, {"y": y.detach(), "dx": dx, "ddelta": ddelta}, {"y"}, True)
