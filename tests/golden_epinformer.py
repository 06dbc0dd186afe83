"""EPInformer's golden file: weights under the released names, elements that are cut out already."""

from __future__ import annotations

import re
from typing import NamedTuple

import torch
from torch import Tensor

from seq2exp.model_config import EPInformerConfig
from seq2exp.models import InputShape
from seq2exp.models.epinformer import ElementNetwork

_RULES = [
    (r"^seq_encoder\.stem_conv\.0\.", "encoder.stem."),
    (r"^seq_encoder\.conv_tower\.(\d+)\.0\.", lambda m: f"encoder.blocks.{_part(m[1], 'conv')}."),
    (r"^seq_encoder\.conv_tower\.(\d+)\.1\.", lambda m: f"encoder.blocks.{_part(m[1], 'norm')}."),
    (r"^conv_out\.12\.", "reader.positions."),
    (r"^conv_out\.(0|3|6|9)\.", lambda m: f"reader.convs.{int(m[1]) // 3}."),
    (r"^conv_out\.(1|4|7|10)\.", lambda m: f"reader.norms.{int(m[1]) // 3}."),
    (r"^add_pos_conv\.", "mix_features."),
    (r"^attn_encoder\.(\d+)\.self_attn\.", r"layers.\1.attention."),
    (r"^attn_encoder\.(\d+)\.ff\.", r"layers.\1.feed_forward."),
    (r"^attn_encoder\.(\d+)\.", r"layers.\1."),
    (r"^pToExpr\.", "head.mlp."),
]


class Golden(NamedTuple):
    """A network with the file's weights, and what it is to be called with."""

    network: ElementNetwork
    inputs: tuple[Tensor, Tensor, Tensor, Tensor]


def _part(number: str, part: str) -> str:
    """Even members of the tower are convolution and norm of a block, odd ones its last layer."""
    return f"{int(number) // 2}.{part if int(number) % 2 == 0 else 'pointwise'}"


def our_name(released: str) -> str:
    for pattern, replacement in _RULES:
        renamed, count = re.subn(pattern, replacement, released)
        if count:
            return renamed
    raise SystemExit(f"epinformer: unknown name {released}")


def our_shape(name: str, released: Tensor, ours: torch.Size) -> Tensor:
    """Drop the axis of length 1 that the released convolutions have over elements, or positions."""
    assert released.numel() == ours.numel(), f"{name}: {released.shape} for {ours}"
    return released.reshape(ours)


def read(weights: dict[str, Tensor], given: dict[str, Tensor]) -> Golden:
    """Build the network of the file; heads are EPInformer's 4, all other sizes are the weights'."""
    _, elements, length, _ = given["elements_onehot"].shape
    layers = {name.split(".")[1] for name in weights if name.startswith("attn_encoder.")}
    convs = [w for name, w in weights.items() if re.search(r"conv_tower\.\d+\.0\.weight", name)]
    config = EPInformerConfig(
        max_elements=elements - 1,
        element_length=length,
        d_model=weights["pToExpr.0.weight"].shape[1] - given["rna_features"].shape[1],
        head_width=weights["pToExpr.0.weight"].shape[0],
        attention_layers=len(layers),
        encoder_widths=(
            weights["seq_encoder.stem_conv.0.weight"].shape[0],
            *(weight.shape[0] for weight in convs[0::2]),
        ),
    )
    shape = InputShape(200_000, 2_000, given["rna_features"].shape[1])
    network = ElementNetwork(config, shape).eval()
    sizes = {name: value.shape for name, value in network.state_dict().items()}
    ours = {our_name(name): (name, value) for name, value in weights.items()}
    state = {name: our_shape(*pair, sizes[name]) for name, pair in ours.items()}
    wanting = set(network.load_state_dict(state, strict=False).missing_keys)
    assert wanting == {"head.label_mean", "head.label_scale"}, wanting
    sequences = given["elements_onehot"].float()
    present = sequences.sum(dim=(2, 3)) > 0
    return Golden(network, (sequences, present, given["element_features"], given["rna_features"]))
