"""Time of the GPU kernels alone, at the size of use: python -m benchmarks.gpu_kernels --help.

Milliseconds are medians, by the card's own clock. GB/s counts every input read once and every
output written once; `copy` is what the card does when it does nothing else. The scan is bound by
arithmetic: compare its milliseconds, and its tilings with --sweep.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from seq2exp.scan import ScanInputs

Pass = Callable[[], Any]


def normal(*shape: int, dtype: torch.dtype = torch.bfloat16) -> Tensor:
    return torch.randn(*shape, device="cuda", dtype=dtype)


def milliseconds(run: Pass, repeats: int) -> float:
    """Median; the first run compiles and is not counted."""
    run()
    times = []
    for _ in range(repeats):
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        run()
        end.record()
        torch.cuda.synchronize()
        times.append(start.elapsed_time(end))
    return sorted(times)[len(times) // 2]


def measure(
    name: str, forward: Pass, backward: Pass, tensors: tuple[int, int], args: argparse.Namespace
) -> dict[str, Any]:
    """A row: both passes, given how many bf16 tensors of the whole size each reads or writes."""
    size = 2 * args.batch * args.channels * args.length
    row: dict[str, Any] = {"kernel": name}
    for key, run, count in (("forward", forward, tensors[0]), ("backward", backward, tensors[1])):
        time = milliseconds(run, args.repeats)
        row[key] = {"ms": time, "GB/s": count * size / time / 1e6}
    return row


def differentiable(function: Callable[..., Any], inputs: list[Tensor]) -> tuple[Pass, Pass]:
    """Forward without gradients; backward alone."""
    leaves = [tensor.detach().requires_grad_() for tensor in inputs]
    outputs = function(*leaves)
    outputs = outputs if isinstance(outputs, tuple) else (outputs,)
    gradients = [torch.randn_like(output) for output in outputs]

    def forward() -> None:
        with torch.no_grad():
            function(*inputs)

    def backward() -> None:
        torch.autograd.grad(outputs, leaves, gradients, retain_graph=True)

    return forward, backward


def fused_rows(args: argparse.Namespace) -> Iterator[dict[str, Any]]:
    from seq2exp import fused

    batch, channels, length = shape = args.batch, args.channels, args.length
    x = normal(*shape)
    copy = torch.empty_like(x)
    yield measure("copy", lambda: copy.copy_(x), lambda: copy.copy_(x), (2, 2), args)
    taps, bias = normal(channels, 4, dtype=torch.float32), normal(channels, dtype=torch.float32)
    for leftward in (False, True):

        def conv(x: Tensor, taps: Tensor, bias: Tensor, leftward: bool = leftward) -> Tensor:
            return fused.conv_silu(x, taps, bias, leftward=leftward)

        name = f"conv_silu, {'leftward' if leftward else 'rightward'}"
        yield measure(name, *differentiable(conv, [x, taps, bias]), (2, 3), args)
    yield measure("gate_silu", *differentiable(fused.gate_silu, [x, copy]), (3, 5), args)

    def norm(residual: Tensor, hidden: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
        return fused.add_rms_norm(residual, hidden, weight, 1e-5, torch.bfloat16)

    width = channels // 2  # so that a float32 tensor is of the size counted
    rows = (batch, length, width)
    inputs = [normal(*rows, dtype=torch.float32), normal(*rows), torch.ones(width, device="cuda")]
    yield measure("add_rms_norm", *differentiable(norm, inputs), (3, 4), args)


def scan_inputs(args: argparse.Namespace) -> ScanInputs:
    shape = args.batch, args.channels, args.length
    rates = -torch.arange(1.0, args.states + 1, device="cuda")  # Mamba's initial A
    ones = torch.ones(args.channels, device="cuda")
    return ScanInputs(
        normal(*shape),
        normal(*shape),
        rates.repeat(args.channels, 1),
        normal(args.batch, args.states, args.length),
        normal(args.batch, args.states, args.length),
        ones,
        -4.6 * ones,  # softplus(-4.6) = 0.01
    )


def scan_rows(args: argparse.Namespace) -> Iterator[dict[str, Any]]:
    from seq2exp.scan import triton
    from seq2exp.scan.triton import Tiles

    inputs = scan_inputs(args)
    dy = torch.randn_like(inputs.x)
    for reverse in (False, True):
        states = triton.forward(inputs, reverse=reverse, keep=True)[1]

        def forward(reverse: bool = reverse) -> None:
            triton.forward(inputs, reverse=reverse, keep=True)

        def backward(reverse: bool = reverse, states: Tensor = states) -> None:
            triton.backward(dy, states, inputs, reverse=reverse)

        name = "scan, leftward" if reverse else "scan, rightward"
        yield measure(name, forward, backward, (3, 5), args)
    if not args.sweep:
        return
    for pieces, warps, channels in product((1, 2), (1, 2, 4, 8), (1, 2)):
        triton.FORWARD = triton.BACKWARD = Tiles(warps, channels)
        triton.PIECES = pieces  # of the forward pass
        name = f"scan, {warps} warps of {channels}, {pieces} pieces"
        yield measure(name, forward, backward, (3, 5), args)


def mamba_ssm_rows(args: argparse.Namespace) -> Iterator[dict[str, Any]]:
    from seq2exp.scan.mamba_ssm import mamba_ssm_scan

    inputs = [tensor for tensor in scan_inputs(args) if tensor is not None]
    yield measure("mamba_ssm's scan", *differentiable(mamba_ssm_scan, inputs), (3, 5), args)


ROWS = {"fused": fused_rows, "scan": scan_rows, "mamba_ssm": mamba_ssm_rows}


def print_row(row: dict[str, Any]) -> None:
    passes = [f"{row[key]['ms']:9.2f} {row[key]['GB/s']:7.0f}" for key in ("forward", "backward")]
    print(f"{row['kernel']:32} {' '.join(passes)}", flush=True)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--channels", type=int, default=256)
    parser.add_argument("--states", type=int, default=16)
    parser.add_argument("--length", type=int, default=200_000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--kernels", nargs="+", choices=ROWS, default=["fused", "scan"])
    parser.add_argument("--sweep", action="store_true", help="also other tilings of the scan")
    parser.add_argument("--json", type=Path, help="also write the numbers here")
    return parser.parse_args()


def main() -> None:
    args = parse()
    print(f"{torch.cuda.get_device_name()}, ({args.batch}, {args.channels}, {args.length}) bf16")
    print(f"{'kernel':32} {'fwd ms':>9} {'GB/s':>7} {'bwd ms':>9} {'GB/s':>7}")
    rows = []
    for name in args.kernels:
        for row in ROWS[name](args):
            print_row(row)
            rows.append(row)
        torch.cuda.empty_cache()
    if args.json:
        result = {"device": torch.cuda.get_device_name(), "rows": rows}
        args.json.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
