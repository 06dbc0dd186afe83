"""The command ``seq2exp score``; imports nothing heavy until it runs."""

from __future__ import annotations

import argparse
import logging
from pathlib import Path
from typing import Any

from seq2exp.model_commands import add_device_options, check_device_options


def add_score_command(commands: Any) -> None:
    """Add it to the subparsers of :mod:`seq2exp.cli`."""
    score = commands.add_parser(
        "score",
        help="predict what variants or deletions do to the expression of genes",
        description="Predict every gene whose window holds an allele, without and with it. An allele "
        "that cannot be scored has a row that says why. docs/variants.md tells what the numbers mean.",
    )
    score.add_argument("checkpoint", type=Path, help="model.ckpt")
    score.add_argument("store", type=Path, help="folder of the window store")
    score.add_argument(
        "variants", type=Path, help="VCF (plain or bgzipped), BCF, or BED of deletions"
    )
    score.add_argument(
        "--fasta",
        type=Path,
        required=True,
        help="the genome that the store was built from, plain or bgzipped "
        "(results/reference/GENOME/genome.fa)",
    )
    score.add_argument("--out", type=Path, required=True, help="table to write (.tsv or .csv)")
    score.add_argument("--genes", nargs="+", default=[], metavar="GENE", help="ids or names (all)")
    score.add_argument(
        "--deletions",
        choices=("remove", "blank"),
        default="remove",
        help="remove: later bases move up (default); blank: deleted bases stay, as N without signals",
    )
    score.add_argument(
        "--strict", action="store_true", help="stop at the first allele that is refused"
    )
    add_device_options(score)
    score.set_defaults(run=score_variants)


def score_variants(arguments: argparse.Namespace) -> None:
    """Score the alleles of a file."""
    check_device_options(arguments)

    from seq2exp.variants.table import score_variants

    logging.basicConfig(level=logging.INFO, format="%(message)s")
    score_variants(
        arguments.checkpoint,
        arguments.store,
        arguments.variants,
        arguments.fasta,
        out_table=arguments.out,
        genes=arguments.genes,
        deletions=arguments.deletions,
        strict=arguments.strict,
        batch_size=arguments.batch_size,
        device=arguments.device,
    )
