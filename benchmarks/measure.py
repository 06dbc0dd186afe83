"""What all benchmarks share: seconds, memory, the machine's own ceilings, and tables."""

import argparse
import json
import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch

from seq2exp.process import prepare_process


def alone(function: Callable[..., Any], *arguments: Any) -> Any:
    """Call a function in a fresh process, so that no other's memory and warm caches help it.

    The process is set up as a workflow's jobs are.
    """
    with get_context("spawn").Pool(1, prepare_process) as pool:
        return pool.apply(function, arguments)


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
    """Least wall time of some runs; the first use of a kernel should lie behind."""
    return min(seconds_of(run, device) for _ in range(repeats))


def seconds_of(run: Callable[[], None], device: str = "cpu") -> float:
    """Wall time of one run."""
    if device == "cuda":
        torch.cuda.synchronize()
    start = time.perf_counter()
    run()
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - start


# --------------------------------------------------------------------------- ceilings


def exponentials_per_second(threads: int) -> float:
    """How fast the CPU kernels' exp2 runs out of registers: the scan's arithmetic ceiling."""
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


def bytes_per_second(device: str) -> float:
    """STREAM triad, a = b + s c, on arrays that no cache holds."""
    count = 32_000_000 if device == "cpu" else 1_000_000_000
    b, c, a = (torch.ones(count, device=device) for _ in range(3))
    return 3 * 4 * count / best_seconds(lambda: torch.add(b, c, alpha=2.0, out=a), device, 5)


def flops_per_second(device: str, dtype: torch.dtype) -> float:
    """Rate of a large square matrix product of random numbers."""
    size = 2048 if device == "cpu" else 8192
    a, b = (torch.randn(size, size, device=device).to(dtype) for _ in range(2))
    torch.mm(a, b)
    return 2 * size**3 / best_seconds(lambda: torch.mm(a, b), device, 5)


def arithmetic(device: str) -> torch.dtype:
    """In which networks compute there."""
    return torch.bfloat16 if device == "cuda" else torch.float32


def rates(device: str, threads: int) -> dict[str, float]:
    """What the machine does a second, under the names of benchmarks.counts."""
    torch.set_num_threads(threads)
    found = {
        "flops": flops_per_second(device, arithmetic(device)),
        "bytes": bytes_per_second(device),
    }
    if device == "cpu":
        found["exponentials"] = exponentials_per_second(threads)
    return found


# --------------------------------------------------------------------------- command lines, tables


def parser(description: str | None) -> argparse.ArgumentParser:
    """Options of every benchmark."""
    made = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument("--threads", type=int, default=2)
    made.add_argument("--repeats", type=int, default=3)
    made.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    made.add_argument("--json", type=Path, help="also write the numbers here")
    return made


def machine(device: str) -> str:
    """Name of the processor that computes."""
    if device == "cuda":
        return torch.cuda.get_device_name()
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    names = {line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")}
    return f"{', '.join(sorted(names))}, {os.cpu_count()} CPUs"


def print_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print columns: the first to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    for row in (header, *rows):
        first, *rest = (cell.ljust if i == 0 else cell.rjust for i, cell in enumerate(row))
        print("  ".join([first(widths[0]), *(f(w) for f, w in zip(rest, widths[1:], strict=True))]))


def write_json(path: Path | None, result: Any) -> None:
    if path:
        path.write_text(json.dumps(result, indent=1) + "\n")
