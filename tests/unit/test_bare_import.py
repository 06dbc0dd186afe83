"""Kernels and models need torch, numpy and pydantic (numba to scan on a CPU) and nothing more."""

import subprocess
import sys

import pytest

PRELUDE = """
import re, sys
from importlib.machinery import PathFinder
from importlib.metadata import PackageNotFoundError, packages_distributions, requires


def plain(name):
    return re.sub(r"[-_.]+", "-", name).lower()


allowed, queue = {"seq2exp"}, ["torch", "numpy", "pydantic", "numba", "triton"]
while queue:
    name = plain(queue.pop())
    if name in allowed:
        continue
    allowed.add(name)
    try:
        needed = [line for line in requires(name) or () if "extra ==" not in line]
    except PackageNotFoundError:
        continue  # triton is for Linux only
    queue += [re.match(r"[\\w.-]+", line)[0] for line in needed]
owners = packages_distributions()


class OnlyAllowed(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        dists = owners.get(name.partition(".")[0])
        if dists and not allowed & {plain(dist) for dist in dists}:
            return None
        return super().find_spec(name, path, target)


sys.meta_path = [OnlyAllowed if finder is PathFinder else finder for finder in sys.meta_path]
"""

BLOCKED = """
from importlib import import_module

for name in ("lightning", "pandas", "pysam", "hictkpy", "snakemake", "yaml", "tqdm"):
    try:
        import_module(name)
    except ModuleNotFoundError:
        continue
    raise SystemExit(f"{name} can be imported")
import numpy, pydantic
"""

IMPORTS = """
import seq2exp.caduceus, seq2exp.config, seq2exp.models, seq2exp.recipe, seq2exp.scan

assert "numba" not in sys.modules and "triton" not in sys.modules, "loaded before they are used"
"""

STEP = """
import torch
from seq2exp.training_config import TrainingConfig
from seq2exp.model_config import Seq2ExpSoftConfig
from seq2exp.models import InputShape, build_model
from seq2exp.packing import Batch, PackedBatch, unpack
from seq2exp.recipe import learning_rate

torch.manual_seed(0)
B, L, F = 2, 96, 3
packed = PackedBatch(
    codes=torch.randint(0, 6, (B, L), dtype=torch.uint8),
    signals=torch.rand(B, L, 2).half(),
    contacts=torch.rand(B, 5),
    contact_phase=torch.tensor([3, 20]),
    gene_features=torch.rand(B, F),
    label=torch.rand(B),
    index=torch.arange(B),
)
batch = unpack(packed, contact_bin=32)
config = Seq2ExpSoftConfig(d_model=8, d_state=2, generator_layers=1, predictor_layers=1)
model = build_model(config, InputShape(L, 16, F)).train()
optimizer = torch.optim.AdamW(model.parameters(), lr=learning_rate(1, TrainingConfig()))
before = [parameter.clone() for parameter in model.parameters()]
loss = model.loss(model(batch), batch.label)
loss.total.backward()
optimizer.step()
assert torch.isfinite(loss.total)
changed = sum(not torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))
assert changed == len(before), (changed, len(before))
"""


@pytest.mark.parametrize("body", [BLOCKED, IMPORTS, STEP], ids=["blocked", "imports", "step"])
def test_without_the_rest_of_the_environment(body):
    done = subprocess.run(
        [sys.executable, "-W", "error::ImportWarning", "-c", PRELUDE + body],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr


def test_training_and_prediction_leave_the_contact_reader_alone():
    # Its logging thread takes a core from its import on (see seq2exp.hictk).
    code = "import sys, seq2exp.prediction, seq2exp.training; assert 'hictkpy' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
