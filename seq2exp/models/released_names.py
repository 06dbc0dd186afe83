"""Parameter names of the authors' released checkpoints, and ours.

The released code keeps the in- and out-projection under both directions of a layer, as tied
tensors; ours has them once. So it is with the backbone of the hard model, which is there as
generator and as encoder.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import torch
from torch import Tensor

_RULES: list[tuple[str, str]] = [
    (r"^encoder\.backbone\.(.+)$", r"predictor.\1"),
    (r"^caduceus\.backbone\.(.+)$", r"backbone.\1"),
    (r"\.norm_f\.", ".norm."),
    (r"\.mixer\.mamba_(?:fwd|rev)\.(in_proj|out_proj)\.", r".mixer.\1."),
    (r"\.mixer\.mamba_fwd\.", ".mixer.rightward."),
    (r"\.mixer\.mamba_rev\.", ".mixer.leftward."),
    (r"\.conv1d\.", ".conv."),
    (r"^seq_input_layer\.", "sequence_embedding."),
    (r"^signal_input_layer\.", "signal_embedding."),
    (r"^input_layer\.", "embedding."),
    (r"^mask_output\.", "generator.head."),
    (r"^pToExpr\.", "head.mlp."),
    (r"^prior_weights$", "generator.signal_weights"),
    (r"^signal_betas$", "generator.signal_betas"),
    (r"^pos_emb$", "position_embedding"),
]


def our_name(released: str, *, shared_backbone: bool = False) -> str:
    """Name of the same tensor in this package.

    Parameters
    ----------
    released
        Without the leading ``model.``.
    shared_backbone
        The encoder is the generator's backbone (hard model).
    """
    if shared_backbone:
        released = re.sub(r"^encoder\.", "generator.", released)
    for pattern, replacement in _RULES:
        released = re.sub(pattern, replacement, released)
    return released


def convert_weights(
    released: Mapping[str, Tensor], *, shared_backbone: bool = False
) -> dict[str, Tensor]:
    """Rename a released state (without the leading ``model.``) to ours.

    ``prior_weights`` holds log w and is softmaxed on use there; ours holds w.

    Raises
    ------
    ValueError
        If two tensors that the released model ties differ.
    """
    converted: dict[str, Tensor] = {}
    for name, value in released.items():
        if name == "prior_weights":
            value = value.softmax(-1)
        ours = our_name(name, shared_backbone=shared_backbone)
        if ours in converted and not torch.equal(converted[ours], value):
            raise ValueError(f"{name} differs from the tensor it is tied with ({ours})")
        converted[ours] = value
    return converted
