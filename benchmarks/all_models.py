"""Does every kind of model train here? python -m benchmarks.all_models --help.

Trains each kind of the registry at a tiny size (tests/tiny_models.py) on one random batch, once
from each seed, in bfloat16 on a GPU and in float32 on a CPU. Shows the first and the last loss, and
steps a second, which at this size tell how fast kernels are started and no more. Exits with 1 if a
loss is not finite or does not fall.
"""

import argparse
import math
import sys
import time
from typing import Any

import torch

from benchmarks.measure import machine, parser, print_table, write_json
from seq2exp.errors import UserError
from tests.tiny_models import SETTINGS, new_batch, new_model, on, train


def measure(args: argparse.Namespace, kind: str, seed: int) -> dict[str, Any]:
    """Train one model; the first step, which compiles kernels, is left out of the time."""
    batch, in_bfloat16 = on(new_batch(), args.device), args.device == "cuda"
    train(new_model(kind, seed).to(args.device), batch, 1, in_bfloat16=in_bfloat16)
    started = time.perf_counter()
    model = new_model(kind, seed).to(args.device)
    losses = train(model, batch, args.steps, in_bfloat16=in_bfloat16)
    seconds = time.perf_counter() - started
    good = all(map(math.isfinite, losses)) and losses[-1] < losses[0]
    rate = len(losses) / seconds
    result = {"kind": kind, "seed": seed, "first": losses[0], "last": losses[-1]}
    return {**result, "steps_per_second": rate, "good": good}


def parse() -> argparse.Namespace:
    options = parser(__doc__)
    options.set_defaults(device="cuda" if torch.cuda.is_available() else "cpu")
    options.add_argument("--kinds", nargs="+", choices=sorted(SETTINGS), default=sorted(SETTINGS))
    options.add_argument("--seeds", nargs="+", type=int, default=[2, 22, 222])
    options.add_argument("--steps", type=int, default=20)
    return options.parse_args()


def main() -> int:
    args = parse()
    torch.set_num_threads(args.threads)
    print(f"{machine(args.device)}: {args.steps} steps each")
    rows, left_out = [], []
    for kind in args.kinds:
        try:
            rows += [measure(args, kind, seed) for seed in args.seeds]
        except UserError as error:
            left_out.append(f"{kind} is left out: {error}")
    table = [
        [
            f"{row['kind']}, seed {row['seed']}",
            f"{row['first']:.3f}",
            f"{row['last']:.3f}",
            f"{row['steps_per_second']:.1f}",
            "" if row["good"] else "FAILED",
        ]
        for row in rows
    ]
    print_table(["model", "first loss", "last loss", "steps/s", ""], table)
    print(*left_out, sep="\n", end="\n" if left_out else "")
    write_json(args.json, {"rows": rows, "left_out": left_out})
    return 0 if all(row["good"] for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
