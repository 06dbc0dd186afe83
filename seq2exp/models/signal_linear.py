"""signal_linear: least squares on what the chromatin around the TSS says, without any network.

The baseline that none of the papers reports. Features: log1p of the mean H3K27ac and DNase over
TSS +- span, for each span. Axes: B batch, L window length (bp), P spans.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor

from seq2exp.model_config import SignalLinearConfig
from seq2exp.models.interface import ExpressionModel, InputShape, Output
from seq2exp.packing import Batch


class SignalLinear(ExpressionModel):
    """Fitted in closed form by :meth:`fit`; has no trainable parameters."""

    reads_signals = True
    coefficients: Tensor
    intercept: Tensor

    def __init__(self, config: SignalLinearConfig, shape: InputShape) -> None:
        super().__init__()
        self.config = config
        self.register_buffer(
            "coefficients", torch.zeros(2 * len(config.spans), dtype=torch.float64)
        )
        self.register_buffer("intercept", torch.zeros((), dtype=torch.float64))

    def features(self, signals: Tensor) -> Tensor:
        """Map raw signals (B, L, 3) to log1p means (B, 2 P)."""
        centre = signals.shape[1] // 2
        means = [
            signals[:, centre - span : centre + span, :2].double().mean(dim=1)
            for span in self.config.spans
        ]
        return torch.cat(means, dim=-1).log1p()

    def fit(self, batches: Iterable[Batch]) -> None:
        """Ordinary least squares over all batches, with an intercept."""
        rows, labels = [], []
        for batch in batches:
            rows.append(self.features(batch.signals).cpu().numpy())
            labels.append(batch.label.double().cpu().numpy())
        X = np.concatenate(rows)
        design = np.column_stack([np.ones(len(X)), X])
        solution, *_ = np.linalg.lstsq(design, np.concatenate(labels), rcond=None)
        self.intercept.fill_(solution[0])
        self.coefficients.copy_(torch.from_numpy(solution[1:]))

    def forward(self, batch: Batch) -> Output:
        prediction = self.features(batch.signals) @ self.coefficients + self.intercept
        return Output(prediction.float())

    def reads_length(self, length: int) -> bool:
        return 2 * max(self.config.spans) <= length
