"""The paper's training recipe as functions: the loss and the learning rate."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch.nn.functional as F
from torch import Tensor

from seq2exp.models.interface import Output
from seq2exp.training_config import TrainingConfig


class Loss(NamedTuple):
    """Parts of the training loss; scalars."""

    total: Tensor
    prediction: Tensor
    kl: Tensor


def expression_loss(
    output: Output, label: Tensor, *, kl_weight: float, label_scale: Tensor | float = 1.0
) -> Loss:
    """Smooth-L1 of the prediction plus ``kl_weight`` times the KL of the mask.

    Parameters
    ----------
    output
        With prediction (B,) and, for models with a Beta mask, kl.
    label
        (B,).
    kl_weight
        Weight of the information bottleneck.
    label_scale
        The label's standard deviation where training standardises it.
    """
    prediction = F.smooth_l1_loss(output.prediction / label_scale, label / label_scale)
    kl = prediction.new_zeros(()) if output.kl is None else output.kl
    return Loss(prediction + kl_weight * kl, prediction, kl)


def learning_rate(step: int, training: TrainingConfig) -> float:
    """Linear warm-up from ``warmup_from``, then a cosine down to ``final_learning_rate``."""
    peak, final = training.learning_rate, training.final_learning_rate
    if step < training.warmup_steps:
        done = step / training.warmup_steps
        return training.warmup_from + (peak - training.warmup_from) * done
    done = (step - training.warmup_steps) / (training.steps - training.warmup_steps)
    return final + (peak - final) * 0.5 * (1 + math.cos(math.pi * min(done, 1.0)))
