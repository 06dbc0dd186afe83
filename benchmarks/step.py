"""Time and memory of the whole Seq2Exp-soft model: python -m benchmarks.step --help.

Predicting a window without gradients, and (with --training, always on a GPU) one training step of
the paper's recipe: forward, loss, backward, AdamW. Ours against the plain arrangement
(benchmarks/plain.py) with the same scan, and on a GPU with mamba-ssm's kernels where they are
installed. Each in a process of its own, with the same weights; seconds are the best of --repeats.
Compare within one run only.
"""

import argparse
from typing import Any

import torch

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
from benchmarks.plain import PlainBackbone, has_mamba_kernels
from seq2exp.model_config import Seq2ExpSoftConfig
from seq2exp.models.interface import InputShape
from seq2exp.models.seq2exp_soft import Seq2ExpSoft
from seq2exp.packing import Batch

OURS = "ours"
PROMOTER = 2_000


def make_model(args: argparse.Namespace, arrangement: str) -> Seq2ExpSoft:
    torch.manual_seed(0)
    shape = InputShape(args.length, min(PROMOTER, args.length // 4), n_gene_features=9)
    model = Seq2ExpSoft(Seq2ExpSoftConfig(d_model=args.width), shape)
    if arrangement != OURS:
        scan = arrangement.removeprefix("plain, ")
        model.generator.backbone = PlainBackbone(model.generator.backbone, scan)  # type: ignore[assignment]
        model.predictor = PlainBackbone(model.predictor, scan)  # type: ignore[assignment]
    return model.to(args.device)


def make_batch(args: argparse.Namespace, length: int) -> Batch:
    generator = torch.Generator().manual_seed(1)
    base = torch.randint(4, (args.batch, length), generator=generator)
    return Batch(
        sequence=torch.nn.functional.one_hot(base, 4).float().to(args.device),
        signals=torch.rand(args.batch, length, 3, generator=generator).to(args.device),
        gene_features=torch.randn(args.batch, 9, generator=generator).to(args.device),
        blacklist=torch.zeros(args.batch, length, dtype=torch.bool).to(args.device),
        label=torch.rand(args.batch, generator=generator).to(args.device),
        index=torch.arange(args.batch).to(args.device),
    )


def measure(args: argparse.Namespace, arrangement: str, training: bool) -> dict[str, Any]:
    torch.set_num_threads(args.threads)
    batch = make_batch(args, args.length)
    model = make_model(args, arrangement).train(training)
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-4)
    autocast = torch.autocast(args.device, torch.bfloat16, enabled=args.device == "cuda")

    def step() -> None:
        with autocast, torch.set_grad_enabled(training):
            output = model(batch)
        if training:
            model.loss(output, batch.label).total.backward()
            optimizer.step()
            optimizer.zero_grad()

    warm_up(args, arrangement, training, autocast)
    peak = peak_extra_bytes(step, args.device)
    seconds = best_seconds(step, args.device, args.repeats)
    return {"arrangement": arrangement, "peak_bytes": peak, "seconds": seconds}


def warm_up(
    args: argparse.Namespace, arrangement: str, training: bool, autocast: torch.autocast
) -> None:
    """Compile what is to be compiled, on short windows."""
    short = argparse.Namespace(**{**vars(args), "length": 1024})
    model = make_model(short, arrangement)
    with autocast, torch.set_grad_enabled(training):
        prediction = model(make_batch(short, short.length)).prediction
    if training:
        prediction.sum().backward()


def floor(args: argparse.Namespace, training: bool) -> dict[str, float]:
    """Least seconds of all layers by what is counted, at the machine's own rates."""
    size = {"d": args.width, "width": arithmetic(args.device).itemsize, "backward": training}
    config = Seq2ExpSoftConfig()
    layers = config.generator_layers + config.predictor_layers
    counts = layer_counts(args.batch * args.length, **size).times(layers)
    return counts.least_seconds(rates(args.device, args.threads))


def show(name: str, rows: list[dict[str, Any]], least: dict[str, float]) -> None:
    ours = rows[0]
    table = [
        [
            row["arrangement"],
            f"{row['seconds']:.3f}",
            f"{row['seconds'] / ours['seconds']:.2f}",
            f"{row['peak_bytes'] / 1e9:.2f}",
            # of the smallest sizes nothing may be seen beyond what the process has
            f"{row['peak_bytes'] / ours['peak_bytes']:.2f}" if ours["peak_bytes"] else "-",
        ]
        for row in rows
    ]
    print_table([name, "seconds", "x", "GB", "x"], table)
    shares = ", ".join(f"{n} {s:.3f} s = {s / ours['seconds']:.0%}" for n, s in least.items())
    print(
        f"x: times ours; GB: peak beyond weights and input. Least time by what is counted: {shares}"
    )


def parse() -> argparse.Namespace:
    options = parser(__doc__)
    options.add_argument("--length", type=int, default=200_000)
    options.add_argument("--batch", type=int, help="default: 1 on a CPU, 8 on a GPU")
    options.add_argument("--width", type=int, default=128)
    options.add_argument("--training", action="store_true", help="training too, on a CPU")
    args = options.parse_args()
    args.batch = args.batch or (8 if args.device == "cuda" else 1)
    return args


def main() -> None:
    args = parse()
    print(f"{machine(args.device)}: batch {args.batch}, {args.length} positions, d {args.width}")
    arrangements = [OURS, "plain, auto"]
    if args.device == "cuda" and has_mamba_kernels():
        arrangements.insert(1, "plain, mamba_inner")
    result: dict[str, Any] = {"settings": {k: v for k, v in vars(args).items() if k != "json"}}
    parts = [("predict", False)]
    if args.training or args.device == "cuda":
        parts.append(("train", True))
    for name, training in parts:
        rows = [alone(measure, args, arrangement, training) for arrangement in arrangements]
        least = alone(floor, args, training)
        show(name, rows, least)
        result[name] = {"rows": rows, "floor": least}
    write_json(args.json, result)


if __name__ == "__main__":
    main()
