"""Check the Triton kernels against float64: python -m benchmarks.check_kernels --help.

On a GPU if there is one, otherwise in Triton's interpreter. Needs torch, triton and numpy only.
Exits with 1 if an error exceeds its tolerance.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

if not torch.cuda.is_available():
    os.environ["TRITON_INTERPRET"] = "1"  # read when triton is imported

if TYPE_CHECKING:
    from tests.kernels.compare import Case


def chosen_cases(args: argparse.Namespace) -> Iterator[Case]:
    from tests.kernels import fused, scan

    for module in (scan, fused):
        if module.__name__.split(".")[-1] in args.kernels:
            if args.full:
                yield from module.full_cases()
                yield from module.cases(12)  # each is compiled anew: a few seconds
            else:
                yield from module.cases()


def check(case: Case) -> dict[str, Any]:
    """Run a case; its errors, or the exception's message."""
    start = time.perf_counter()
    row: dict[str, Any] = {"kernel": case.kernel, "name": case.name, "dtype": str(case.dtype)}
    try:
        found = case.run()
    except Exception as error:
        row |= {"errors": [], "ok": False, "failure": f"{type(error).__name__}: {error}"}
    else:
        row["errors"] = [error._asdict() for error in found]
        row["ok"] = all(error.error <= error.tolerance for error in found)  # never with NaN
    row["seconds"] = round(time.perf_counter() - start, 2)
    return row


def print_failures(rows: list[dict[str, Any]]) -> None:
    for row in rows:
        if row["ok"]:
            continue
        wrong = [e for e in row["errors"] if not e["error"] <= e["tolerance"]]
        what = ", ".join(f"{e['name']} {e['error']:.1e} > {e['tolerance']:.0e}" for e in wrong)
        what = what or row["failure"]
        print(f"FAILED {row['kernel']} {row['name']}, {row['dtype']}: {what}")


def print_worst(rows: list[dict[str, Any]]) -> None:
    """The largest error of each tensor over all cases of a kernel and dtype."""
    groups = sorted({(row["kernel"], row["dtype"]) for row in rows})
    for kernel, dtype in groups:
        own = [row for row in rows if (row["kernel"], row["dtype"]) == (kernel, dtype)]
        worst: dict[str, float] = {}
        for error in (error for row in own for error in row["errors"]):
            worst[error["name"]] = max(worst.get(error["name"], 0.0), error["error"])
        shown = ", ".join(f"{name} {value:.0e}" for name, value in worst.items())
        print(f"{kernel} {dtype.removeprefix('torch.')}, {len(own)} cases, worst: {shown}")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kernels", nargs="+", default=["scan", "fused"])
    parser.add_argument(
        "--full", action="store_true", help="the size of use, on a GPU, and fewer small ones"
    )
    parser.add_argument("--json", type=Path, help="also write every error here")
    return parser.parse_args()


def main() -> None:
    args = parse()
    rows = [check(case) for case in chosen_cases(args)]
    print_failures(rows)
    print_worst(rows)
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "interpreter"
    failed = sum(not row["ok"] for row in rows)
    seconds = sum(row["seconds"] for row in rows)
    print(f"{device}: {len(rows)} cases, {failed} failed, {seconds:.0f} s")
    if args.json:
        args.json.write_text(json.dumps({"device": device, "cases": rows}, indent=1) + "\n")
    sys.exit(bool(failed))


if __name__ == "__main__":
    main()
