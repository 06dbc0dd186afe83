"""Hold the models against golden files: ``python -m tests.golden FILE...``.

A golden file (.npz) has the weights of a small random model under the released names
(``weights.*``), inputs (``in.*``), outputs (``out.*``) and gradients of the total loss
(``grad.*``), computed in float32 in evaluation mode. The model's kind and all sizes are read
from the file. Exits 1 if an output is off by more than 1e-4 (absolute) or a gradient by more
than 1e-3 (relative to the largest entry of that gradient).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from seq2exp.model_config import (
    CaduceusConfig,
    CaduceusSignalsConfig,
    EPInformerConfig,
    Seq2ExpHardConfig,
    Seq2ExpSoftConfig,
)
from seq2exp.models import ExpressionModel, InputShape, Output, build_model
from seq2exp.models.released_names import convert_weights, our_name
from seq2exp.models.released_sizes import network_settings
from seq2exp.packing import Batch
from tests import golden_epinformer

OUTPUT_TOLERANCE = 1e-4
GRADIENT_TOLERANCE = 1e-3
HARD = "seq2exp_hard"
KINDS = {
    "seq2exp_soft": Seq2ExpSoftConfig,
    HARD: Seq2ExpHardConfig,
    "caduceus": CaduceusConfig,
    "caduceus_signals": CaduceusSignalsConfig,
    "epinformer": EPInformerConfig,
}
RELEASED = {HARD: {"padding": "longest"}}
"""Settings beside the sizes that the released code has no choice of."""


class Agreement(NamedTuple):
    """Largest errors of one file and where they are."""

    output_error: float
    output_name: str
    gradient_error: float
    gradient_name: str

    @property
    def passed(self) -> bool:
        return self.output_error <= OUTPUT_TOLERANCE and self.gradient_error <= GRADIENT_TOLERANCE


def section(golden: dict[str, np.ndarray], prefix: str) -> dict[str, torch.Tensor]:
    return {
        key.removeprefix(prefix): torch.from_numpy(value)
        for key, value in golden.items()
        if key.startswith(prefix) and value.dtype.kind in "fbiu"
    }


def build(golden: dict[str, np.ndarray]) -> ExpressionModel:
    """A model of the file's kind and sizes, with its weights."""
    kind = str(golden["in.kind"])
    weights = section(golden, "weights.")
    ours = convert_weights(weights, shared_backbone=kind == HARD)
    sizes: dict[str, Any] = network_settings(kind, ours)
    sizes |= RELEASED.get(kind, {})
    _, length, _ = golden["in.sequence_onehot"].shape
    shape = InputShape(
        length, int(golden["in.promoter_length"]), golden["in.rna_features"].shape[-1]
    )
    model = build_model(KINDS[kind](**sizes), shape).eval()
    unknown = model.load_state_dict(ours, strict=False).unexpected_keys
    if unknown:
        raise SystemExit(f"weights without a place in our model: {unknown}")
    return model


def inputs(golden: dict[str, np.ndarray]) -> Batch:
    given = section(golden, "in.")
    windows, length, _ = given["sequence_onehot"].shape
    return Batch(
        sequence=given["sequence_onehot"],
        signals=given["signals"],
        gene_features=given["rna_features"],
        blacklist=given.get("blacklist", torch.zeros(windows, length, dtype=torch.bool)),
        label=given["expression"].reshape(windows),
        index=torch.arange(windows),
    )


def output_errors(
    output: Output, losses: dict[str, torch.Tensor], expected: dict[str, torch.Tensor]
) -> dict[str, float]:
    ours = {name: value for name, value in output._asdict().items() if value is not None} | losses
    missing = sorted(set(expected) - set(ours))
    if missing:
        raise SystemExit(f"outputs of the file that our model does not give: {missing}")
    return {
        name: (ours[name].detach().reshape(value.shape) - value).abs().max().item()
        for name, value in expected.items()
    }


def run(
    golden: dict[str, np.ndarray],
) -> tuple[torch.nn.Module, Output, torch.Tensor, Callable[[str], str]]:
    """A file's model, its output and label, and how our names follow from the released ones."""
    if str(golden["in.kind"]) != "epinformer":
        model, batch = build(golden), inputs(golden)
        names = partial(our_name, shared_backbone=str(golden["in.kind"]) == HARD)
        return model, model(batch), batch.label, names
    given = section(golden, "in.")
    network, arguments = golden_epinformer.read(section(golden, "weights."), given)
    label = given["expression"].flatten()
    return network, Output(network(*arguments)), label, golden_epinformer.our_name


def gradient_errors(
    model: torch.nn.Module, expected: dict[str, torch.Tensor], name_of: Callable[[str], str]
) -> dict[str, float]:
    """Relative error of every gradient of the file, which must have all of the model's."""
    parameters = dict(model.named_parameters())
    errors = {}
    for name, value in expected.items():
        ours = parameters[name_of(name)].grad
        assert ours is not None, f"{name} got no gradient"
        scale = value.abs().max().clamp(min=1e-12)
        errors[name] = ((ours - value).abs().max() / scale).item()
    unchecked = set(parameters) - {name_of(name) for name in errors}
    if unchecked:
        raise SystemExit(f"no golden gradient for {sorted(unchecked)}")
    return errors


def check(path: Path) -> Agreement:
    """Run one file's model forward and backward and measure the largest errors."""
    with np.load(path) as archive:
        golden = dict(archive)
    model, output, label, name_of = run(golden)
    loss = ExpressionModel.loss(model, output, label)  # type: ignore[arg-type]
    losses = {"total_loss": loss.total, "prediction_loss": loss.prediction}
    outputs = output_errors(output, losses, section(golden, "out."))

    expected = section(golden, "grad.")
    gradients = {"the file has none": 0.0}
    if expected or str(golden["in.kind"]) != "epinformer":
        loss.total.backward()
        gradients = gradient_errors(model, expected, name_of)
    worst_output = max(outputs, key=outputs.__getitem__)
    worst_gradient = max(gradients, key=gradients.__getitem__)
    return Agreement(outputs[worst_output], worst_output, gradients[worst_gradient], worst_gradient)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.golden", description=__doc__)
    parser.add_argument("files", nargs="+", type=Path)
    passed = True
    for path in parser.parse_args(arguments).files:
        result = check(path)
        passed &= result.passed
        print(
            f"{path.name}: largest output error {result.output_error:.2e} ({result.output_name}), "
            f"largest relative gradient error {result.gradient_error:.2e} "
            f"({result.gradient_name}): {'ok' if result.passed else 'PAST TOLERANCE'}"
        )
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
