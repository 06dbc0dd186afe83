"""Every model behind one registry: a config in, a module from Batch to Output out."""

from __future__ import annotations

from seq2exp.model_config import ModelConfig
from seq2exp.models.caduceus import Caduceus
from seq2exp.models.enformer import Enformer
from seq2exp.models.epinformer import EPInformer
from seq2exp.models.hyena import Hyena
from seq2exp.models.interface import ExpressionModel, InputShape, Loss, Output
from seq2exp.models.mamba import Mamba
from seq2exp.models.peaks_mask import PeaksMask
from seq2exp.models.prism import Prism
from seq2exp.models.seq2exp_gated import Seq2ExpGated
from seq2exp.models.seq2exp_hard import Seq2ExpHard
from seq2exp.models.seq2exp_retrain import Seq2ExpRetrain
from seq2exp.models.seq2exp_soft import Seq2ExpSoft
from seq2exp.models.signal_linear import SignalLinear

__all__ = ["MODELS", "ExpressionModel", "InputShape", "Loss", "Output", "build_model"]

MODELS = {
    "seq2exp_soft": Seq2ExpSoft,
    "seq2exp_gated": Seq2ExpGated,
    "seq2exp_hard": Seq2ExpHard,
    "seq2exp_retrain": Seq2ExpRetrain,
    "peaks_mask": PeaksMask,
    "caduceus": Caduceus,
    "caduceus_signals": Caduceus,
    "mamba": Mamba,
    "hyena": Hyena,
    "enformer": Enformer,
    "epinformer": EPInformer,
    "prism": Prism,
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
