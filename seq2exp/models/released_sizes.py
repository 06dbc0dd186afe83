"""Sizes of a released model, read off the shapes of its weights (under our names)."""

from __future__ import annotations

import re
from collections.abc import Mapping

from torch import Tensor

_STACKS = {
    "seq2exp_soft": {"generator_layers": "generator.backbone", "predictor_layers": "predictor"},
    "seq2exp_hard": {"layers": "generator.backbone"},
    "caduceus": {"layers": "backbone"},
    "caduceus_signals": {"layers": "backbone"},
}
"""Of each kind, which of its settings is the number of layers below which name."""


def network_settings(kind: str, weights: Mapping[str, Tensor]) -> dict[str, int]:
    """Settings of a kind's config that are sizes: widths, and numbers of layers.

    Raises
    ------
    KeyError
        The name of a weight that is missing.
    """
    stacks = _STACKS[kind]
    scan = f"{next(iter(stacks.values()))}.layers.0.mixer.rightward"
    inner, states = weights[f"{scan}.A_log"].shape
    width = weights["head.mlp.2.weight"].shape[0]
    sizes = {
        "d_model": width,
        "d_state": states,
        "d_conv": weights[f"{scan}.conv.weight"].shape[-1],
        "expand": inner // width,
    }
    return sizes | {setting: _layers(stack, weights) for setting, stack in stacks.items()}


def gene_features(weights: Mapping[str, Tensor]) -> int:
    """Number of gene features that the head reads beside the hidden state."""
    width, inputs = weights["head.mlp.0.weight"].shape
    return inputs - width


def _layers(stack: str, weights: Mapping[str, Tensor]) -> int:
    """Number of layers below a name."""
    pattern = re.compile(re.escape(stack) + r"\.layers\.(\d+)\.")
    numbers = {int(found[1]) for name in weights if (found := pattern.match(name))}
    if not numbers:
        raise KeyError(f"{stack}.layers.0")
    return max(numbers) + 1
