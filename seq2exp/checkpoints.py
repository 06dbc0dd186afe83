"""The final artefact of training: weights and settings in one file that is safe to load."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import torch
from pydantic import TypeAdapter

from seq2exp.errors import UserError
from seq2exp.model_config import ModelConfig
from seq2exp.models import ExpressionModel, InputShape, build_model
from seq2exp.schemas import whole_file

FORMAT = 1


class TrainedModel(NamedTuple):
    """A model in evaluation mode and what is known about its training."""

    model: ExpressionModel
    config: ModelConfig
    shape: InputShape
    meta: dict[str, Any]
    """cell_line, assay, model, fold, seed, feature_names, ..."""

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        tensor: torch.Tensor = next(iter(self.model.state_dict().values()))
        return tensor.device


def save_checkpoint(
    path: Path,
    model: ExpressionModel,
    config: ModelConfig,
    shape: InputShape,
    meta: dict[str, Any],
) -> None:
    """Write weights + settings; plain tensors, numbers and strings only, whole or not at all."""
    content = {
        "format": FORMAT,
        "weights": {name: value.detach().cpu() for name, value in model.state_dict().items()},
        "config": config.model_dump(mode="json"),
        "shape": dict(shape._asdict()),
        "meta": meta,
    }
    with whole_file(path) as temporary:
        torch.save(content, temporary)


def load_checkpoint(path: Path | str, device: str | torch.device = "cpu") -> TrainedModel:
    """Load a checkpoint without running any code from it (``weights_only=True``).

    Raises
    ------
    UserError
        If the file is no seq2exp checkpoint, or of a newer format.
    """
    try:
        content = torch.load(path, map_location=device, weights_only=True)
    except FileNotFoundError:
        raise UserError(f"{path}: no such checkpoint; train the model first") from None
    except Exception as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"{path}: not a seq2exp checkpoint ({reason}); train it again") from None
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise UserError(f"{path}: not a seq2exp checkpoint of format {FORMAT}; train it again")
    config: ModelConfig = TypeAdapter(ModelConfig).validate_python(content["config"])
    shape = InputShape(**content["shape"])
    # Building draws initial weights: leave the caller's random state as it was.
    with torch.random.fork_rng(devices=[]):
        model = build_model(config, shape)
    model.load_state_dict(content["weights"])
    return TrainedModel(model.to(device).eval(), config, shape, content["meta"])
