"""The selective scan by the mamba-ssm package's CUDA kernel, where it is installed."""

from importlib.util import find_spec

from torch import Tensor

from seq2exp.errors import UserError


def is_installed() -> bool:
    """Whether the package is there; its import may still fail without its compiled part."""
    return find_spec("mamba_ssm") is not None


def mamba_ssm_scan(
    x: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor,
    delta_bias: Tensor,
    *,
    reverse: bool = False,
    gate: Tensor | None = None,
) -> Tensor:
    """Mamba-1 selective scan; arguments as in seq2exp.scan.selective_scan, but no gate.

    The kernel applies the softplus itself, so a factor on the step size cannot be passed in.
    """
    if gate is not None:
        raise UserError(
            "scan backend mamba_ssm: a gated scan is not supported; use backend 'triton' or 'auto'"
        )
    try:
        from mamba_ssm.ops.selective_scan_interface import selective_scan_fn
    except ImportError as error:
        raise UserError(
            f"scan backend mamba_ssm: the package cannot be imported ({error}); install mamba-ssm "
            "built with MAMBA_KEEP_CUDA_BUILD=TRUE, or use backend 'auto'"
        ) from error
    sequences = [v.to(x.dtype) for v in (x, delta, B, C)]
    if reverse:
        sequences = [v.flip(-1) for v in sequences]
    x, delta, B, C = (v.contiguous() for v in sequences)
    y = selective_scan_fn(
        x, delta, A.float(), B, C, D.float(), None, delta_bias.float(), delta_softplus=True
    )
    return y.flip(-1) if reverse else y
