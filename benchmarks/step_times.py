"""Step times for ``seq2exp plan``: python -m benchmarks.step_times --help.

Every kind of the registry that is trained in steps, at its own number of layers: one training step
(forward, loss, backward, AdamW) and one prediction, in the arithmetic that the workflow uses there.
Each size in a process of its own; seconds are the best of --repeats. On a CPU that others use as
well, --clock cpu takes the process's CPU time over the threads instead of the wall time: what an
idle machine needs if all threads are always busy, which is a little too little. Rows go to --out as they are measured; those of other sizes and devices
that it has already stay, so that a long list can be measured in parts.
"""

import argparse
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from pydantic import TypeAdapter

from benchmarks.jobs import CONTACT_BIN, FEATURES, PROMOTER, make_batch
from benchmarks.measure import (
    alone,
    best_seconds,
    machine,
    parser,
    peak_extra_bytes,
    print_table,
    write_json,
)
from seq2exp.base_codes import PEAK_BIT
from seq2exp.model_config import ModelConfig, NetworkConfig
from seq2exp.models import MODELS, build_model
from seq2exp.models.interface import InputShape
from seq2exp.packing import Batch, unpack
from seq2exp.schemas import STEP_TIME_COLUMNS, read_table, write_table

KEY = ["kind", "device", "window_length", "d_model"]
WARM_UP = 1_024


def settings(kind: str, width: int | None = None) -> Any:
    """Default settings of a kind, at a width or its own; a mask from elsewhere is as wide."""
    sizes = {} if width is None else {"d_model": width}
    if kind == "seq2exp_retrain":
        sizes |= {"mask_from": "soft", "source": {"kind": "seq2exp_soft", **sizes}}
    return TypeAdapter(ModelConfig).validate_python({"kind": kind, **sizes})


def trained_kinds() -> list[str]:
    """Kinds that take training steps."""
    return [kind for kind in MODELS if isinstance(settings(kind), NetworkConfig)]


def new_batch(windows: int, length: int, device: str) -> Batch:
    """Random windows with a peak of 500 bp every 5 kb."""
    packed = make_batch(windows, length)
    in_peak = torch.arange(length) % 5_000 < 500
    packed = packed._replace(codes=packed.codes | (PEAK_BIT * in_peak).to(torch.uint8))
    batch = unpack(packed.to(device), contact_bin=CONTACT_BIN, has_peaks=True)
    return batch._replace(seeds=tuple(range(windows)))


class Workload:
    """A step and a prediction of one model on random windows."""

    def __init__(self, args: argparse.Namespace, kind: str, length: int, width: int) -> None:
        torch.manual_seed(0)
        self.config = settings(kind, width)
        shape = InputShape(length, min(PROMOTER, length), FEATURES)
        self.device = args.device
        self.model = build_model(self.config, shape).to(args.device)
        self.batch = new_batch(args.batch, length, args.device)
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=5e-4)

    def autocast(self) -> torch.autocast:
        return torch.autocast(self.device, torch.bfloat16, enabled=self.device == "cuda")

    def step(self) -> None:
        with self.autocast():
            output = self.model(self.batch)
        self.model.loss(output, self.batch.label).total.backward()
        self.optimizer.step()
        self.optimizer.zero_grad()

    @torch.no_grad()
    def predict(self) -> None:
        self.model(self.batch)


def measure(args: argparse.Namespace, kind: str, length: int, width: int) -> dict[str, float]:
    torch.set_num_threads(args.threads)
    warm = Workload(args, kind, min(WARM_UP, length), width)
    warm.model.train()
    warm.step()
    work = Workload(args, kind, length, width)
    work.model.train()
    peak = peak_extra_bytes(work.step, args.device)
    step = chosen_seconds(work.step, args)
    work.model.eval()
    prediction = chosen_seconds(work.predict, args)
    return {"step_seconds": step, "predict_seconds": prediction, "step_mb": peak / 1e6}


def chosen_seconds(run: Callable[[], None], args: argparse.Namespace) -> float:
    """Least seconds of a run by the clock that was chosen."""
    if args.clock == "wall":
        return best_seconds(run, args.device, args.repeats)
    used = []
    for _ in range(args.repeats):
        start = time.process_time()
        run()
        used.append((time.process_time() - start) / args.threads)
    return min(used)


def row_of(args: argparse.Namespace, kind: str, length: int, width: int) -> dict[str, Any]:
    """One row of the table."""
    return {
        "kind": kind,
        "device": "gpu" if args.device == "cuda" else "cpu",
        "machine": machine(args.device),
        "window_length": length,
        "d_model": width,
        "layers": settings(kind, width).width_times_layers / width,
        "batch": args.batch,
        **alone(measure, args, kind, length, width),
        "date": datetime.now(UTC).date().isoformat(),
        "command": (
            f"python -m benchmarks.step_times --kinds {kind} --lengths {length} --widths {width} "
            f"--batch {args.batch} --device {args.device} --threads {args.threads} "
            f"--repeats {args.repeats} --clock {args.clock}"
        ),
    }


def put(row: dict[str, Any], path: Path) -> None:
    """Add a row to a table of measurements, in place of an older one of the same size."""
    rows = pd.DataFrame([row], columns=list(STEP_TIME_COLUMNS))
    if path.exists():
        known = read_table(path, STEP_TIME_COLUMNS)
        others = (known[KEY].astype(str) != rows[KEY].astype(str).iloc[0]).any(axis=1)
        rows = pd.concat([known[others], rows])
    write_table(rows.sort_values(KEY), path)


def parse() -> argparse.Namespace:
    options = parser(__doc__)
    options.add_argument("--kinds", nargs="+", choices=trained_kinds(), default=trained_kinds())
    options.add_argument("--lengths", nargs="+", type=int, help="bp; default by device")
    options.add_argument("--widths", nargs="+", type=int, help="default: a kind's own, and half")
    options.add_argument("--batch", type=int, help="default: 1 on a CPU, 8 on a GPU")
    options.add_argument("--clock", choices=["wall", "cpu"], default="wall")
    options.add_argument("--out", type=Path, help="table to write or add to (.tsv)")
    args = options.parse_args()
    on_gpu = args.device == "cuda"
    if on_gpu and args.clock == "cpu":
        options.error("--clock cpu says nothing of a GPU; leave it out")
    args.batch = args.batch or (8 if on_gpu else 1)
    args.lengths = args.lengths or ([2_000, 20_000, 200_000] if on_gpu else [2_000, 20_000])
    return args


def main() -> None:
    args = parse()
    print(f"{machine(args.device)}: batch {args.batch}")
    rows = []
    for kind in args.kinds:
        own = settings(kind).d_model
        for width in args.widths or [own // 2, own]:
            for length in args.lengths:
                rows.append(row_of(args, kind, length, width))
                if args.out:
                    put(rows[-1], args.out)
    shown = (
        "kind",
        "window_length",
        "d_model",
        "layers",
        "step_seconds",
        "predict_seconds",
        "step_mb",
    )
    print_table(shown, [[_cell(row[name]) for name in shown] for row in rows])
    write_json(args.json, rows)


def _cell(value: Any) -> str:
    return f"{value:.3f}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    main()
