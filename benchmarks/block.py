"""Time and memory of one bidirectional layer: python -m benchmarks.block --help.

Ours against the plain arrangement (benchmarks/plain.py), the latter with the same scan, with the
chunked PyTorch scan, and on a GPU with mamba-ssm's kernels where they are installed. Each in a
process of its own, with the same weights; seconds are the best of --repeats. Compare within one
run only.
"""

import argparse
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.counts import layer_counts
from benchmarks.measure import (
    alone,
    arithmetic,
    best_seconds,
    machine,
    parser,
    peak_extra_bytes,
    print_table,
    rates,
    write_json,
)
from benchmarks.plain import PlainLayer, has_mamba_kernels
from seq2exp.caduceus import Layer

OURS = "ours"


def make_layer(args: argparse.Namespace, arrangement: str) -> nn.Module:
    torch.manual_seed(0)
    layer = Layer(args.width, n_layers=4, d_state=16, d_conv=4, expand=2).to(args.device)
    if arrangement == OURS:
        return layer
    return PlainLayer(layer, arrangement.removeprefix("plain, "))


def measure(args: argparse.Namespace, arrangement: str) -> dict[str, Any]:
    torch.set_num_threads(args.threads)
    layer = make_layer(args, arrangement)
    shape = (args.batch, args.length, args.width)
    u, weight = (torch.randn(shape, device=args.device) for _ in range(2))
    u.requires_grad_()
    autocast = torch.autocast(args.device, torch.bfloat16, enabled=args.device == "cuda")

    def run(u: Tensor) -> Tensor:
        with autocast:
            if arrangement == OURS:
                residual, out = layer(u, None)
                return residual + out
            return layer(u)

    def forward() -> None:
        with torch.no_grad():
            run(u)

    def forward_backward() -> None:
        torch.autograd.grad(run(u), [u, *layer.parameters()], weight)

    short = u[:, :256].detach().requires_grad_()
    torch.autograd.grad(run(short).sum(), short)  # compiles what is to be compiled
    return {
        "arrangement": arrangement,
        "forward_peak_bytes": peak_extra_bytes(forward, args.device),
        "backward_peak_bytes": peak_extra_bytes(forward_backward, args.device),
        "forward": best_seconds(forward, args.device, args.repeats),
        "forward_backward": best_seconds(forward_backward, args.device, args.repeats),
    }


def floors(args: argparse.Namespace) -> dict[str, dict[str, float]]:
    """Least seconds by what is counted, at the machine's own rates."""
    known = rates(args.device, args.threads)
    size = {"d": args.width, "width": arithmetic(args.device).itemsize}
    return {
        key: layer_counts(args.batch * args.length, **size, backward=backward).least_seconds(known)
        for key, backward in (("forward", False), ("forward_backward", True))
    }


def show(rows: list[dict[str, Any]], floor: dict[str, dict[str, float]]) -> None:
    ours = rows[0]
    table = [
        [
            row["arrangement"],
            f"{row['forward']:.3f}",
            f"{row['forward'] / ours['forward']:.2f}",
            f"{row['forward_backward']:.3f}",
            f"{row['forward_backward'] / ours['forward_backward']:.2f}",
            f"{row['forward_peak_bytes'] / 1e6:.0f}",
            f"{row['backward_peak_bytes'] / 1e6:.0f}",
            # of the smallest sizes nothing may be seen beyond what the process has
            f"{row['backward_peak_bytes'] / ours['backward_peak_bytes']:.2f}"
            if ours["backward_peak_bytes"]
            else "-",
        ]
        for row in rows
    ]
    header = ["arrangement", "forward s", "x", "+backward s", "x", "MB", "+backward MB", "x"]
    print_table(header, table)
    print(f"x: times ours; MB: peak beyond the input. {OURS} of the least time by what is counted:")
    for key, least in floor.items():
        shares = ", ".join(f"{n} {s:.3f} s = {s / ours[key]:.0%}" for n, s in least.items())
        print(f"  {key} {ours[key]:.3f} s: {shares}")


def parse() -> argparse.Namespace:
    options = parser(__doc__)
    options.add_argument("--length", type=int, default=50_000)
    options.add_argument("--batch", type=int, help="default: 1 on a CPU, 8 on a GPU")
    options.add_argument("--width", type=int, default=128)
    args = options.parse_args()
    args.batch = args.batch or (8 if args.device == "cuda" else 1)
    return args


def main() -> None:
    args = parse()
    print(f"{machine(args.device)}: batch {args.batch}, {args.length} positions, d {args.width}")
    others = ["plain, auto", "plain, chunked"]
    if args.device == "cuda" and has_mamba_kernels():
        others.insert(0, "plain, mamba_inner")
    rows = [alone(measure, args, arrangement) for arrangement in (OURS, *others)]
    floor = alone(floors, args)
    show(rows, floor)
    settings = {k: v for k, v in vars(args).items() if k != "json"}
    write_json(args.json, {"settings": settings, "rows": rows, "floors": floor})


if __name__ == "__main__":
    main()
