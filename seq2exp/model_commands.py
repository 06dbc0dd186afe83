"""Commands on trained models outside the workflow: ``import-checkpoint`` and ``predict``.

Imports nothing heavy until a command runs.
"""

from __future__ import annotations

import argparse
import logging
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from seq2exp.config_types import Name
from seq2exp.errors import UserError


def add_model_commands(commands: Any) -> None:
    """Add both to the subparsers of :mod:`seq2exp.cli`."""
    released = commands.add_parser(
        "import-checkpoint",
        help="write a checkpoint that the authors released as one of ours",
        description="Read a released Seq2Exp .ckpt (soft or hard; no code in it is run) and write a "
        "model.ckpt for `seq2exp predict`. What the file does not say is taken to be the paper's.",
    )
    released.add_argument("file", type=Path, help=".ckpt of PyTorch Lightning")
    released.add_argument("--out", type=Path, required=True, help="model.ckpt to write")
    released.add_argument("--cell-line", default="K562", help="trained on (K562)")
    released.add_argument("--assay", default="CAGE", help="trained on (CAGE)")
    released.add_argument("--fold", type=int, default=11, help="trained on (11)")
    released.add_argument("--seed", type=int, default=2, help="trained with (2)")
    released.add_argument("--name", help="name of the model (its kind)")
    released.add_argument(
        "--window-length", type=int, metavar="BP", help="of a soft model (200000); hard ones tell"
    )
    released.add_argument("--promoter-length", type=int, default=2_000, metavar="BP", help="(2000)")
    released.set_defaults(run=import_released)
    prediction = commands.add_parser(
        "predict",
        help="predict the genes of a window store with a trained model",
        description="Predict every gene of a window store (results/windows/CELL_LINE), or with --folds "
        "those that have a label, each with its split.",
    )
    prediction.add_argument("checkpoint", type=Path, help="model.ckpt")
    prediction.add_argument("store", type=Path, help="folder of the window store")
    prediction.add_argument("--out", type=Path, required=True, help="table to write (.tsv or .csv)")
    prediction.add_argument("--folds", type=Path, help="folds.tsv of the genome")
    prediction.add_argument(
        "--masks", type=Path, help="folder to write with the masks: 2 bytes a base and track"
    )
    prediction.add_argument(
        "--mask-splits",
        nargs="+",
        choices=("train", "valid", "test"),
        help="with --folds, the genes whose masks are kept (test); without, it is all",
    )
    add_device_options(prediction)
    prediction.set_defaults(run=predict_genes)


def add_device_options(command: argparse.ArgumentParser) -> None:
    """Add where, and how many windows at once, a command predicts."""
    command.add_argument("--batch-size", type=int, default=8, metavar="N", help="windows (8)")
    command.add_argument("--device", choices=("cpu", "cuda"), help="(cuda where there is one)")


def check_device_options(arguments: argparse.Namespace) -> None:
    """Check these options, and set the process up to predict.

    Raises
    ------
    UserError
        No such batch, or no such device.
    """
    if arguments.batch_size < 1:
        raise UserError(f"--batch-size {arguments.batch_size}: must be above 0")

    from seq2exp.process import prepare_process

    prepare_process()

    import torch

    if arguments.device == "cuda" and not torch.cuda.is_available():
        raise UserError("--device cuda: no GPU that torch can use; leave it out")


def import_released(arguments: argparse.Namespace) -> None:
    """Write a released checkpoint as one of ours."""
    for option in ("cell_line", "assay", "name"):
        value = getattr(arguments, option)
        try:
            TypeAdapter(Name | None).validate_python(value)
        except ValidationError:
            raise UserError(
                f"--{option.replace('_', '-')} {value!r}: not a usable name; use letters, digits, "
                "_ and - only"
            ) from None
    for option in ("window_length", "promoter_length"):
        length = getattr(arguments, option)
        if length is not None and (length <= 0 or length % 2):
            raise UserError(
                f"--{option.replace('_', '-')} {length}: must be even and above 0; the TSS is the centre"
            )

    from seq2exp.import_checkpoint import import_checkpoint

    logging.basicConfig(level=logging.INFO, format="%(message)s")
    import_checkpoint(
        arguments.file,
        arguments.out,
        cell_line=arguments.cell_line,
        assay=arguments.assay,
        fold=arguments.fold,
        seed=arguments.seed,
        model=arguments.name,
        window_length=arguments.window_length,
        promoter_length=arguments.promoter_length,
    )


def predict_genes(arguments: argparse.Namespace) -> None:
    """Predict the genes of a window store."""
    if arguments.mask_splits and not (arguments.folds and arguments.masks):
        raise UserError("--mask-splits: needs --folds and --masks; add them or leave it out")
    check_device_options(arguments)

    from seq2exp.prediction import predict

    logging.basicConfig(level=logging.INFO, format="%(message)s")
    predict(
        arguments.checkpoint,
        arguments.store,
        arguments.folds,
        out_table=arguments.out,
        out_masks=arguments.masks,
        mask_splits=tuple(arguments.mask_splits or ("test",)),
        batch_size=arguments.batch_size,
        device=arguments.device,
    )
