"""The Triton kernels of the scan, and which backend a GPU gets."""

import pytest

from seq2exp.scan import available_backends, resolve_backend
from tests.kernels.run import (
    assert_gpu_agrees,
    assert_small_cases_agree,
    needs_triton,
    shared_memory,
)


@needs_triton
def test_kernels_agree_with_float64():
    assert_small_cases_agree("scan", at_least=39)


@pytest.mark.gpu
def test_kernels_agree_with_float64_at_full_size():
    assert_gpu_agrees("scan")


@needs_triton
def test_warps_wait_for_each_other_only_where_they_sum():
    # a warp's lanes exchange by shuffles; shared memory would mean that warps exchange too
    for name, size in shared_memory("bf16 scan leftward=True").items():
        if "backward" in name:
            assert size <= 8192, name  # sums of dB and dC
        elif "gated=True" in name:
            assert size <= 512, name  # the gate, once a chunk
        else:
            assert size == 0, name


@needs_triton
def test_small_batches_are_cut_finer():
    from seq2exp.scan.triton import Tiles, fit

    whole = Tiles(warps=4, channels=2)
    assert fit(whole, batch=8, channels=256, wanted=132) == whole  # 256 programs
    assert fit(whole, batch=4, channels=256, wanted=132) == Tiles(2, 2)  # not 128, but 256
    assert fit(whole, batch=1, channels=256, wanted=132) == Tiles(1, 1)
    assert fit(whole, batch=1, channels=3, wanted=1) == whole


def test_backends_of_a_gpu(monkeypatch):
    monkeypatch.setattr("seq2exp.scan.mamba_ssm.is_installed", lambda: True)
    assert available_backends("cuda") == ("triton", "mamba_ssm", "chunked", "reference")
    assert resolve_backend("auto", "cuda") == "triton"
    monkeypatch.setattr("seq2exp.scan.find_spec", lambda name: None)
    assert resolve_backend("auto", "cuda") == "mamba_ssm"
    assert resolve_backend("auto", "cuda", gated=True) == "chunked"
