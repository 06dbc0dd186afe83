"""The authors' released checkpoints (Seq2Exp-soft and -hard), read safely and written as ours."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.serialization import get_unsafe_globals_in_checkpoint, safe_globals

from seq2exp import __version__
from seq2exp.checkpoints import save_checkpoint
from seq2exp.errors import UserError
from seq2exp.model_config import Seq2ExpHardConfig, Seq2ExpSoftConfig
from seq2exp.models import InputShape, build_model
from seq2exp.models.released_names import convert_weights
from seq2exp.models.released_sizes import gene_features, network_settings
from seq2exp.schemas import MRNA_FEATURES, PROMOTER_ACTIVITY

log = logging.getLogger(__name__)

PREFIX = "model."
FEATURES = (*MRNA_FEATURES, PROMOTER_ACTIVITY)
"""Gene features in the order of the released models."""
OUR_OWN = {"head.label_mean", "head.label_scale"}
"""What no released model has: labels were not standardised."""
WINDOW_LENGTH, PROMOTER_LENGTH = 200_000, 2_000
CONFIGS = {"seq2exp_soft": Seq2ExpSoftConfig, "seq2exp_hard": Seq2ExpHardConfig}

ALONE = "keep its state_dict alone in a new file: torch.save({'state_dict': ...}, file)"

SKIPPED_MODULES = {
    *("argparse", "collections", "hydra", "lightning", "lightning_fabric", "numpy", "omegaconf"),
    *("pathlib", "pytorch_lightning", "torchmetrics", "typing"),
}
"""Packages whose objects Lightning keeps beside the weights: they are not made, only passed over."""
SKIPPED_TYPES = {f"builtins.{name}" for name in ("bool", "dict", "float", "int", "list", "str")}
"""Types that such objects refer to."""


class Skipped:
    """Stands where the file has an object that is not read: whatever made it is not called."""

    def __new__(cls, *_: Any) -> Skipped:
        return super().__new__(cls)

    def __init__(self, *_: Any) -> None: ...

    def __setstate__(self, _: Any) -> None: ...


def import_checkpoint(
    file: Path,
    out: Path,
    *,
    cell_line: str = "K562",
    assay: str = "CAGE",
    fold: int = 11,
    seed: int = 2,
    model: str | None = None,
    window_length: int | None = None,
    promoter_length: int = PROMOTER_LENGTH,
) -> None:
    """Write a released checkpoint as one of ours.

    Parameters
    ----------
    file
        A Lightning .ckpt with the released names, see :mod:`seq2exp.models.released_names`.
    out
        model.ckpt.
    cell_line, assay, fold, seed
        What it was trained on, which the file does not say.
    model
        Its name; the kind when left out.
    window_length
        bp. A hard model's is in the file; of a soft model 200,000 when left out.
    promoter_length
        bp.

    Raises
    ------
    UserError
        The file holds anything but weights and a training's settings, or not exactly the weights
        of one of the two kinds.
    """
    released, step = read_released(file)
    kind = "seq2exp_hard" if "pos_emb" in released else "seq2exp_soft"
    try:
        weights = convert_weights(released, shared_backbone=kind == "seq2exp_hard")
        settings: dict[str, Any] = {**network_settings(kind, weights), "prior": _prior(weights)}
        config, features = CONFIGS[kind](**settings), gene_features(weights)
    except KeyError as error:
        raise UserError(f"{file}: no tensor {error.args[0]}; not a Seq2Exp checkpoint") from None
    except (ValueError, ArithmeticError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"{file}: {reason}; not a Seq2Exp checkpoint") from None
    if features != len(FEATURES):
        raise UserError(
            f"{file}: its head reads {features} gene features, not {len(FEATURES)} "
            f"({', '.join(FEATURES)}); train a model of your own"
        )
    length = _window_length(file, weights.get("position_embedding"), window_length)
    if promoter_length > length:
        raise UserError(
            f"{file}: a window of {length} bp has no promoter of {promoter_length}; give "
            "--promoter-length"
        )
    shape = InputShape(length, promoter_length, features)
    with torch.random.fork_rng(devices=[]):
        network = build_model(config, shape)
    own = {name: value for name, value in network.state_dict().items() if name in OUR_OWN}
    check_weights(file, weights | own, network.state_dict())
    network.load_state_dict(weights | own)
    meta = {
        **{"cell_line": cell_line, "assay": assay, "fold": fold, "seed": seed},
        **{"model": model or kind, "kind": kind, "feature_names": list(FEATURES)},
        **{"best_step": step, "seq2exp": __version__, "imported_from": Path(file).name},
    }
    save_checkpoint(out, network, config, shape, meta)
    log.info("%s: %s of %d bp, %s", out, kind, length, settings)


def read_released(file: Path) -> tuple[dict[str, Tensor], int]:
    """Weights of a Lightning checkpoint without ``model.``, and the step of its training.

    Raises
    ------
    UserError
        No such file, or it refers to code that a checkpoint has no need of; none of it is run.
    """
    try:
        names = get_unsafe_globals_in_checkpoint(file)
        refused = sorted(name for name in names if not _may_be_skipped(name))
        if refused:
            raise UserError(
                f"{file}: refers to code ({refused[0]}), of which nothing was run; if you trust the "
                f"file, {ALONE}"
            )
        with safe_globals([(Skipped, name) for name in names]):
            content = torch.load(file, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise UserError(f"{file}: no such file; correct the path") from None
    except UserError:
        raise
    except Exception as error:
        reason = str(error).splitlines()[0]
        raise UserError(
            f"{file}: cannot be read as weights ({reason}); if it is a checkpoint, {ALONE}"
        ) from None
    state = content.get("state_dict") if isinstance(content, dict) else None
    if not isinstance(state, dict) or not all(
        isinstance(name, str) and isinstance(value, Tensor) for name, value in state.items()
    ):
        raise UserError(f"{file}: has no state_dict of tensors; not a Lightning checkpoint")
    foreign = [name for name in state if not name.startswith(PREFIX)]
    if foreign or not state:
        found = foreign[0] if foreign else "nothing"
        raise UserError(f"{file}: tensors should be named {PREFIX}NAME, found {found}")
    step = content.get("global_step", 0)
    weights = {name.removeprefix(PREFIX): value.detach() for name, value in state.items()}
    return weights, step if isinstance(step, int) else 0


def _may_be_skipped(name: str) -> bool:
    return name in SKIPPED_TYPES or name.split(".")[0] in SKIPPED_MODULES


def check_weights(file: Path, given: dict[str, Tensor], wanted: dict[str, Tensor]) -> None:
    """Stop where weights are missing, unknown or of another shape than the others call for."""
    missing, unknown = sorted(set(wanted) - set(given)), sorted(set(given) - set(wanted))
    if missing:
        raise UserError(f"{file}: no tensor {missing[0]}; not a whole Seq2Exp checkpoint")
    if unknown:
        raise UserError(f"{file}: unknown tensor {unknown[0]}; not a Seq2Exp checkpoint")
    for name, value in wanted.items():
        if given[name].shape != value.shape:
            raise UserError(
                f"{file}: {name} is {tuple(given[name].shape)}, but the other tensors call for "
                f"{tuple(value.shape)}; not a Seq2Exp checkpoint"
            )


def _prior(weights: dict[str, Tensor]) -> dict[str, list[float]]:
    """The prior's constants as settings."""
    names = {"signal_betas": "generator.signal_betas", "signal_weights": "generator.signal_weights"}
    return {
        setting: [round(value, 6) for value in weights[name].flatten().tolist()]
        for setting, name in names.items()
    }


def _window_length(file: Path, positions: Tensor | None, given: int | None) -> int:
    """Length that a hard model's position embedding (1, L, d) says, or that the user does."""
    if positions is None:
        return given or WINDOW_LENGTH
    length = positions.shape[1]
    if given and given != length:
        raise UserError(f"{file}: a model of {length} bp; leave --window-length {given} out")
    return length
