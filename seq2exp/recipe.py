"""The paper's training recipe as functions: the learning rate."""

from __future__ import annotations

import math

from seq2exp.training_config import TrainingConfig


def learning_rate(step: int, training: TrainingConfig) -> float:
    """Linear warm-up from ``warmup_from``, then a cosine down to ``final_learning_rate``."""
    peak, final = training.learning_rate, training.final_learning_rate
    if step < training.warmup_steps:
        done = step / training.warmup_steps
        return training.warmup_from + (peak - training.warmup_from) * done
    done = (step - training.warmup_steps) / (training.steps - training.warmup_steps)
    return final + (peak - final) * 0.5 * (1 + math.cos(math.pi * min(done, 1.0)))
