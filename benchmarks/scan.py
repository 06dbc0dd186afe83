"""Time and memory of the selective scan's backends: python -m benchmarks.scan --help.

Each backend and length runs in a process of its own, so that one's memory and warm caches do
not help another. Seconds are the best of --repeats; compare them within one run only.
"""

import argparse
from typing import Any

import torch
from torch import Tensor

from benchmarks.measure import (
    alone,
    best_seconds,
    bytes_per_second,
    exponentials_per_second,
    parser,
    peak_extra_bytes,
    write_json,
)
from seq2exp.scan import available_backends, selective_scan

# one backend is the yardstick of the ratios
BASELINE = "chunked"


def make_inputs(args: argparse.Namespace, length: int) -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    batch, channels, states = args.batch, args.channels, args.states

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator)

    rates = -torch.arange(1.0, states + 1).expand(channels, states)  # Mamba's initial A
    inputs = [
        normal(batch, channels, length),
        normal(batch, channels, length),
        rates.contiguous(),
        normal(batch, states, length),
        normal(batch, states, length),
        torch.ones(channels),
        torch.full((channels,), -4.6),  # softplus(-4.6) = 0.01
    ]
    return [tensor.to(args.device).requires_grad_() for tensor in inputs]


def measure(args: argparse.Namespace, backend: str, length: int) -> dict[str, Any]:
    torch.set_num_threads(args.threads)
    inputs = make_inputs(args, length)
    weight = torch.randn(inputs[0].shape, device=args.device)

    def forward() -> None:
        with torch.no_grad():
            selective_scan(*inputs, reverse=args.reverse, backend=backend)

    def forward_backward() -> None:
        y = selective_scan(*inputs, reverse=args.reverse, backend=backend)
        torch.autograd.grad(y, inputs, weight)

    with torch.no_grad():  # compiles what is to be compiled, on a short piece
        short = [v[..., :64].contiguous() if v.dim() == 3 else v.detach() for v in inputs]
    short = [v.detach().requires_grad_() for v in short]
    y = selective_scan(*short, reverse=args.reverse, backend=backend)
    torch.autograd.grad(y.sum(), short)
    return {
        "backend": backend,
        "length": length,
        "peak_extra_bytes": peak_extra_bytes(forward_backward, args.device),
        "forward": best_seconds(forward, args.device, args.repeats),
        "forward_backward": best_seconds(forward_backward, args.device, args.repeats),
    }


def ceiling_seconds(args: argparse.Namespace, length: int) -> dict[str, dict[str, float]]:
    """Least seconds of the CPU kernel by arithmetic and by memory, forward and with backward.

    Forward: one exponential a state update; x, delta read, y written. Backward: the
    exponentials again (the states are recomputed); x, delta, dy read, two gradients written.
    B, C and checkpoints are under a tenth of that and left out.
    """
    exponentials = args.batch * args.channels * args.states * length
    floats = args.batch * args.channels * length
    torch.set_num_threads(args.threads)
    rate, bandwidth = exponentials_per_second(args.threads), bytes_per_second("cpu")
    return {
        "forward": {"exp": exponentials / rate, "memory": 4 * 3 * floats / bandwidth},
        "forward_backward": {
            "exp": 2 * exponentials / rate,
            "memory": 4 * 8 * floats / bandwidth,
        },
    }


def print_table(rows: list[dict[str, Any]]) -> None:
    baseline = {row["length"]: row for row in rows if row["backend"] == BASELINE}
    print(
        f"{'backend':10} {'length':>8} {'forward':>9} {'+backward':>10} {'x':>6} {'x':>6} {'MB':>7}"
    )
    for row in rows:
        base = baseline.get(row["length"])
        ratios = [
            f"{base[key] / row[key]:.1f}" if base else "-"
            for key in ("forward", "forward_backward")
        ]
        print(
            f"{row['backend']:10} {row['length']:8d} {row['forward']:9.4f} "
            f"{row['forward_backward']:10.4f} {ratios[0]:>6} {ratios[1]:>6} "
            f"{row['peak_extra_bytes'] / 1e6:7.0f}"
        )
    print(f"seconds; x: times as fast as {BASELINE}; MB: peak beyond the inputs, with backward")


def print_linearity(rows: list[dict[str, Any]], backend: str) -> None:
    own = [row for row in rows if row["backend"] == backend]
    for key in ("forward", "forward_backward"):
        costs = ", ".join(f"{1e6 * row[key] / row['length']:.2f} ({row['length']})" for row in own)
        print(f"{backend} {key}: microseconds a position (length): {costs}")


def print_ceilings(row: dict[str, Any], ceilings: dict[str, dict[str, float]]) -> None:
    for key, least in ceilings.items():
        shares = ", ".join(f"{name} {s:.3f} s = {s / row[key]:.0%}" for name, s in least.items())
        print(
            f"{row['backend']} {key} at {row['length']}, {row[key]:.3f} s; of it, at least: {shares}"
        )


def parse() -> argparse.Namespace:
    options = parser(__doc__)
    options.add_argument("--lengths", type=int, nargs="+", default=[16_000, 64_000, 200_000])
    options.add_argument("--batch", type=int, default=1)
    options.add_argument("--channels", type=int, default=256)
    options.add_argument("--states", type=int, default=16)
    options.add_argument("--reverse", action="store_true")
    options.add_argument("--backends", nargs="+", help="default: all but the reference")
    return options.parse_args()


def main() -> None:
    args = parse()
    usable = [name for name in available_backends(args.device) if name != "reference"]
    backends = args.backends or usable
    rows = []
    for length in args.lengths:
        for backend in backends:
            rows.append(alone(measure, args, backend, length))
    print_table(rows)
    print_linearity(rows, backends[0])
    result: dict[str, Any] = {"rows": rows}
    if args.device == "cpu" and backends[0] == "cpu":
        result["ceilings"] = ceiling_seconds(args, args.lengths[-1])
        last = next(r for r in reversed(rows) if r["backend"] == "cpu")
        print_ceilings(last, result["ceilings"])
    write_json(args.json, result)


if __name__ == "__main__":
    main()
