"""Every model behind one registry: a config in, a module from Batch to Output out."""

from __future__ import annotations

from seq2exp.model_config import ModelConfig
from seq2exp.models.caduceus import Caduceus
from seq2exp.models.epinformer import EPInformer
from seq2exp.models.interface import ExpressionModel, InputShape, Output
from seq2exp.models.peaks_mask import PeaksMask
from seq2exp.models.seq2exp import Seq2ExpSoft
from seq2exp.models.signal_linear import SignalLinear

__all__ = ["MODELS", "ExpressionModel", "InputShape", "Output", "build_model"]

MODELS = {
    "seq2exp_soft": Seq2ExpSoft,
    "peaks_mask": PeaksMask,
    "caduceus": Caduceus,
    "caduceus_signals": Caduceus,
    "epinformer": EPInformer,
    "signal_linear": SignalLinear,
}


def build_model(config: ModelConfig, shape: InputShape) -> ExpressionModel:
    """Build an untrained model.

    Parameters
    ----------
    config
        Settings of one kind (:mod:`seq2exp.model_config`).
    shape
        Window length as the model sees it, promoter length, number of gene features.
    """
    return MODELS[config.kind](config, shape)  # type: ignore[arg-type]
