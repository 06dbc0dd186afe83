"""Time and memory of the selective scan's backends: python -m benchmarks.scan --help.

Each backend and length runs in a process of its own, so that one's memory and warm caches do
not help another. Seconds are the best of --repeats; compare them within one run only.
"""

import argparse
import json
import time
from collections.abc import Callable
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

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


def status_bytes(field: str) -> int:
    """A field of /proc/self/status, which counts in kB."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return 1024 * int(line.split()[1])
    raise LookupError(field)


def peak_extra_bytes(run: Callable[[], None], device: str) -> int:
    """Most memory in use during a run, beyond what was in use before."""
    if device == "cuda":
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        run()
        torch.cuda.synchronize()
        return torch.cuda.max_memory_allocated() - before
    Path("/proc/self/clear_refs").write_text("5")  # sets VmHWM back to VmRSS
    before = status_bytes("VmRSS")
    run()
    return status_bytes("VmHWM") - before


def best_seconds(run: Callable[[], None], device: str, repeats: int) -> float:
    seconds = []
    for _ in range(repeats):
        if device == "cuda":
            torch.cuda.synchronize()
        start = time.perf_counter()
        run()
        if device == "cuda":
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


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


def exponentials_per_second(threads: int) -> float:
    """How fast the CPU kernel's exp2 runs out of registers: the scan's arithmetic ceiling."""
    from concurrent.futures import ThreadPoolExecutor

    import numpy as np
    from numba import njit

    from seq2exp.scan.simd import LANES, exp2, load, store

    @njit(nogil=True)
    def kernel(values, count):
        a, b, c, d = (load(values, 0), load(values, 16), load(values, 32), load(values, 48))
        for _ in range(count):
            a, b, c, d = exp2(a) - a, exp2(b) - b, exp2(c) - c, exp2(d) - d
        store(values, 0, a + b + c + d)

    count = 5_000_000
    blocks = [np.full(64, -0.5, np.float32) for _ in range(threads)]
    kernel(blocks[0].copy(), 1)
    with ThreadPoolExecutor(threads) as pool:
        start = time.perf_counter()
        list(pool.map(lambda block: kernel(block, count), blocks))
    return threads * count * 4 * LANES / (time.perf_counter() - start)


def bytes_per_second(threads: int) -> float:
    """STREAM triad, a = b + s c, on arrays that no cache holds."""
    torch.set_num_threads(threads)
    b, c, a = (torch.ones(32_000_000) for _ in range(3))
    torch.add(b, c, alpha=2.0, out=a)
    return 3 * 4 * len(a) / best_seconds(lambda: torch.add(b, c, alpha=2.0, out=a), "cpu", 5)


def ceiling_seconds(args: argparse.Namespace, length: int) -> dict[str, dict[str, float]]:
    """Least seconds of the CPU kernel by arithmetic and by memory, forward and with backward.

    Forward: one exponential a state update; x, delta read, y written. Backward: the
    exponentials again (the states are recomputed); x, delta, dy read, two gradients written.
    B, C and checkpoints are under a tenth of that and left out.
    """
    exponentials = args.batch * args.channels * args.states * length
    floats = args.batch * args.channels * length
    rate, bandwidth = exponentials_per_second(args.threads), bytes_per_second(args.threads)
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
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lengths", type=int, nargs="+", default=[16_000, 64_000, 200_000])
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--channels", type=int, default=256)
    parser.add_argument("--states", type=int, default=16)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--reverse", action="store_true")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--backends", nargs="+", help="default: all but the reference")
    parser.add_argument("--json", type=Path, help="also write the numbers here")
    return parser.parse_args()


def main() -> None:
    args = parse()
    usable = [name for name in available_backends(args.device) if name != "reference"]
    backends = args.backends or usable
    rows = []
    for length in args.lengths:
        for backend in backends:
            with get_context("spawn").Pool(1) as pool:
                rows.append(pool.apply(measure, (args, backend, length)))
    print_table(rows)
    print_linearity(rows, backends[0])
    result: dict[str, Any] = {"rows": rows}
    if args.device == "cpu" and backends[0] == "cpu":
        result["ceilings"] = ceiling_seconds(args, args.lengths[-1])
        last = next(r for r in reversed(rows) if r["backend"] == "cpu")
        print_ceilings(last, result["ceilings"])
    if args.json:
        args.json.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
