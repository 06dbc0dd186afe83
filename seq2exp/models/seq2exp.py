"""What the Seq2Exp models share: embeddings, a Beta mask, the bottleneck, the head (section 4).

Axes: B batch, L window length (bp), P promoter length (bp), S signals, d model width.
"""

from __future__ import annotations

from torch import Tensor, nn

from seq2exp.bottleneck import BetaParameters, apply_fixed_bases, bottleneck_kl, promoter_slice
from seq2exp.model_config import BetaMaskConfig
from seq2exp.models.interface import (
    ExpressionHead,
    ExpressionModel,
    InputShape,
    Output,
    keep_signals,
    network_features,
    network_signals,
)
from seq2exp.models.mask_generator import MaskGenerator
from seq2exp.packing import Batch


class Seq2Exp(ExpressionModel):
    """The generator proposes a mask; the predictor sees what the mask leaves of the window.

    What differs is in four methods: what the generator reads, how the mask is drawn from its Beta
    density, what the predictor makes of it, and how the window is embedded.
    """

    generator: MaskGenerator
    head: ExpressionHead

    def __init__(self, config: BetaMaskConfig, shape: InputShape) -> None:
        super().__init__()
        self.config, self.shape = config, shape
        self.promoter = promoter_slice(shape.window_length, shape.promoter_length)
        self.sequence_embedding = nn.Linear(4, config.d_model)
        self.signal_embedding = nn.Linear(3, config.d_model)
        names = {"sequence": "sequence_part", "signals": "prior"}
        self.evidence_tracks = tuple(names[part] for part in config.evidence)

    def forward(self, batch: Batch) -> Output:
        batch = keep_signals(batch, self.config.signals)
        transform = self.config.signal_transform
        x_sequence = self.sequence_embedding(batch.sequence)  # (B, L, d)
        x_signals = self.signal_embedding(network_signals(batch.signals, transform))  # (B, L, d)
        x = self.embed(x_sequence, x_signals)  # (B, L, d)

        parameters = self.generator(self.generator_input(x_sequence, x), batch.signals)
        mask = self.make_mask(parameters, batch)  # (B, L)

        promoter = self.read_masked(x, mask)  # (B, P, d)
        features = network_features(batch.gene_features, transform)
        prediction = self.head(promoter, features)  # (B,)
        alpha, beta = parameters
        return Output(prediction, mask, alpha, beta, self.kl(parameters))

    def embed(self, x_sequence: Tensor, x_signals: Tensor) -> Tensor:
        """Put the embeddings (B, L, d) of sequence and signals together: the predictor's input."""
        return x_sequence + x_signals

    def generator_input(self, x_sequence: Tensor, x: Tensor) -> Tensor:
        """Choose what the generator reads; (B, L, d)."""
        raise NotImplementedError

    def draw(self, parameters: BetaParameters, batch: Batch) -> Tensor:
        """Draw the mask from its density; (B, L)."""
        raise NotImplementedError

    def read_masked(self, x: Tensor, mask: Tensor) -> Tensor:
        """Read the window (B, L, d) through the mask (B, L); the promoter's hidden (B, P, d)."""
        raise NotImplementedError

    def make_mask(self, parameters: BetaParameters, batch: Batch) -> Tensor:
        """Draw the mask and fix the bases that are known; (B, L)."""
        mask = self.draw(parameters, batch)
        if self.config.mask_region == "promoter":
            mask = mask.new_zeros(mask.shape)
        return apply_fixed_bases(mask, batch.blacklist, self.promoter)

    def kl(self, parameters: BetaParameters) -> Tensor | None:
        """KL of the mask from its marginal; None where nothing of the mask is learned."""
        if "sequence" not in self.config.evidence:
            return None
        marginal = self.config.marginal
        return bottleneck_kl(parameters, marginal_mean=marginal.mean, scale=marginal.scale)

    def evidence(self, batch: Batch, output: Output) -> dict[str, Tensor]:
        assert output.alpha is not None
        assert output.beta is not None
        return self.generator.parts(BetaParameters(output.alpha, output.beta), batch.signals)
