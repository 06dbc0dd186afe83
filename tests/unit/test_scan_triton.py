"""The Triton scan: its kernels in a process of their own, and what needs no kernel."""

import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch

from seq2exp.scan import available_backends, resolve_backend

CASES = Path(__file__).with_name("scan_triton_cases.py")

needs_triton = pytest.mark.skipif(find_spec("triton") is None, reason="triton is not installed")


def run_python(arguments, interpret):
    settings = {"TRITON_INTERPRET": str(int(interpret)), "OMP_NUM_THREADS": "1"}
    environment = {**os.environ, **settings}
    command = [sys.executable, *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600)


@needs_triton
def test_kernels_agree_with_the_oracle():
    # on a GPU if there is one, else in Triton's interpreter
    arguments = ["-m", "pytest", "-q", "-p", "no:cacheprovider", "-n0", str(CASES)]
    done = run_python(arguments, interpret=not torch.cuda.is_available())
    assert done.returncode == 0, done.stdout
    assert int(re.search(r"(\d+) passed", done.stdout)[1]) >= 39, done.stdout


def test_backends_of_a_gpu(monkeypatch):
    monkeypatch.setattr("seq2exp.scan.mamba_ssm.is_installed", lambda: True)
    assert available_backends("cuda") == ("triton", "mamba_ssm", "chunked", "reference")
    assert resolve_backend("auto", "cuda") == "triton"
    monkeypatch.setattr("seq2exp.scan.find_spec", lambda name: None)
    assert resolve_backend("auto", "cuda") == "mamba_ssm"
    assert resolve_backend("auto", "cuda", gated=True) == "chunked"


COMPILE = """
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource, compile
from seq2exp.scan import triton, triton_kernel

sizes = {"BLOCK_E": triton.BLOCK_E, "LANES": triton.LANES}
halves = ("x", "delta", "B", "C", "dy", "y", "dx", "ddelta", "gate")
for kernel in (triton_kernel.forward_kernel, triton_kernel.backward_kernel):
    kinds, constants, aligned = {}, {}, {}
    for index, parameter in enumerate(kernel.params):
        name = parameter.name
        if parameter.is_constexpr:
            kinds[name] = "constexpr"
            constants[(index,)] = sizes.get(name, True)
        elif name in ("E", "L", "N", "slots"):
            kinds[name] = "i32"
        else:
            kinds[name] = "*bf16" if name in halves else "*fp32"
            aligned[(index,)] = [["tt.divisibility", 16]]
    source = ASTSource(kernel, kinds, constants, aligned)
    target = GPUTarget("cuda", 90, 32)
    binary = compile(source, target=target, options={"num_warps": triton.NUM_WARPS})
    assert binary.metadata.shared <= 48 * 1024
    print(kernel.__name__, len(binary.asm["cubin"]))
"""


@needs_triton
def test_compiles_for_a_gpu_without_one():
    done = run_python(["-W", "ignore", "-c", COMPILE], interpret=False)
    assert done.returncode == 0, done.stderr
    assert "forward_kernel" in done.stdout
    assert "backward_kernel" in done.stdout
