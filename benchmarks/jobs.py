"""Memory and time of jobs that run a model on a CPU: python -m benchmarks.jobs --help.

What `seq2exp.resources` estimates, measured. Two training steps (forward, loss, backward, AdamW), or
two predictions, on batches as the window store gives them. Each in a process of its own that is set
up as a workflow's jobs are. Seconds are those of the second step. Memory is the most that was in use
beyond what the process held before: as such, in float32 numbers a base and unit of d_model, and as
the share of what is estimated.
"""

import argparse
from collections.abc import Callable
from typing import Any, NamedTuple

import torch

from benchmarks.measure import (
    alone,
    machine,
    parser,
    peak_extra_bytes,
    print_table,
    seconds_of,
    status_bytes,
    write_json,
)
from seq2exp.model_config import CaduceusConfig, Seq2ExpSoftConfig
from seq2exp.models import InputShape, build_model
from seq2exp.packing import PackedBatch, unpack
from seq2exp.resources import network_mb

CONTACT_BIN = 5_000
PROMOTER = 2_000
FEATURES = 9
COLUMNS = (
    *("model", "layers", "d", "window", "batch", "seconds"),
    *("MB before", "MB beyond", "numbers", "estimate"),
)


class Case(NamedTuple):
    """What to run."""

    kind: str
    layers: int
    width: int
    length: int
    batch: int
    training: bool = True

    def config(self) -> CaduceusConfig | Seq2ExpSoftConfig:
        if self.kind == "caduceus":
            return CaduceusConfig(d_model=self.width, layers=self.layers)
        half = self.layers // 2
        return Seq2ExpSoftConfig(d_model=self.width, generator_layers=half, predictor_layers=half)


CASES = (
    Case("caduceus", 1, 16, 50_000, 2),
    Case("caduceus", 4, 16, 50_000, 2),
    Case("caduceus", 1, 64, 50_000, 2),
    Case("caduceus", 4, 64, 50_000, 2),
    Case("caduceus", 4, 64, 10_000, 8),
    Case("seq2exp_soft", 2, 16, 2_000, 8),
    Case("seq2exp_soft", 2, 16, 50_000, 2),
    Case("seq2exp_soft", 8, 16, 50_000, 2),
    Case("seq2exp_soft", 4, 64, 50_000, 2),
    Case("seq2exp_soft", 8, 128, 50_000, 1),
    Case("seq2exp_soft", 2, 16, 200_000, 1),
    Case("caduceus", 4, 64, 50_000, 2, training=False),
    Case("seq2exp_soft", 8, 16, 50_000, 2, training=False),
    Case("seq2exp_soft", 8, 128, 50_000, 1, training=False),
)


def make_batch(batch: int, length: int) -> PackedBatch:
    """Random windows as they lie in the store."""
    generator = torch.Generator().manual_seed(1)
    return PackedBatch(
        codes=torch.randint(4, (batch, length), generator=generator, dtype=torch.uint8),
        signals=torch.rand(batch, length, 2, generator=generator).half(),
        contacts=torch.rand(batch, length // CONTACT_BIN + 2, generator=generator),
        contact_phase=torch.zeros(batch, dtype=torch.int64),
        gene_features=torch.randn(batch, FEATURES, generator=generator),
        label=torch.rand(batch, generator=generator),
        index=torch.arange(batch),
    )


def new_step(case: Case, length: int) -> Callable[[], None]:
    """One step, or one prediction, as a function."""
    shape = InputShape(length, min(PROMOTER, length // 4), FEATURES)
    model = build_model(case.config(), shape).train(case.training)
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-4)
    packed = make_batch(case.batch, length)

    def step() -> None:
        with torch.set_grad_enabled(case.training):
            output = model(unpack(packed, contact_bin=CONTACT_BIN))
        if case.training:
            model.loss(output, packed.label).total.backward()
            optimizer.step()
            optimizer.zero_grad()

    return step


def measure(case: Case, threads: int) -> dict[str, Any]:
    torch.set_num_threads(threads)
    new_step(case, 512)()  # kernels are compiled
    before = status_bytes("VmRSS")
    seconds = []

    def run() -> None:
        step = new_step(case, case.length)
        seconds.extend(seconds_of(step) for _ in range(2))

    peak = peak_extra_bytes(run, "cpu")
    return {
        **case._asdict(),
        "seconds": seconds[-1],
        "bytes_before": before,
        "bytes_beyond": peak,
        "estimated_bytes": 1e6
        * network_mb(case.config(), case.batch * case.length, training=case.training),
    }


def shown(row: dict[str, Any]) -> list[str]:
    """Cells of a row of the table."""
    numbers = row["bytes_beyond"] / (4 * row["batch"] * row["length"] * row["width"])
    return [
        row["kind"] + ("" if row["training"] else ", prediction"),
        *(f"{row[name]:,}" for name in ("layers", "width", "length", "batch")),
        f"{row['seconds']:.2f}",
        *(f"{row[name] / 1e6:,.0f}" for name in ("bytes_before", "bytes_beyond")),
        f"{numbers:.1f}",
        f"{row['estimated_bytes'] / row['bytes_beyond']:.2f}",
    ]


def parse() -> argparse.Namespace:
    options = parser(__doc__)
    options.add_argument(
        "--cases", type=int, nargs="+", help="numbers of rows, from 0; default: all"
    )
    return options.parse_args()


def main() -> None:
    args = parse()
    print(machine("cpu"))
    cases = CASES if args.cases is None else [CASES[i] for i in args.cases]
    rows = [alone(measure, case, args.threads) for case in cases]
    print_table(COLUMNS, [shown(row) for row in rows])
    write_json(args.json, rows)


if __name__ == "__main__":
    main()
