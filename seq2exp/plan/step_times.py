"""Seconds of a training step and of a prediction, from measured models of other sizes.

The measurements are a small table (``schemas.STEP_TIME_COLUMNS``) that
``python -m benchmarks.step_times`` writes; one comes with the package. From it to any size:

- time is proportional to the batch, and at one width to the number of layers;
- along the window it is interpolated between the lengths that were measured; beyond the longest one
  it goes on through the last two along a line (a start and something a base, as Mamba's) or with their
  power (as attention's), whichever is more; below the shortest one it stays as it is there, which is
  an upper bound;
- it grows with a power of the width, fitted on the kind's models that differ in width alone, on the
  longest window of which there are several.

A kind that was not measured takes the figures of the measured one nearest in size, base for base that
it reads and layer for layer.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from importlib.resources import files
from itertools import combinations
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from seq2exp.errors import UserError
from seq2exp.model_config import NetworkConfig
from seq2exp.resources import FULL_SIZE
from seq2exp.schemas import STEP_TIME_COLUMNS, numbers, read_table

COUNTED_GPU_STEP = (0.119, 0.184)
"""Seconds of a step at full size (``resources.FULL_SIZE``) on an H200 if its products, memory traffic
and exponentials overlap wholly, or not at all: ``python -m benchmarks.counts``."""
COUNTED_GPU_PREDICTION = (0.035, 0.064)
DEFAULT_WIDTH_EXPONENT = 1.0


class StepTime(NamedTuple):
    """One measured model; see ``schemas.STEP_TIME_COLUMNS``."""

    kind: str
    device: str
    machine: str
    window_length: int
    d_model: int
    layers: float
    step_seconds: float
    """Of one window."""
    predict_seconds: float
    """Of one window."""
    step_mb: float
    """Of one window."""


class Size(NamedTuple):
    """What the time of a model depends on, beside its kind."""

    window_length: int
    bases_read: int
    """Of a window, by the layers."""
    d_model: int
    layers: float
    """Mamba layers of width ``d_model``, or as much as them."""


class Cost(NamedTuple):
    """Of one window."""

    step_seconds: float
    predict_seconds: float
    step_mb: float | None
    """Memory beyond weights and input; None where it is not known."""
    basis: str
    """Where the figures come from, in words."""


def packaged_step_times() -> Path:
    """Table of measurements that comes with the package."""
    return Path(str(files("seq2exp") / "data" / "step_times.tsv"))


def read_step_times(path: Path) -> list[StepTime]:
    """Read a table of measurements.

    Raises
    ------
    UserError
        Not such a table, or a size or time is not a positive number.
    """
    table = read_table(path, STEP_TIME_COLUMNS, text=("kind", "device", "machine"))
    names = ("window_length", "d_model", "layers", "batch", "step_seconds", "predict_seconds")
    for name in (*names, "step_mb"):
        table[name] = numbers(table, name, path)
        if name in names and not (table[name] > 0).all():
            raise UserError(f"{path}: {name} must be above 0 in every row; measure again")
    return [_step_time(row) for row in table.itertuples()]


def _step_time(row: Any) -> StepTime:
    return StepTime(
        *(row.kind, row.device, row.machine),
        *(int(row.window_length), int(row.d_model), row.layers),
        *(row.step_seconds / row.batch, row.predict_seconds / row.batch),
        row.step_mb / row.batch,
    )


def size_of(model: NetworkConfig, stored_length: int) -> Size:
    """Size of a network on windows of a store."""
    length = model.window_length or stored_length
    layers = model.width_times_layers / model.d_model
    return Size(length, model.bases_read(length), model.d_model, layers)


def cost_of(kind: str, size: Size, device: str, times: Sequence[StepTime]) -> Cost:
    """Estimate what one window costs a model.

    Parameters
    ----------
    kind, size
        Of the model.
    device
        ``cpu`` or ``gpu``.
    times
        Measurements, of any kind and device.

    Raises
    ------
    UserError
        Nothing was measured on the CPU; for the GPU there is a count in that case.
    """
    here = [time for time in times if time.device == device]
    if not here:
        if device == "gpu":
            return _counted(size)
        raise UserError(
            f"no step time was measured on a {device}; measure with python -m benchmarks.step_times"
        )
    own = [time for time in here if time.kind == kind]
    if own:
        return _scaled(size, own)
    alike = size._replace(window_length=size.bases_read)
    nearest = min(here, key=lambda time: _distance(alike, time)).kind
    cost = _scaled(alike, [time for time in here if time.kind == nearest])
    return cost._replace(basis=f"as {nearest}")


def _counted(size: Size) -> Cost:
    share = size.bases_read * size.d_model * size.layers / FULL_SIZE
    step, prediction = COUNTED_GPU_STEP[1] * share, COUNTED_GPU_PREDICTION[1] * share
    return Cost(step, prediction, None, "counted, not measured")


def _scaled(size: Size, times: Sequence[StepTime]) -> Cost:
    """Figures of a size from measured ones of one kind: those nearest in width, then in layers."""
    near = min(
        times, key=lambda t: (_factor(t.d_model, size.d_model), _factor(t.layers, size.layers))
    )
    along = [time for time in times if (time.d_model, time.layers) == (near.d_model, near.layers)]
    along.sort(key=lambda time: time.window_length)
    lengths = [time.window_length for time in along]
    layers, width = size.layers / near.layers, size.d_model / near.d_model

    def figure(name: str, exponent: float) -> float:
        values = [getattr(time, name) for time in along]
        return along_window(size.window_length, lengths, values) * layers * width**exponent

    if size.window_length in lengths and layers == width == 1:
        basis = "measured"
    else:
        basis = "beyond" if size.window_length > lengths[-1] else "between"
        basis += " measured sizes"
    return Cost(
        figure("step_seconds", width_exponent(times, "step_seconds")),
        figure("predict_seconds", width_exponent(times, "predict_seconds")),
        figure("step_mb", 1.0),
        basis,
    )


def along_window(length: int, lengths: Sequence[int], values: Sequence[float]) -> float:
    """Interpolate between measured window lengths, ascending; constant below the first.

    Beyond the last, the larger of the line and of the power of the length through the last two; in
    proportion to the length with only one.
    """
    if length <= lengths[-1]:
        return float(np.interp(length, lengths, values))
    proportional = values[-1] * length / lengths[-1]
    if len(lengths) == 1:
        return proportional
    step = (length - lengths[-1]) / (lengths[-1] - lengths[-2])
    line = values[-1] + (values[-1] - values[-2]) * step
    if values[-2] <= 0:  # memory too little to be seen
        return max(line, proportional)
    exponent = math.log(values[-1] / values[-2]) / math.log(lengths[-1] / lengths[-2])
    return max(line, values[-1] * (length / lengths[-1]) ** exponent)


def width_exponent(times: Sequence[StepTime], name: str) -> float:
    """Exponent with which a figure grows with the width, layer for layer.

    The mean over pairs of models of one kind that have the same window and not the same width, on
    the longest window that has such a pair.
    """
    pairs = [
        (one, other)
        for one, other in combinations(times, 2)
        if one.window_length == other.window_length and one.d_model != other.d_model
    ]
    longest = max((one.window_length for one, _ in pairs), default=None)
    found = [
        math.log(getattr(one, name) / one.layers / (getattr(other, name) / other.layers))
        / math.log(one.d_model / other.d_model)
        for one, other in pairs
        if one.window_length == longest
    ]
    return float(np.mean(found)) if found else DEFAULT_WIDTH_EXPONENT


def _distance(size: Size, time: StepTime) -> float:
    """How far a measured size is, in factors along the window and across the network."""
    across = _factor(time.d_model * time.layers, size.d_model * size.layers)
    return _factor(time.window_length, size.window_length) + across


def _factor(one: float, other: float) -> float:
    return abs(math.log(one / other))
