"""Every kind of model at a size that trains in seconds, and the steps that train it.

For tests and `python -m benchmarks.all_models`; needs no pytest.
"""

from __future__ import annotations

from typing import Any

import torch
from pydantic import TypeAdapter

from seq2exp.model_config import ModelConfig
from seq2exp.models import ExpressionModel, InputShape, build_model
from seq2exp.models.signal_linear import SignalLinear
from seq2exp.packing import Batch

SHAPE = InputShape(window_length=256, promoter_length=32, n_gene_features=9)
WINDOWS = 4

_MAMBA = {"d_model": 8, "d_state": 2}
_SOFT = {**_MAMBA, "generator_layers": 1, "predictor_layers": 1}
SETTINGS: dict[str, dict[str, Any]] = {
    "seq2exp_soft": _SOFT,
    "seq2exp_gated": _SOFT,
    "seq2exp_hard": {**_MAMBA, "layers": 1},
    "seq2exp_retrain": {**_MAMBA, "predictor_layers": 1, "mask_from": "soft", "source": _SOFT},
    "peaks_mask": {**_MAMBA, "predictor_layers": 1},
    "caduceus": {**_MAMBA, "layers": 1},
    "caduceus_signals": {**_MAMBA, "layers": 1},
    "mamba": {**_MAMBA, "layers": 1},
    "hyena": {"d_model": 8, "layers": 1, "filter_width": 8},
    "enformer": {"d_model": 24, "layers": 1, "heads": 2, "key_width": 4, "downsamples": 4},
    "epinformer": {
        **{"element_length": 200, "core_length": 20, "min_distance": 20, "max_elements": 3},
        **{"encoder_widths": (16, 8, 8), "d_model": 32, "attention_layers": 1},
        **{"heads": 2, "head_width": 8},
    },
    "prism": {**_MAMBA, "layers": 1},
    "signal_linear": {"spans": (20, 100)},
}
"""Of each kind in the registry."""


def new_model(kind: str, seed: int) -> ExpressionModel:
    """Untrained, on the CPU; leaves the caller's random state alone."""
    if kind not in SETTINGS:
        raise LookupError(
            f"tests/tiny_models.py has no settings for models of kind {kind}: add some"
        )
    config: ModelConfig = TypeAdapter(ModelConfig).validate_python({"kind": kind, **SETTINGS[kind]})
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return build_model(config, SHAPE)


def new_batch(seed: int = 1) -> Batch:
    """Random windows with a few blacklisted bases; every label is known from the signals."""
    generator = torch.Generator().manual_seed(seed)
    size = (WINDOWS, SHAPE.window_length)
    level = torch.linspace(0.5, 3, WINDOWS)
    base = torch.randint(4, size, generator=generator)
    return Batch(
        sequence=torch.nn.functional.one_hot(base, 4).float(),
        signals=torch.rand(*size, 3, generator=generator) * level[:, None, None],
        gene_features=torch.randn(WINDOWS, SHAPE.n_gene_features, generator=generator),
        blacklist=torch.rand(size, generator=generator) < 0.05,
        label=level,
        index=torch.arange(WINDOWS),
        peaks=torch.rand(size[0], size[1] // 16, generator=generator)
        .lt(0.3)
        .repeat_interleave(16, 1),
    )


def on(batch: Batch, device: str) -> Batch:
    """The same batch on a device."""
    moved = {
        name: value.to(device)
        for name, value in batch._asdict().items()
        if isinstance(value, torch.Tensor)
    }
    return batch._replace(**moved)


def with_seeds(batch: Batch, step: int) -> Batch:
    """The batch with the seeds of its random draws in one step."""
    return batch._replace(seeds=tuple(WINDOWS * step + window for window in range(WINDOWS)))


def train(
    model: ExpressionModel, batch: Batch, steps: int, *, in_bfloat16: bool = False
) -> list[float]:
    """Train on one batch; returns the loss of every step, or before and after a closed form."""
    if isinstance(model, SignalLinear):
        before = model.loss(model(batch), batch.label).total.item()
        model.fit([batch])
        return [before, model.loss(model(batch), batch.label).total.item()]
    optimizer = torch.optim.AdamW(model.train().parameters(), lr=5e-3)
    losses = []
    for step in range(steps):
        with torch.autocast(batch.label.device.type, torch.bfloat16, enabled=in_bfloat16):
            output = model(with_seeds(batch, step))
        loss = model.loss(output, batch.label).total
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        losses.append(loss.detach())
    return [float(loss) for loss in losses]
