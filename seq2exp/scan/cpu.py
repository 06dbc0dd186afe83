"""The selective scan on CPUs: numba kernels on a pool of threads, with their own gradients."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad

from seq2exp.scan.cpu_backward import scan_backward
from seq2exp.scan.cpu_forward import UNROLL, scan_forward
from seq2exp.scan.cpu_tiles import STEPS
from seq2exp.scan.simd import LANES, LOG2_E
from seq2exp.scan.threads import run

if TYPE_CHECKING:
    from seq2exp.scan import ScanInputs

TASK_BLOCKS = 4  # blocks of 16 channels a task, fewer where that leaves threads idle


def _tasks(batch: int, blocks: int, chunk_floats: int, chunks: int) -> list[tuple[int, ...]]:
    """(sequence, first channel, blocks, offset of its checkpoints, index) for each task."""
    width = TASK_BLOCKS
    while width > 1 and batch * -(-blocks // width) < torch.get_num_threads():
        width //= 2
    pieces = [
        (sequence, first, min(width, blocks - first))
        for sequence in range(batch)
        for first in range(0, blocks, width)
    ]
    return [
        (sequence, first * LANES, count, (sequence * blocks + first) * chunk_floats * chunks, index)
        for index, (sequence, first, count) in enumerate(pieces)
    ]


def _flat(tensor: Tensor) -> np.ndarray:
    return tensor.detach().contiguous().flatten().numpy()


class _Problem:
    """Sizes and kernel inputs of one scan."""

    def __init__(self, inputs: ScanInputs) -> None:
        x, delta, A, B, C, D, delta_bias, gate = inputs
        self.batch, self.channels, self.length = x.shape
        self.states = A.shape[1]
        self.padded = -(-self.states // UNROLL) * UNROLL
        self.blocks = -(-self.channels // LANES)
        self.chunks = -(-self.length // STEPS)
        missing = self.blocks * LANES - self.channels
        decay = pad(A.detach() * LOG2_E, (0, self.padded - self.states, 0, missing))
        decay = decay.view(self.blocks, LANES, self.padded).transpose(1, 2)
        per_channel = [pad(vector.detach(), (0, missing)) for vector in (D, delta_bias)]
        gates = x.new_empty(0) if gate is None else gate
        self.inputs = tuple(map(_flat, (x, delta, B, C, gates, decay, *per_channel)))
        self.shape = (self.channels, self.length, self.states, self.padded)
        self.tasks = _tasks(self.batch, self.blocks, self.padded * LANES, self.chunks)

    def checkpoint_size(self) -> int:
        return self.batch * self.chunks * self.blocks * self.padded * LANES

    def carried(self, given: Tensor | None) -> Tensor:
        """Buffer (sequence, block, padded state, 16) that a scan begins with and ends with."""
        if given is not None:
            return given.clone()
        return torch.zeros(self.batch * self.blocks * self.padded * LANES)

    def sum_tasks(self, parts: Tensor) -> Tensor:
        """(task, ...) -> (sequence, ...)."""
        each = len(self.tasks) // self.batch
        return parts if each == 1 else parts.unflatten(0, (self.batch, each)).sum(1)


def forward(
    inputs: ScanInputs, *, reverse: bool, keep: bool, start: Tensor | None = None
) -> tuple[Tensor, Tensor, Tensor]:
    """Scan float32 tensors on from the state `start`, or from 0.

    Returns y, the state before every 32 positions (empty unless `keep`), and the last state.
    """
    problem = _Problem(inputs)
    carried = problem.carried(start)
    y = torch.empty(problem.batch, problem.channels, problem.length)
    checkpoints = torch.empty(problem.checkpoint_size() if keep else 0)
    outputs = (_flat(y), checkpoints.numpy(), carried.numpy())

    def scan(task: tuple[int, ...]) -> None:
        scan_forward(problem.inputs, *outputs, task[:4], problem.shape, reverse)

    run(scan, problem.tasks)
    return y, checkpoints, carried


def backward(
    dy: Tensor, states: Tensor, inputs: ScanInputs, *, reverse: bool, carry: Tensor | None = None
) -> tuple[tuple[Tensor | None, ...], Tensor]:
    """Gradients of the inputs, in their order, and what to carry to the part scanned before.

    `carry` is what the part scanned after this one gave, or None for the last part.
    """
    problem, gated = _Problem(inputs), inputs.gate is not None
    carried = problem.carried(carry)
    batch, tasks, length = problem.batch, len(problem.tasks), problem.length
    wide = problem.blocks * LANES
    x = torch.empty(batch, problem.channels, length)
    delta = torch.empty_like(x)
    B = torch.empty(tasks, problem.states, length)
    C = torch.empty_like(B)
    gate = torch.empty(tasks if gated else 0, length)
    decay = torch.empty(batch, problem.blocks, problem.padded, LANES)
    D, bias = torch.empty(batch, wide), torch.empty(batch, wide)
    outputs = tuple(map(_flat, (x, delta, B, C, gate, decay, D, bias)))
    given = (_flat(dy), states.numpy(), carried.numpy())

    def scan(task: tuple[int, ...]) -> None:
        scan_backward(problem.inputs, *given, outputs, task, problem.shape, reverse)

    run(scan, problem.tasks)
    A = decay.sum(0).transpose(1, 2).reshape(wide, problem.padded)
    gradients = (
        x,
        delta,
        A[: problem.channels, : problem.states],
        problem.sum_tasks(B),
        problem.sum_tasks(C),
        D.sum(0)[: problem.channels],
        bias.sum(0)[: problem.channels],
        problem.sum_tasks(gate) if gated else None,
    )
    return gradients, carried
