"""Models whose predictions are known in closed form."""

import torch

from seq2exp.checkpoints import TrainedModel
from seq2exp.model_config import SignalLinearConfig
from seq2exp.models import ExpressionModel, InputShape, Output

BASE_VALUES = {"A": 1, "C": 10, "G": 100, "T": 1_000}


class ByLetter(ExpressionModel):
    """Adds up ``BASE_VALUES`` of a window; its mask is 1 on every A.

    ``windows`` counts those that it was asked for.
    """

    def __init__(self):
        super().__init__()
        self.register_buffer("of_letters", torch.tensor([float(v) for v in BASE_VALUES.values()]))
        self.windows = 0

    def forward(self, batch):
        self.windows += len(batch.sequence)
        return Output((batch.sequence @ self.of_letters).sum(dim=1), mask=batch.sequence[..., 0])


class ByPlace(ExpressionModel):
    """A weight for every letter and signal at every place of a window of 2,000 bp."""

    def __init__(self, reads_contacts):
        super().__init__()
        generator = torch.Generator().manual_seed(11)
        weights = torch.randn(2_000, 7, generator=generator, dtype=torch.float64) / 20
        weights[:, 6] *= reads_contacts
        self.register_buffer("weights", weights)

    def forward(self, batch):
        read = torch.cat([batch.sequence, batch.signals], dim=-1).double()
        return Output((read * self.weights).sum(dim=(1, 2)))


def trained(model, length=2_000):
    """As a checkpoint would give it, for stores whose only gene feature is promoter activity."""
    meta = {"assay": "RNA", "fold": 1, "feature_names": ["promoter_activity"]}
    return TrainedModel(model.eval(), SignalLinearConfig(), InputShape(length, 200, 1), meta)
