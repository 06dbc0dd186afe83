"""Run the cases from a test, in a process of its own.

Triton reads TRITON_INTERPRET as it is imported, and Lightning imports it.
"""

import json
import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

needs_triton = pytest.mark.skipif(find_spec("triton") is None, reason="triton is not installed")


def _run(*arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    paths = [str(ROOT), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", **settings}
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, paths))
    command = [sys.executable, "-W", "ignore", "-m", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=900)


def assert_small_cases_agree(kernels: str, at_least: int) -> None:
    """On a GPU if there is one, otherwise in Triton's interpreter."""
    done = _run("benchmarks.check_kernels", "--kernels", kernels, "--json", "/dev/stderr")
    assert done.returncode == 0, done.stdout
    cases = json.loads(done.stderr)["cases"]
    assert len(cases) >= at_least
    exact = [e for case in cases for e in case["errors"] if e["tolerance"] < 1e-2]
    assert len(exact) > at_least
    # far below what is allowed: the arithmetic is float32
    assert max(e["error"] for e in exact) < 2e-5


def assert_gpu_agrees(kernels: str) -> None:
    """Also at the size of use."""
    done = _run("benchmarks.check_kernels", "--full", "--kernels", kernels)
    assert done.returncode == 0, done.stdout


def shared_memory(*prefixes: str) -> dict[str, int]:
    """Bytes of shared memory of the kernels that begin so, compiled for an H100."""
    done = _run("tests.kernels.compile", *prefixes, TRITON_INTERPRET="0")
    assert done.returncode == 0, done.stderr
    sizes = re.findall(r"^(.*): (\d+)$", done.stdout, re.MULTILINE)
    assert sizes
    return {name: int(size) for name, size in sizes}
