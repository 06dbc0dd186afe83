"""Typed settings of every model, one class a kind, gathered from the files of their families."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from seq2exp.baseline_config import (
    CaduceusConfig,
    CaduceusSignalsConfig,
    EnformerConfig,
    EPInformerConfig,
    HyenaConfig,
    MambaConfig,
    PrismConfig,
    SignalLinearConfig,
)
from seq2exp.network_config import (
    SIGNALS,
    AnyModelConfig,
    Evidence,
    MambaNetworkConfig,
    NetworkConfig,
    Signal,
)
from seq2exp.seq2exp_config import (
    BetaMaskConfig,
    FreeMarginalConfig,
    FreePriorConfig,
    HardMarginalConfig,
    HardPriorConfig,
    MarginalConfig,
    PeaksMaskConfig,
    PriorConfig,
    Seq2ExpGatedConfig,
    Seq2ExpHardConfig,
    Seq2ExpRetrainConfig,
    Seq2ExpSoftConfig,
)

__all__ = [
    "SIGNALS",
    "AnyModelConfig",
    "BetaMaskConfig",
    "CaduceusConfig",
    "CaduceusSignalsConfig",
    "EPInformerConfig",
    "EnformerConfig",
    "Evidence",
    "FreeMarginalConfig",
    "FreePriorConfig",
    "HardMarginalConfig",
    "HardPriorConfig",
    "HyenaConfig",
    "MambaConfig",
    "MambaNetworkConfig",
    "MarginalConfig",
    "ModelConfig",
    "NetworkConfig",
    "PeaksMaskConfig",
    "PriorConfig",
    "PrismConfig",
    "Seq2ExpGatedConfig",
    "Seq2ExpHardConfig",
    "Seq2ExpRetrainConfig",
    "Seq2ExpSoftConfig",
    "Signal",
    "SignalLinearConfig",
]

ModelConfig = Annotated[
    Seq2ExpSoftConfig
    | Seq2ExpGatedConfig
    | Seq2ExpHardConfig
    | Seq2ExpRetrainConfig
    | PeaksMaskConfig
    | CaduceusConfig
    | CaduceusSignalsConfig
    | MambaConfig
    | PrismConfig
    | HyenaConfig
    | EnformerConfig
    | EPInformerConfig
    | SignalLinearConfig,
    Field(discriminator="kind"),
]
