"""What Seq2Exp-soft and -hard share: a Beta mask that is learned, and its bottleneck (section 3).

Axes: B batch, L window length (bp), d model width.
"""

from __future__ import annotations

from torch import Tensor

from seq2exp.bottleneck import BetaParameters, apply_fixed_bases, bottleneck_kl
from seq2exp.model_config import BetaMaskConfig
from seq2exp.models.interface import InputShape, Output, promoter_of
from seq2exp.models.mask_generator import MaskGenerator
from seq2exp.models.masked import MaskedModel, Proposal
from seq2exp.packing import Batch


class Seq2Exp(MaskedModel):
    """The generator proposes the mask's density; models differ in what it reads and how they draw."""

    generator: MaskGenerator

    def __init__(self, config: BetaMaskConfig, shape: InputShape) -> None:
        super().__init__(config, shape)
        self.config = config
        self.ranks_bases = config.mask_region == "window"
        self.evidence_tracks = config.mask_parts

    def generator_input(self, x_sequence: Tensor, x: Tensor) -> Tensor:
        """Choose what the generator reads: the embedded sequence, or all of the input; (B, L, d)."""
        raise NotImplementedError

    def draw(self, parameters: BetaParameters, batch: Batch) -> Tensor:
        """Draw the mask from its density; (B, L)."""
        raise NotImplementedError

    def propose(self, batch: Batch, x_sequence: Tensor, x: Tensor) -> Proposal:
        parameters = self.generator(self.generator_input(x_sequence, x), batch.signals)
        mask = self.draw(parameters, batch)  # (B, L)
        if self.config.mask_region == "promoter":
            mask = mask.new_zeros(mask.shape)
        mask = apply_fixed_bases(mask, batch.blacklist, promoter_of(batch, self.shape))
        return Proposal(mask, parameters.alpha, parameters.beta, self.kl(parameters))

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
