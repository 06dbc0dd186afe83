"""The command ``seq2exp plan``; imports nothing heavy until it runs."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from seq2exp.errors import UserError

NARROWEST = 100
"""Columns of the printed tables, at least."""


def add_plan_command(commands: Any) -> None:
    """Add it to the subparsers of :mod:`seq2exp.cli`."""
    cost = commands.add_parser(
        "plan",
        help="what would it cost? GPU hours, memory and disk of all runs of a config",
        description="Estimate time, memory and disk of the matrix of a config from measured step "
        "times. Nothing is run. The tables end with what the figures rest on.",
    )
    cost.add_argument("config", type=Path, help="YAML; - reads standard input")
    cost.add_argument(
        "--measured",
        type=Path,
        metavar="FILE",
        help="your own step times, from python -m benchmarks.step_times --out FILE",
    )
    cost.add_argument("--device", choices=["cpu", "gpu"], help="default: training.accelerator")
    cost.add_argument("--genes", type=int, metavar="N", help="genes to assume, not to count")
    cost.add_argument("--json", type=Path, metavar="FILE", help="also write all figures here")
    cost.set_defaults(run=plan)


def plan(arguments: argparse.Namespace) -> None:
    """Estimate what a config costs."""
    from rich.console import Console

    from seq2exp.cli import read_yaml
    from seq2exp.config import parse_config
    from seq2exp.plan.estimate import choose_device, make_plan
    from seq2exp.plan.genes import genes_of
    from seq2exp.plan.show import show_plan
    from seq2exp.plan.step_times import packaged_step_times, read_step_times
    from seq2exp.schemas import whole_file

    if arguments.genes is not None and arguments.genes < 1:
        raise UserError(f"--genes {arguments.genes}: give a number of genes above 0")
    config = parse_config(read_yaml(arguments.config), str(arguments.config))
    made = make_plan(
        config,
        genes_of(config, arguments.genes),
        read_step_times(arguments.measured or packaged_step_times()),
        arguments.device or choose_device(config.training),
    )
    console = Console()
    console.width = max(console.width, NARROWEST)
    show_plan(made, console)
    if arguments.json:
        with whole_file(arguments.json) as temporary:
            temporary.write_text(json.dumps(made.to_json(), indent=1) + "\n")
